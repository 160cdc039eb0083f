"""How far a statement looks, so that it opens the few chunks that hold its bars and not a history of hundreds.

Planning costs the server some 20 to 100 µs for each chunk that a statement might touch, and minutes of ten years are
500 chunks. So the newest bars are sought in a span that mostly holds them, and further back only for series that it did
not suffice for: thinly traded ones, and those that ended long ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg

from hypertape.api.bar_chunks import BarSlice
from hypertape.api.bar_query import EVER
from hypertape.api.bar_statements import Stored, ask_newest, slices_of
from hypertape.api.pool import Connection
from hypertape.frame import instant
from hypertape.model import Interval, Market

Blocks = dict[str, BarSlice]
"""Bars by ticker."""

_NEXT = timedelta(microseconds=1)
_LONGEST_STEP = timedelta(days=31)
_WEEKEND = timedelta(days=4)
_LONGEST_REACH = timedelta(days=200 * 366)
_FURTHER = 16


def step_of(interval: Interval) -> timedelta:
    """The longest time between the openings of two bars when none is missing and the venue never closes."""
    return interval.delta or _LONGEST_STEP


def reach(interval: Interval, bars: int) -> timedelta:
    """A span that mostly holds so many bars: venues open two of three days, HOSE for 4.5 of their 24 hours."""
    sparse = 2 if step_of(interval) >= timedelta(days=1) else 12
    return min(bars * sparse * step_of(interval) + _WEEKEND, _LONGEST_REACH)


def back(edge: datetime, span: timedelta) -> datetime:
    """The instant that lies so long before another, the begin of time at most."""
    return edge - span if edge - EVER[0] > span else EVER[0]


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest `bars` bars before an instant of series of one market and interval."""

    market: Market
    interval: Interval
    bars: int
    before: datetime
    indicators: bool
    schema: str = "public"

    def send(self, connection: Connection, tickers: Sequence[str], edge: datetime | None) -> Sent:
        """Ask in a pipeline, before the series are known: near `edge`, where the market's newest bars should be."""
        start = EVER[0] if edge is None else self._back(edge, 1)
        return Sent(self, start, self._ask(connection, tickers, start))

    def read(
        self,
        connection: Connection,
        series: Sequence[Stored],
        found: Blocks | None = None,
        start: datetime = EVER[1],
    ) -> Blocks:
        """Read them; or add what lies further back to what was `found` from `start` on, where there may be more."""
        looks: tuple[Callable[[Sequence[Stored]], datetime], ...] = (
            lambda short: self._back(max(entry.last for entry in short), 1),
            lambda short: self._back(min(entry.last for entry in short), _FURTHER),
            lambda short: EVER[0],
        )
        found = found or {}
        for look in looks:
            short = [entry for entry in series if self._may_have_more(entry, found, start)]
            if not short:
                break
            further = look(short)
            if further >= start:
                continue
            start = further
            found = found | slices_of(self._ask(connection, [entry.ticker for entry in short], start))
        return found

    def _ask(self, connection: Connection, tickers: Sequence[str], start: datetime) -> psycopg.Cursor[object]:
        return ask_newest(
            connection,
            self.market,
            self.interval,
            tickers,
            self.bars,
            start,
            self.before,
            indicators=self.indicators,
            schema=self.schema,
        )

    def _back(self, edge: datetime, times: int) -> datetime:
        return back(min(self.before, edge), times * reach(self.interval, self.bars))

    def _may_have_more(self, entry: Stored, found: Blocks, start: datetime) -> bool:
        """A rollup's bar opens before the first stored bar, by less than its width."""
        older = back(entry.first, step_of(self.interval)) < start
        return older and len(found.get(entry.ticker, ())) < self.bars


class Sent(NamedTuple):
    """A question that is on its way."""

    newest: Newest
    start: datetime
    cursor: psycopg.Cursor[object]

    def read(self, connection: Connection, series: Sequence[Stored]) -> Blocks:
        """Read the answer, and ask on where it fell short."""
        return self.newest.read(connection, series, slices_of(self.cursor), self.start)


def onward(
    ask: Callable[[datetime, datetime], BarSlice | None],
    interval: Interval,
    entry: Stored,
    start: datetime,
    before: datetime,
    bars: int,
) -> Iterator[BarSlice]:
    """One series between two instants, at most `bars` bars at a time, oldest first.

    `ask` reads the oldest bars between two instants. Bars that came after the series was looked up are not part of it.
    """
    start = max(start, back(entry.first, step_of(interval)))
    end, span = min(before, entry.last + _NEXT), reach(interval, bars)
    while start < end:
        until = start + span if end - start > span else end
        found = ask(start, until)
        if found is not None:
            yield found
        if found is not None and len(found) >= bars:
            start = instant(int(found.time[-1])) + _NEXT
        else:
            start, span = until, min(2 * span, _LONGEST_REACH)
