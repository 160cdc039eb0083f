"""From a question to the parts of its answer, out of the warehouse.

Three ways, all in blocks of some ten thousand bars, each a statement of its own, so that neither a table nor a
transaction is held while a client reads:

- stored bars are read as they are, indicators included;
- rollups and 4h bars are read with as many bars before as the indicators look back, and followed by them;
- an EMA needs its series from the first bar on, which is read and dropped again up to what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import psycopg

from hypertape.api.bar_chunks import Follower, Part, Stretch, cut_to, in_legacy_unit, widened
from hypertape.api.bar_query import EVER, Question, ceiling, refuse_too_many
from hypertape.api.bar_statements import Stored, ask_onward, ask_series, stored_of, stretches_of
from hypertape.api.chunk_bounds import Blocks, Newest, onward
from hypertape.api.pool import Connection, Warehouse
from hypertape.frame import instant
from hypertape.indicators import LOOKBACK
from hypertape.markets import all_markets
from hypertape.model import Market

BLOCK = 25_000
"""Bars read at a time."""


@dataclass(frozen=True, slots=True)
class Named:
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

    series: list[Named]
    ahead: dict[str, Blocks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """One question to one warehouse."""

    warehouse: Warehouse
    question: Question

    def find(self, *, ahead: bool = True) -> Found:
        """Ask which series answer, and in the same round trip for their bars where one block holds them.

        `ahead` is false for a caller that may need no bars. Raises BadInput when the answer could have more than
        MOST_BARS bars.
        """
        question = self.question
        at_once = question.markets if ahead and self._fits_a_block() else ()

        def work(connection: Connection) -> Found:
            with connection.pipeline():
                listed = ask_series(
                    connection, question.markets, question.width.interval, _all_tickers(question)
                )
                sent = [
                    self._newest(m).send(connection, question.tickers(m) or [], self._edge(m))
                    for m in at_once
                ]
            series = named(question, stored_of(listed))
            self._remember(series)
            return Found(
                series, {s.newest.market.code: s.read(connection, _of(series, s.newest.market)) for s in sent}
            )

        found = self.warehouse.run(work)
        refuse_too_many(question, [(entry.stored.first, entry.stored.last) for entry in found.series])
        return found

    def parts(self, found: Found) -> Iterator[Part]:
        """The bars of every series of `found`, series by series, oldest first."""
        for group in self._groups(found.series):
            for entry, stretches in self._stretches(group, found.ahead.get(group[0].market.code)):
                yield from finished(stretches, self.question, entry)

    def _groups(self, series: Sequence[Named]) -> Iterator[list[Named]]:
        """Series of one market that are read together: as many as a block holds."""
        group: list[Named] = []
        held = 0
        for entry in series:
            slots = self.question.slots(entry.stored.first, entry.stored.last)
            bars = BLOCK if self.question.emas else self._bars(slots, LOOKBACK)
            if group and (group[0].market is not entry.market or held + bars > BLOCK):
                yield group
                group, held = [], 0
            group.append(entry)
            held += bars
        if group:
            yield group

    def _stretches(
        self, group: Sequence[Named], ahead: Blocks | None
    ) -> Iterator[tuple[Named, Iterable[Stretch]]]:
        """Each series of a group with stretches that hold at least what was asked of it."""
        if self.question.emas:
            yield from ((entry, self._onward(entry, EVER[0], BLOCK)) for entry in group)
        elif self.question.newest:
            blocks = self._newest_of(group) if ahead is None else ahead
            yield from ((e, [self._without_part(blocks[e.ticker])]) for e in group if e.ticker in blocks)
        elif len(group) == 1:
            yield group[0], self._after_lookback(group[0])
        else:
            yield from self._onward_together(group)

    def _newest_of(self, group: Sequence[Named]) -> Blocks:
        market = group[0].market
        return self.warehouse.run(lambda c: self._newest(market).read(c, _of(group, market)))

    def _onward_together(self, group: Sequence[Named]) -> Iterator[tuple[Named, Iterable[Stretch]]]:
        """Several series from the start on, after what their indicators look back at, in one round trip."""
        market, tickers = group[0].market, [entry.ticker for entry in group]

        def work(connection: Connection) -> tuple[Blocks, Blocks]:
            with connection.pipeline():
                before = [look.send(connection, tickers, self._start) for look in self._lookback(market)]
                after = self._ask_onward(
                    connection, market, tickers, self._start, self._before, self._forward
                )
            blocks = [sent.read(connection, _of(group, market)) for sent in before]
            return (blocks[0] if blocks else {}), stretches_of(after)

        both = self.warehouse.run(work)
        for entry in group:
            yield entry, [blocks[entry.ticker] for blocks in both if entry.ticker in blocks]

    def _after_lookback(self, entry: Named) -> Iterator[Stretch]:
        """One series from the start on, block by block, after what its indicators look back at."""
        for look in self._lookback(entry.market):
            yield from self.warehouse.run(partial(look.read, series=[entry.stored])).values()
        yield from self._onward(entry, self._start, self._forward)

    def _onward(self, entry: Named, start: datetime, most: int) -> Iterator[Stretch]:
        """One series from `start` on, at most `most` bars at a time, each block sought by its key."""

        def ask(start: datetime, before: datetime) -> Stretch | None:
            def work(connection: Connection) -> Blocks:
                return stretches_of(
                    self._ask_onward(connection, entry.market, [entry.ticker], start, before, most)
                )

            return self.warehouse.run(work).get(entry.ticker)

        return onward(ask, self.question.width.interval, entry.stored, start, self._before, most)

    # --- statements

    def _newest(self, market: Market) -> Newest:
        width, bars = self.question.width, self._bars(self.question.limit or 0, LOOKBACK)
        return Newest(market, width.interval, bars, self._before, indicators=width.is_stored)

    def _lookback(self, market: Market) -> list[Newest]:
        """What indicators look back at before the start; nothing where they are stored."""
        width = self.question.width
        if width.is_stored:
            return []
        return [Newest(market, width.interval, self._bars(0, LOOKBACK), self._start, indicators=False)]

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
            self.question.width.interval,
            tickers,
            bars,
            start,
            before,
            indicators=self._with_indicators,
        )

    def _edge(self, market: Market) -> datetime | None:
        """About where a market's newest bars are: what was last seen of it."""
        return self.warehouse.edges.get((market.code, self.question.width.interval.base))

    def _remember(self, series: Sequence[Named]) -> None:
        base = self.question.width.interval.base
        for entry in series:
            known = self.warehouse.edges.get((entry.market.code, base), EVER[0])
            self.warehouse.edges[entry.market.code, base] = max(known, entry.stored.last)

    # --- how much to read

    @property
    def _with_indicators(self) -> bool:
        return self.question.width.is_stored and not self.question.emas

    @property
    def _start(self) -> datetime:
        """Where reading starts: at a bar's opening where it is made of hours."""
        start = self.question.start or EVER[0]
        return ceiling(start, self.question.width.step) if self.question.width.hours else start

    @property
    def _before(self) -> datetime:
        """Where reading ends: a bar made of hours is read whole."""
        end = self.question.end or EVER[1]
        return ceiling(end, self.question.width.step) if self.question.width.hours else end

    @property
    def _forward(self) -> int:
        """Bars of the read interval per block from a start on."""
        return min(BLOCK, self._bars(self.question.limit, 0)) if self.question.limit else BLOCK

    def _bars(self, bars: int, lookback: int) -> int:
        """How many bars of the read interval so many bars of the answer are made of, lookback included."""
        width = self.question.width
        if width.is_stored:
            return bars
        hours = max(width.hours, 1)
        return (bars + lookback) * hours + hours - 1

    def _fits_a_block(self) -> bool:
        question = self.question
        if question.symbols is None or not question.limit or not question.newest or question.emas:
            return False
        return len(question.symbols) * self._bars(question.limit, LOOKBACK) <= BLOCK

    def _without_part(self, bars: Stretch) -> Stretch:
        """Without the hours at the beginning that may be only the rest of their bar."""
        width = self.question.width
        if not width.hours or len(bars) < self._bars(self.question.limit or 0, LOOKBACK):
            return bars
        return bars.since(ceiling(instant(int(bars.time[0])), width.step))


