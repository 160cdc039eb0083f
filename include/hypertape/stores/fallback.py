"""Reading from several stores in order: per ticker, from the first one that has it complete.

A store that lacks a ticker, whose series starts later or ends earlier than another store's, or that knows of fewer bars
in the same span, gives a *partial* answer; the ticker is then served by the next store. What a store does not say of a
series (a CSV file would have to be read for it) shows while it is read: one that starts later is passed over, and where
it ends too early the next store goes on. Every answer names its store.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from hypertape.errors import HypertapeError, StoreAway
from hypertape.frame import instant, times_of
from hypertape.model import Interval, Market, Series
from hypertape.settings import Settings
from hypertape.stores import Block, Selection, SeriesInfo, Store
from hypertape.stores.addresses import Opening
from hypertape.stores.breaker import Breaker, State

_FAILURES = (HypertapeError, OSError, sqlite3.Error, pa.ArrowException)
_NEXT = timedelta(microseconds=1)

Span = tuple[datetime, datetime, int]
"""First and last opening, and the number of bars (0 where the store does not say)."""


@dataclass(frozen=True, slots=True)
class Served:
    """Some bars of one series in time order, and the address of the store they come from.

    `partial` is true when the store has less of the series than another one says there is, and the other one could
    not be read.
    """

    series: Series
    store: str
    block: Block
    partial: bool = False


@dataclass(slots=True)
class Choice:
    """Who may serve what: per series the stores in the order to try them, and which of them have it complete.

    `reach` is the first and last opening that any store says there is. `failures` holds the errors of the stores that
    did not answer, by address; `resting` are those that were not asked because their breaker is open. A series that is
    not a candidate's is in no store that answered.
    """

    candidates: dict[Series, list[str]] = field(default_factory=dict)
    complete: dict[Series, set[str]] = field(default_factory=dict)
    reach: dict[Series, tuple[datetime, datetime]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)

    def starts_late(self, series: Series, first: datetime, start: datetime | None) -> bool:
        """True when bars from `start` on that begin at `first` lack some that another store says it has."""
        reach = self.reach.get(series)
        return reach is not None and first > reach[0] and (start is None or reach[0] > start)

    def ends(self, series: Series, following: datetime | None) -> bool:
        """True when no store says that it has bars at or after `following`."""
        reach = self.reach.get(series)
        return reach is None or (following is not None and following > reach[1])


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer that is read block by block, and what is known of it before the first one."""

    choice: Choice
    blocks: Iterator[Served]

    def __iter__(self) -> Iterator[Served]:
        return self.blocks


class FallbackReader:
    """Reads through several stores in order of preference, each behind a circuit breaker.

    `stores` maps each address to a function that opens it; a store is opened when it is first needed and again after
    it failed. For one thread at a time; `breakers` may be shared between readers, and gets those that it lacks.
    """

    def __init__(
        self,
        stores: Mapping[str, Callable[[], Store]],
        *,
        breakers: dict[str, Breaker] | None = None,
        failures: int = 3,
        pause: timedelta = timedelta(seconds=30),
    ) -> None:
        self._openers = dict(stores)
        self._open: dict[str, Store] = {}
        self.breakers = {} if breakers is None else breakers
        for address in stores:
            self.breakers.setdefault(address, Breaker(failures, pause))

    def choose(self, selection: Selection, *, now: datetime) -> Choice:
        """Ask every store what it has of the selection and decide who serves each series.

        Raises StoreAway when no store answers.
        """
        choice = Choice()
        spans: dict[str, dict[Series, Span | None]] = {}
        for address in self._openers:
            if not self.breakers[address].allows(now):
                choice.resting.append(address)
                continue
            try:
                found = self._store(address).series(selection)
                spans[address] = {info.series: _span(info, selection.start) for info in found}
                if self.breakers[address].state is not State.CLOSED:
                    self.breakers[address].succeeded()
            except _FAILURES as error:
                self._failed(address, now)
                choice.failures[address] = str(error)
        if not spans:
            raise _nobody(choice)
        for series in sorted({series for found in spans.values() for series in found}):
            _rank(choice, series, {a: found[series] for a, found in spans.items() if series in found})
        return choice

    def read(
        self,
        market: Market,
        interval: Interval,
        tickers: Sequence[str] = (),
        *,
        start: datetime | None = None,
        now: datetime,
    ) -> Reading:
        """Read the bars of some tickers (none named: all) from `start` (UTC) on, ticker by ticker, in blocks.

        A ticker that no store has is absent; `choice` says which stores did not answer. When a store fails in the
        middle of a ticker the next one goes on after the last bar that was served. Raises StoreAway when no store
        answers, or while reading when none that has the ticker can be read.
        """
        selection = Selection((market.code,), (interval,), tuple(tickers), start)
        choice = self.choose(selection, now=now)
        blocks = (served for s in choice.candidates for served in self._serve(s, choice, start, now))
        return Reading(choice, blocks)

    def close(self) -> None:
        """Close the stores that were opened."""
        for address in list(self._open):
            self._drop(address)

    def _serve(
        self, series: Series, choice: Choice, start: datetime | None, now: datetime
    ) -> Iterator[Served]:
        """Serve one series from its candidates; `start` moves on with what was served."""
        answered = False
        queue = deque(choice.candidates[series])
        complete = choice.complete[series]
        while queue:
            address = queue.popleft()
            partial = address not in complete
            if not self.breakers[address].allows(now):
                continue
            try:
                for block in self._bars(address, series, start):
                    times = times_of(block.bars)
                    if (
                        not partial
                        and not answered
                        and choice.starts_late(series, instant(int(times[0])), start)
                    ):
                        complete.discard(address)
                        queue.append(address)
                        break
                    yield Served(series, address, block, partial)
                    start, answered = instant(int(times[-1])) + _NEXT, True
                else:
                    self.breakers[address].succeeded()
                    answered = True
                    if partial or choice.ends(series, start):
                        return
            except _FAILURES as error:
                self._failed(address, now)
                choice.failures[address] = str(error)
        if not answered:
            raise _nobody(choice, series)

    def _bars(self, address: str, series: Series, start: datetime | None) -> Iterator[Block]:
        blocks = self._store(address).read(series, start=start)
        return (block for block in blocks if len(block.bars))

    def _store(self, address: str) -> Store:
        if address not in self._open:
            self._open[address] = self._openers[address]()
        return self._open[address]

    def _failed(self, address: str, now: datetime) -> None:
        self.breakers[address].failed(now)
        self._drop(address)

    def _drop(self, address: str) -> None:
        store = self._open.pop(address, None)
        if store is not None:
            store.close()


