"""An answer against the calendar: a vendor that delivers three of fourteen bars raises nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa

from hypertape.calendars import Coverage, coverage, expected_times, provisional_from, sessions_of
from hypertape.frame import Micros, instant, times_of
from hypertape.model import Interval, Market, Window, midnight

_DAY = 86_400_000_000

THIN = 0.5
"""An intraday answer with less than this share of the openings is short: nobody trades in every minute."""


def completeness(
    market: Market,
    interval: Interval,
    window: Window,
    bars: pa.Table,
    now: datetime,
    tickers: Iterable[str] | None = None,
) -> dict[str, tuple[int, int]]:
    """Find the tickers with fewer bars than the calendar expects: ticker → (expected, got), in bars.

    Judged are final bars only, from the market's history start on. Short is a series without any bar in one of
    its whole sessions, or (intraday) with less than half of the openings. `tickers` are those that were asked
    for (default: those with bars).
    """
    return short_of(answered(market, interval, window, bars, now, tickers), interval)


def answered(
    market: Market,
    interval: Interval,
    window: Window,
    bars: pa.Table,
    now: datetime,
    tickers: Iterable[str] | None = None,
) -> dict[str, Coverage]:
    """Hold every ticker's final bars against the calendar; the arguments are those of `completeness`."""
    start = max(window.start, midnight(market.history_start[interval]))
    end = min(window.end, provisional_from(market, interval, now))
    if start >= end:
        return {}
    times = _times_by_ticker(bars)
    asked = times if tickers is None else dict.fromkeys(tickers)
    none = np.empty(0, np.int64)
    judged = Window(start, end)
    return {name: coverage(market, interval, judged, times.get(name, none)) for name in asked}


def answered_until(
    market: Market,
    interval: Interval,
    window: Window,
    said: pa.Table,
    now: datetime,
    tickers: Iterable[str],
) -> dict[str, datetime]:
    """How far each ticker is answered: the window's end, at most `now`, where its last session that is over has a row.

    `said` has the ticker and time of each row, the refused ones too: the source has spoken of them.
    Else 00:00 UTC of the first of those sessions after its last row: a source that lags behind has said nothing of
    them. An instrument rests in single minutes, not in sessions; what is missing before its last row is no lag.
    """
    end = max(window.start, min(window.end, now))
    start = max(window.start, midnight(market.history_start[interval]))
    over = min(end, provisional_from(market, Interval.D1, now))
    expected = expected_times(market, Interval.D1, Window(start, max(start, over)))
    times = _times_by_ticker(said)
    return {ticker: _reached(market, interval, expected, times.get(ticker), end) for ticker in tickers}


def _reached(
    market: Market, interval: Interval, expected: Micros, times: Micros | None, end: datetime
) -> datetime:
    if len(expected) == 0:
        return end
    if times is None or len(times) == 0:
        return instant(int(expected[0]))
    last = sessions_of(market, interval, np.array([times.max()]))[0]
    behind = expected[expected > max(int(last), int(times.max()) // _DAY * _DAY - _DAY)]
    return end if len(behind) == 0 else min(end, instant(int(behind[0])))


def short_of(found: Mapping[str, Coverage], interval: Interval) -> dict[str, tuple[int, int]]:
    """Of what was answered, the tickers that came short: ticker → (expected, got)."""
    return {
        name: (seen.expected, seen.present)
        for name, seen in found.items()
        if not seen.is_complete or (interval is not Interval.D1 and seen.ratio < THIN)
    }


def _times_by_ticker(bars: pa.Table) -> dict[str, Micros]:
    if len(bars) == 0:
        return {}
    codes = bars["ticker"].combine_chunks().dictionary_encode()
    positions = np.asarray(codes.indices)
    order = np.argsort(positions, kind="stable")
    edges = np.cumsum(np.bincount(positions, minlength=len(codes.dictionary)))[:-1]
    return dict(zip(codes.dictionary.to_pylist(), np.split(times_of(bars)[order], edges), strict=True))