def finished(
    stretches: Iterable[Stretch], question: Question, entry: Named, *, bare: bool = False
) -> Iterator[Part]:
    """The parts that were asked for: in the question's width and unit, with indicators.

    `bare` stretches have prices only, whatever their width.
    """
    if question.width.hours:
        stretches = widened(stretches, question.width.hours)
    if bare or question.emas or not question.width.is_stored:
        follower = Follower(question.emas)
        stretches = (follower.follow(bars) for bars in stretches)
    for bars in cut_to(stretches, question):
        if question.legacy:
            bars = in_legacy_unit(bars, entry.market, entry.ticker)
        yield Part(entry.name, bars)


def named(question: Question, stored: Iterable[Stored]) -> list[Named]:
    """Name the series: by its ticker, or `us:VNM` where a market before it in the question has the ticker too."""
    order = {market.code: position for position, market in enumerate(question.markets)}
    asked = {market.code: question.tickers(market) for market in question.markets}
    taken: set[str] = set()
    result = []
    for entry in sorted(stored, key=lambda entry: (order[entry.market], entry.ticker)):
        wanted = asked[entry.market]
        if wanted is None or entry.ticker in wanted:
            name = entry.ticker if entry.ticker not in taken else f"{entry.market}:{entry.ticker}"
            taken.add(entry.ticker)
            result.append(Named(name, all_markets()[entry.market], entry))
    return result


def _of(series: Iterable[Named], market: Market) -> list[Stored]:
    return [entry.stored for entry in series if entry.market is market]


def _all_tickers(question: Question) -> list[str] | None:
    if question.symbols is None:
        return None
    return sorted({t for market in question.markets for t in question.tickers(market) or ()})