def reader_of(
    settings: Settings,
    *,
    now: datetime,
    run_id: str,
    dsn: str | None = None,
    breakers: dict[str, Breaker] | None = None,
) -> FallbackReader:
    """The reader over the stores that the environment names, in its order. `breakers` outlive a reader; share them."""
    openings = [Opening(address, settings, now, run_id, dsn) for address in settings.read_order]
    return FallbackReader({opening.address: opening.open for opening in openings}, breakers=breakers)


def serving(answers: Iterable[Served]) -> dict[Series, tuple[str, ...]]:
    """Which store served each series; more than one when the first failed in the middle."""
    named: dict[Series, dict[str, None]] = {}
    for answer in answers:
        named.setdefault(answer.series, {})[answer.store] = None
    return {series: tuple(stores) for series, stores in named.items()}


def _span(info: SeriesInfo, start: datetime | None) -> Span | None:
    """What a store says it has from `start` on; its count says nothing of a part of the series."""
    if info.first is None or info.last is None:
        return None
    if start is None or start <= info.first:
        return info.first, info.last, info.rows or 0
    return start, info.last, 0


def _rank(choice: Choice, series: Series, spans: Mapping[str, Span | None]) -> None:
    """Order the stores of one series: the complete ones as configured, then the others by how much they have.

    A store that does not say what it has is believed to be complete until it is read.
    """
    said = [span for span in spans.values() if span is not None]
    if said:
        choice.reach[series] = (min(s[0] for s in said), max(s[1] for s in said))
    reach = choice.reach.get(series)
    most = max((s[2] for s in said if s[:2] == reach), default=0)
    whole = [a for a, s in spans.items() if s is None or (s[:2] == reach and s[2] in (0, most))]
    rest = [address for address in spans if address not in whole]
    rest.sort(key=lambda address: _reach(spans[address]), reverse=True)
    choice.candidates[series] = whole + rest
    choice.complete[series] = set(whole)


def _reach(span: Span | None) -> tuple[datetime, float]:
    """What makes one incomplete store better than another: newer bars first, then a longer span."""
    assert span is not None
    return span[1], (span[1] - span[0]).total_seconds()


def _nobody(choice: Choice, series: Series | None = None) -> StoreAway:
    reasons = [f"{address}: {error}" for address, error in choice.failures.items()]
    reasons += [f"{address}: resting after failures" for address in choice.resting]
    what = f"No store that has {series} can be read" if series else "No store answers"
    return StoreAway(
        f"{what}: {'; '.join(reasons)}",
        next_step="Mend one of them, or name others in HYPERTAPE_READ_STORES.",
    )
