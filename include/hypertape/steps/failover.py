"""One answer from several sources: what the first could not serve, the next one is asked for, ticker by ticker.

A ticker goes on to the next source when its source was away (SourceUnavailable, RateLimited, CircuitOpen), had nothing
(NoData) or answered in a shape nobody reads (SourceSchemaChanged). An answer that is merely short does not: half a
window from one vendor and half from another would mix two vendors' adjustments in one series; it is reported instead,
and the gap ledger heals it. A ticker's bars of one run are all from one source.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from hypertape.errors import (
    CircuitOpen,
    HypertapeError,
    NoData,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
    TransientError,
)
from hypertape.frame import empty_frame, empty_rejects
from hypertape.model import Interval, Market, Window
from hypertape.sources import NOTES, TABLES, Fetched, OnTicker, Source

PASSES_ON = (SourceUnavailable, RateLimited, CircuitOpen, NoData, SourceSchemaChanged)
"""The failures after which the next source is asked."""

_AWAY = (SourceUnavailable, RateLimited, CircuitOpen)
_Tried = dict[str, dict[str, HypertapeError]]


def fetch_from(
    sources: Sequence[Callable[[], Source]],
    market: Market,
    tickers: Sequence[str],
    interval: Interval,
    window: Window,
    *,
    now: datetime,
    on_ticker: OnTicker | None = None,
) -> Fetched:
    """Ask the sources in order, each for the tickers that those before it failed, and join what they answered.

    A ticker that nobody served keeps one failure with what every source said: a transient one where any of them may
    serve it later. Raises what a source raises as a whole, unless it was merely away.
    """
    answer = Fetched(empty_frame(), empty_rejects(), {})
    tried: _Tried = {ticker: {} for ticker in tickers}
    left = list(tickers)
    for place, build in enumerate(sources):
        source = build()
        tell = on_ticker if place == 0 else None
        fetched = _ask(source, market, left, interval, window, now=now, on_ticker=tell)
        for ticker, error in fetched.failures.items():
            tried[ticker][source.name] = error
        served = dict.fromkeys((t for t in left if t not in fetched.failures), source.name)
        answer = joined(answer, replace(fetched, failures={}, served_by=served))
        left = [t for t in left if isinstance(fetched.failures.get(t), PASSES_ON)]
        if not left:
            break
    unserved = {ticker: errors for ticker, errors in tried.items() if ticker not in answer.served_by}
    return replace(answer, failures={ticker: _one_of(errors) for ticker, errors in unserved.items()})


def _ask(
    source: Source,
    market: Market,
    tickers: Sequence[str],
    interval: Interval,
    window: Window,
    *,
    now: datetime,
    on_ticker: OnTicker | None,
) -> Fetched:
    try:
        return source.fetch(market, tickers, interval, window, now=now, on_ticker=on_ticker)
    except _AWAY as error:
        return Fetched(empty_frame(), empty_rejects(), dict.fromkeys(tickers, error))


def joined(before: Fetched, more: Fetched) -> Fetched:
    """Join two answers about different tickers."""
    tables = {table: pa.concat_tables([getattr(before, table), getattr(more, table)]) for table in TABLES}
    notes = {note: {**getattr(before, note), **getattr(more, note)} for note in NOTES}
    return Fetched(**tables, **notes)


def only(fetched: Fetched, tickers: Collection[str]) -> Fetched:
    """The part of an answer that is about some tickers."""
    return _part(fetched, tickers, keep=True)


def without(fetched: Fetched, tickers: Collection[str]) -> Fetched:
    """The part of an answer that is about other tickers."""
    return _part(fetched, tickers, keep=False)


def _part(fetched: Fetched, tickers: Collection[str], *, keep: bool) -> Fetched:
    wanted = pa.array(list(tickers), pa.string())
    tables = {}
    for name in TABLES:
        table = getattr(fetched, name)
        inside = pc.is_in(table["ticker"], wanted)
        tables[name] = table.filter(inside if keep else pc.invert(inside))
    notes = {
        name: {t: value for t, value in getattr(fetched, name).items() if (t in tickers) is keep}
        for name in NOTES
    }
    return Fetched(**tables, **notes)


def _one_of(errors: Mapping[str, HypertapeError]) -> HypertapeError:
    """One failure for a ticker that several sources failed; it says what each of them said."""
    first, *others = errors.values()
    if not others:
        return first
    chosen = next((error for error in errors.values() if isinstance(error, TransientError)), first)
    said = "; ".join(f"{name}: {error.what.rstrip('.')}" for name, error in errors.items())
    return type(chosen)(
        f"No source served it: {said}",
        next_step=chosen.advice,
        market=chosen.market,
        ticker=chosen.ticker,
        interval=chosen.interval,
        window=chosen.window,
    )
