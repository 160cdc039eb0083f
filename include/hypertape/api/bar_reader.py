"""From a query to the chunks of its answer, out of the warehouse.

Three ways, all in blocks of some ten thousand bars, each a statement of its own, so that neither a table nor a
transaction is held while a client reads:

- stored bars are read as they are, indicators included (but not for a long answer of Arrow's);
- rollups and 4h bars are read with as many bars before as the indicators look back, and followed by them;
- an EMA and others at read time need the series from its first bar on, which is read and dropped up to what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import psycopg

from hypertape.api.bar_chunks import BarChunk, BarSlice, IndicatorStream, cut_to, in_legacy_unit, resampled
from hypertape.api.bar_query import EVER, STATES, BarQuery, refuse_too_many
from hypertape.api.bar_statements import Stored, ask_onward, ask_series, slices_of, stored_of
from hypertape.api.chunk_bounds import Blocks, Newest, onward
from hypertape.api.pool import Connection, Warehouse
from hypertape.api.read_time import ema_columns, with_indicators
from hypertape.frame import ceiling, instant
from hypertape.indicators import LOOKBACK
from hypertape.markets import all_markets
from hypertape.model import Market

BLOCK = 25_000
"""Bars read at a time."""


@dataclass(frozen=True, slots=True)
class NamedSeries:
    """A series of the answer: under which name, of which market, and what is stored of it."""

    name: str
    market: Market
    stored: Stored

    @property
    def ticker(self) -> str:
        """The ticker inside its market."""
        return self.stored.ticker


@dataclass(frozen=True, slots=True)
class Found:
    """The series that answer, and by market the newest bars of its tickers where they came along."""

    series: list[NamedSeries]
    ahead: dict[str, Blocks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BarReader:
    """One query to one warehouse."""

    warehouse: Warehouse
    query: BarQuery

    def find(self, *, ahead: bool = True) -> Found:
        """Ask which series answer, and in the same round trip for their bars where one block holds them.

        `ahead` is false for a caller that may need no bars. Raises BadInput when the answer could have more than
        MOST_BARS bars.
        """
        query = self.query
        at_once = query.markets if ahead and self._fits_a_block() else ()

        def work(connection: Connection) -> Found:
            with connection.pipeline():
                listed = ask_series(connection, query.markets, query.width.interval, _all_tickers(query))
                sent = [
                    self._newest(m).send(connection, query.tickers(m) or [], self._edge(m)) for m in at_once
                ]
            series = name_series(query, stored_of(listed))
            self._remember(series)
            return Found(
                series, {s.newest.market.code: s.read(connection, _of(series, s.newest.market)) for s in sent}
            )

        found = self.warehouse.run(work)
        refuse_too_many(query, [(entry.stored.first, entry.stored.last) for entry in found.series])
        return found

    def parts(self, found: Found) -> Iterator[BarChunk]:
        """The bars of every series of `found`, series by series, oldest first."""
        for group in self._groups(found.series):
            for entry, slices in self._slices(group, found.ahead.get(group[0].market.code)):
                yield from shaped(slices, self.query, entry)

    def _groups(self, series: Sequence[NamedSeries]) -> Iterator[list[NamedSeries]]:
        """Series of one market that are read together: as many as a block holds."""
        group: list[NamedSeries] = []
        held = 0
        for entry in series:
            slots = self.query.slots(entry.stored.first, entry.stored.last)
            bars = BLOCK if self.query.is_of_whole_series else self._bars(slots, LOOKBACK)
            if group and (group[0].market is not entry.market or held + bars > BLOCK):
                yield group
                group, held = [], 0
            group.append(entry)
            held += bars
        if group:
            yield group

    def _slices(
        self, group: Sequence[NamedSeries], ahead: Blocks | None
    ) -> Iterator[tuple[NamedSeries, Iterable[BarSlice]]]:
        """Each series of a group with slices that hold at least what was asked of it."""
        if self.query.is_of_whole_series:
            yield from ((entry, self._onward(entry, EVER[0], BLOCK)) for entry in group)
        elif self.query.newest:
            blocks = self._newest_of(group) if ahead is None else ahead
            yield from ((e, [self._without_part(blocks[e.ticker])]) for e in group if e.ticker in blocks)
        elif len(group) == 1:
            yield group[0], self._after_lookback(group[0])
        else:
            yield from self._onward_together(group)

    def _newest_of(self, group: Sequence[NamedSeries]) -> Blocks:
        market = group[0].market
        return self.warehouse.run(lambda c: self._newest(market).read(c, _of(group, market)))

    def _onward_together(
        self, group: Sequence[NamedSeries]
    ) -> Iterator[tuple[NamedSeries, Iterable[BarSlice]]]:
        """Several series from the start on, after what their indicators look back at, in one round trip."""
        market, tickers = group[0].market, [entry.ticker for entry in group]

        def work(connection: Connection) -> tuple[Blocks, Blocks]:
            with connection.pipeline():
                before = [look.send(connection, tickers, self._start) for look in self._lookback(market)]
                after = self._ask_onward(
                    connection, market, tickers, self._start, self._before, self._forward
                )
            blocks = [sent.read(connection, _of(group, market)) for sent in before]
            return (blocks[0] if blocks else {}), slices_of(after)

        both = self.warehouse.run(work)
        for entry in group:
            yield entry, [blocks[entry.ticker] for blocks in both if entry.ticker in blocks]

    def _after_lookback(self, entry: NamedSeries) -> Iterator[BarSlice]:
        """One series from the start on, block by block, after what its indicators look back at."""
        for look in self._lookback(entry.market):
            yield from self.warehouse.run(partial(look.read, series=[entry.stored])).values()
        yield from self._onward(entry, self._start, self._forward)

    def _onward(self, entry: NamedSeries, start: datetime, most: int) -> Iterator[BarSlice]:
        """One series from `start` on, at most `most` bars at a time, each block sought by its key."""

        def ask(start: datetime, before: datetime) -> BarSlice | None:
            def work(connection: Connection) -> Blocks:
                return slices_of(
                    self._ask_onward(connection, entry.market, [entry.ticker], start, before, most)
                )

            return self.warehouse.run(work).get(entry.ticker)

        return onward(ask, self.query.width.interval, entry.stored, start, self._before, most)

    # --- statements

    def _newest(self, market: Market) -> Newest:
        width, bars = self.query.width, self._bars(self.query.limit or 0, LOOKBACK)
        return Newest(
            market, width.interval, bars, self._before, indicators=width.is_stored, schema=self.query.schema
        )

    def _lookback(self, market: Market) -> list[Newest]:
        """What indicators look back at before the start; nothing where they are read."""
        if not _computes(self.query):
            return []
        interval, bars = self.query.width.interval, self._bars(0, LOOKBACK)
        return [Newest(market, interval, bars, self._start, False, self.query.schema)]

    def _ask_onward(
        self,
        connection: Connection,
        market: Market,
        tickers: Sequence[str],
        start: datetime,
        before: datetime,
        bars: int,
    ) -> psycopg.Cursor[object]:
        return ask_onward(
            connection,
            market,
            self.query.width.interval,
            tickers,
            bars,
            start,
            before,
            indicators=not _computes(self.query),
            schema=self.query.schema,
        )

    def _edge(self, market: Market) -> datetime | None:
        """About where a market's newest bars are: what was last seen of it."""
        return self.warehouse.edges.get((market.code, self.query.width.interval.base))

    def _remember(self, series: Sequence[NamedSeries]) -> None:
        base = self.query.width.interval.base
        for entry in series:
            known = self.warehouse.edges.get((entry.market.code, base), EVER[0])
            self.warehouse.edges[entry.market.code, base] = max(known, entry.stored.last)

    # --- how much to read

    @property
    def _start(self) -> datetime:
        """Where reading starts: at a bar's opening where it is made of hours."""
        start = self.query.start or EVER[0]
        return ceiling(start, self.query.width.step) if self.query.width.hours else start

    @property
    def _before(self) -> datetime:
        """Where reading ends: a bar made of hours is read whole."""
        end = self.query.end or EVER[1]
        return ceiling(end, self.query.width.step) if self.query.width.hours else end

    @property
    def _forward(self) -> int:
        """Bars of the read interval per block from a start on."""
        return min(BLOCK, self._bars(self.query.limit, 0)) if self.query.limit else BLOCK

    def _bars(self, bars: int, lookback: int) -> int:
        """How many bars of the read interval so many bars of the answer are made of, lookback included."""
        width = self.query.width
        if width.is_stored:
            return bars + lookback if _computes(self.query) else bars
        hours = max(width.hours, 1)
        return (bars + lookback) * hours + hours - 1

    def _fits_a_block(self) -> bool:
        query = self.query
        if query.symbols is None or not query.limit or not query.newest or query.is_of_whole_series:
            return False
        return len(query.symbols) * self._bars(query.limit, LOOKBACK) <= BLOCK

    def _without_part(self, bars: BarSlice) -> BarSlice:
        """Without the hours at the beginning that may be only the rest of their bar."""
        width = self.query.width
        if not width.hours or len(bars) < self._bars(self.query.limit or 0, LOOKBACK):
            return bars
        return bars.since(ceiling(instant(int(bars.time[0])), width.step))


