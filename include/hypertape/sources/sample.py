"""A small synthetic set that ships with hypertape, with planted defects, so that a first run shows what the reports
are for.

Nothing in it is a real price: every ticker starts with SYN and every name says "synthetic". `PLANTED` lists each
defect, `SPANS` where each interval has bars, `CORRECTED_AT` when the late corrections arrive; `plan_until` has the same
for a set that ends with another day. A market of a user's project has instruments and defects of a shipped one, in its
own prices and along its own calendar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from hypertape.errors import UnknownTicker
from hypertape.frame import TIME_TYPE, bar_frame, instant, micros
from hypertape.model import VALUE_COLUMNS, Interval, Market, Ticker, Window
from hypertape.sources._collect import TickerAnswer, collect, judge
from hypertape.sources._listing import Listing, listing_of_names
from hypertape.sources._protocol import DIVIDEND_SCHEMA, SPLIT_SCHEMA, Fetched, Limits, OnTicker, SourceConfig
from hypertape.sources._sample_bars import deliver
from hypertape.sources._sample_own import instruments_of
from hypertape.sources._sample_path import walk
from hypertape.sources._sample_plan import (
    CORRECTED_AT,
    PLANTED,
    SPANS,
    Defect,
    Instrument,
    Planted,
)
from hypertape.sources._sample_shift import LAST_DAY, Plan, plan_until

__all__ = [
    "CORRECTED_AT",
    "LAST_DAY",
    "PLANTED",
    "SPANS",
    "Defect",
    "Plan",
    "Planted",
    "Sample",
    "build",
    "entries",
    "plan_until",
]


def build(config: SourceConfig, limits: Limits) -> Sample:
    """Open the sample, with the last day that the settings name."""
    return Sample(limits.sample_end or LAST_DAY)


def entries(market: Market) -> tuple[Ticker, ...]:
    """The market's synthetic tickers as lines of a ticker file, sorted."""
    return tuple(instrument.entry for instrument in _instruments(market).values())


@dataclass(frozen=True)
class Sample:
    """The synthetic set as a source; it ends with `last_day` (UTC)."""

    last_day: date = LAST_DAY
    name: str = "sample"

    def tickers(self, market: Market, interval: Interval) -> tuple[str, ...]:
        """List the market's synthetic tickers, sorted."""
        return tuple(_instruments(market))

    def listing(self, market: Market) -> Listing:
        """The market's synthetic tickers."""
        return listing_of_names(self, market)

    def fetch(
        self,
        market: Market,
        tickers: Sequence[str],
        interval: Interval,
        window: Window,
        *,
        now: datetime,
        on_ticker: OnTicker | None = None,
    ) -> Fetched:
        """Deliver the bars that had opened by `now`, inside the window and the interval's span.

        What lies outside the span is not missing: it does not belong to the set.
        """
        instruments, plan = _instruments(market), plan_until(self.last_day)

        def read(ticker: str) -> TickerAnswer:
            if ticker not in instruments:
                raise UnknownTicker(
                    "The sample has no such ticker",
                    next_step=f"It has: {', '.join(instruments)}.",
                    market=market.code,
                    ticker=ticker,
                )
            return _answer(instruments[ticker], interval, now, plan)

        fetched = collect(read, tickers, window, on_ticker)
        return judge(
            fetched, market, tickers, interval, _overlap(window, plan.spans[market.code, interval]), now
        )


def _instruments(market: Market) -> dict[str, Instrument]:
    return {instrument.ticker: instrument for instrument in instruments_of(market)}


def _answer(instrument: Instrument, interval: Interval, now: datetime, plan: Plan) -> TickerAnswer:
    bars = deliver(instrument, interval, now, plan)
    frame = bar_frame(instrument.ticker, bars.time, {name: getattr(bars, name) for name in VALUE_COLUMNS})
    return TickerAnswer(
        bars=frame,
        rows_in=len(frame),
        dividends=_actions(instrument, Defect.DIVIDEND, DIVIDEND_SCHEMA, now, plan),
        splits=_actions(instrument, Defect.SPLIT, SPLIT_SCHEMA, now, plan),
    )


def _actions(instrument: Instrument, kind: Defect, schema: pa.Schema, now: datetime, plan: Plan) -> pa.Table:
    known = [
        action
        for action in walk(instrument, plan).actions
        if action.kind is kind and action.session <= micros(now)
    ]
    times = pa.array([instant(action.session) for action in known], TIME_TYPE)
    amounts = pa.array([action.amount for action in known], pa.float64())
    return pa.table([pa.array([instrument.ticker] * len(known), pa.string()), times, amounts], schema=schema)


def _overlap(window: Window, span: Window) -> Window:
    start = min(max(window.start, span.start), span.end)
    return Window(start, max(start, min(window.end, span.end)))