def shaped(
    slices: Iterable[BarSlice], query: BarQuery, entry: NamedSeries, *, bare: bool = False
) -> Iterator[BarChunk]:
    """The parts that were asked for, in the query's width and unit, with indicators; `bare` slices have prices only."""
    if query.width.hours:
        slices = resampled(slices, query.width.hours)
    if bare or _computes(query):
        stream = IndicatorStream(query.emas)
        slices = (stream.follow(bars) for bars in slices)
    if query.indicators:
        slices = with_indicators(slices, query, entry.market, entry.ticker)
    for bars in cut_to(slices, query):
        if query.legacy:
            bars = in_legacy_unit(bars, entry.market, entry.ticker, ema_columns(query.emas))
        yield BarChunk(entry.name, bars)


def _computes(query: BarQuery) -> bool:
    """Whether indicators are computed, not read: the bits are the same, and a long answer of Arrow's goes faster so."""
    of_columns = query.format == "arrow" and not query.newest and query.state == STATES[0]
    return of_columns or query.is_of_whole_series or not query.width.is_stored


def name_series(query: BarQuery, stored: Iterable[Stored]) -> list[NamedSeries]:
    """Name the series: by its ticker, or `us:VNM` where a market before it in the query has the ticker too."""
    order = {market.code: position for position, market in enumerate(query.markets)}
    asked = {market.code: query.tickers(market) for market in query.markets}
    taken: set[str] = set()
    result = []
    for entry in sorted(stored, key=lambda entry: (order[entry.market], entry.ticker)):
        wanted = asked[entry.market]
        if wanted is None or entry.ticker in wanted:
            name = entry.ticker if entry.ticker not in taken else f"{entry.market}:{entry.ticker}"
            taken.add(entry.ticker)
            result.append(NamedSeries(name, all_markets()[entry.market], entry))
    return result


def _of(series: Iterable[NamedSeries], market: Market) -> list[Stored]:
    return [entry.stored for entry in series if entry.market is market]


def _all_tickers(query: BarQuery) -> list[str] | None:
    if query.symbols is None:
        return None
    return sorted({t for market in query.markets for t in query.tickers(market) or ()})
