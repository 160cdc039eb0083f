"""Stored bars from several stores, where the environment or a cut-over names more than the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from threading import Lock

from hypertape.api.bar_chunks import PRICES, BarChunk, BarSlice
from hypertape.api.bar_query import EVER, BarQuery, refuse_too_many
from hypertape.api.bar_reader import BarReader, Found, NamedSeries, name_series, shaped
from hypertape.api.bar_statements import Stored, ask_series, stored_of
from hypertape.api.pool import Warehouse
from hypertape.api.ttl_cache import TtlCache
from hypertape.errors import HypertapeError
from hypertape.frame import floats_of, times_of
from hypertape.model import Series
from hypertape.settings import Settings
from hypertape.stores import Selection
from hypertape.stores.breaker import Breaker
from hypertape.stores.fallback import Choice, FallbackReader, reader_of
from hypertape.warehouse import cutover

WAREHOUSE = "warehouse"
STANDING_SECONDS = 10.0
"""How long a cut-over may go unnoticed."""


class StoreRouter:
    """The stores that reads go through, which of them is the truth, and readers that are ready for the next request.

    `order` is the warehouse alone unless HYPERTAPE_READ_STORES and its like name more, or SQLite is the truth.
    """

    def __init__(self, settings: Settings, warehouse: Warehouse) -> None:
        self._settings, self._warehouse = settings, warehouse
        self._standing: TtlCache[str | None] = TtlCache(STANDING_SECONDS)
        self._last: str | None = None
        self._breakers: dict[str, Breaker] = {}
        self._idle: list[tuple[tuple[str, ...], FallbackReader]] = []
        self._lock = Lock()

    def order(self) -> tuple[str, ...]:
        """The stores in the order they are asked, the truth first."""
        truth = self._standing.get("truth", self._truth)
        configured = self._settings.read_order
        return configured if truth is None else tuple(dict.fromkeys((truth, *configured)))

    def open(self, order: tuple[str, ...], now: datetime) -> FallbackReader:
        """A reader over these stores; give it back with `done`."""
        with self._lock:
            for position, (stores, reader) in enumerate(self._idle):
                if stores == order:
                    del self._idle[position]
                    return reader
        settings = self._settings.model_copy(update={"read_stores": ",".join(order)})
        return reader_of(settings, now=now, run_id="api", dsn=self._warehouse.dsn(), breakers=self._breakers)

    def done(self, order: tuple[str, ...], reader: FallbackReader) -> None:
        """Keep a reader for the next request, or close it when there are enough."""
        with self._lock:
            if len(self._idle) < 4:
                self._idle.append((order, reader))
                return
        reader.close()

    def forget(self) -> None:
        """Ask anew which store is the truth, and every store that was resting."""
        self._standing.clear()
        self.close()
        self._breakers.clear()

    def close(self) -> None:
        """Close the readers that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, reader in idle:
            reader.close()

    def _truth(self) -> str | None:
        """The address of the store that is the truth; None for the warehouse. While it is away, what was known last."""
        try:
            found = self._warehouse.run(cutover.standing)
        except HypertapeError:
            return self._last
        self._last = found.address if found is not None and found.truth == cutover.SQLITE else None
        return self._last


class Search:
    """One query to several stores: who serves which series, and the parts."""

    def __init__(
        self,
        router: StoreRouter,
        warehouse: Warehouse,
        query: BarQuery,
        order: tuple[str, ...],
        now: datetime,
    ) -> None:
        self._router, self._warehouse, self._query = router, warehouse, query
        self._order, self._now = order, now
        self._reader = router.open(order, now)
        try:
            self.choice = self._choose()
            self.series = name_series(
                query, [_stored(series, self.choice) for series in self.choice.candidates]
            )
            spans = [self.choice.reach[s] for s in map(self._key, self.series) if s in self.choice.reach]
            refuse_too_many(query, spans)
        except BaseException:
            self._reader.close()
            raise

    @property
    def stores(self) -> tuple[str, ...]:
        """The stores that serve the answer, the one with the most series first."""
        served = [self.choice.candidates[self._key(entry)][0] for entry in self.series]
        return tuple(sorted(set(served), key=lambda store: (-served.count(store), store)))

    def stored(self) -> list[Stored]:
        """The series of the answer; of those that the warehouse serves with what it knows of them."""
        found = {(entry.market.code, entry.ticker): entry.stored for entry in self.series}
        ours = sorted({e.ticker for e in self.series if self.choice.candidates[self._key(e)][0] == WAREHOUSE})
        if ours:
            width, markets = self._query.width.interval, self._query.markets
            known = self._warehouse.run(lambda c: stored_of(ask_series(c, markets, width, ours)))
            found |= {at: entry for entry in known if (at := (entry.market, entry.ticker)) in found}
        return list(found.values())

    def parts(self) -> Iterator[BarChunk]:
        """The bars of every series, each from the store that has it; a store that fails gives way to the next."""
        ours = [e for e in self.series if self.choice.candidates[self._key(e)][0] == WAREHOUSE]
        try:
            yield from BarReader(self._warehouse, self._query).parts(Found(ours))
            yield from self._other_parts([e for e in self.series if e not in ours])
        except BaseException:
            self._reader.close()
            raise
        self._router.done(self._order, self._reader)

    def _other_parts(self, entries: list[NamedSeries]) -> Iterator[BarChunk]:
        interval = self._query.width.interval
        for entry in entries:
            reading = self._reader.read(entry.market, interval, [entry.ticker], now=self._now)
            for _, answers in groupby(reading, key=lambda answer: answer.series):
                slices = (_slice(answer.block.bars) for answer in answers)
                yield from shaped(slices, self._query, entry, bare=True)

    def _choose(self) -> Choice:
        query = self._query
        tickers = {t for market in query.markets for t in query.tickers(market) or ()}
        if query.symbols is not None and not tickers:
            return Choice()
        codes = tuple(market.code for market in query.markets)
        selection = Selection(codes, (query.width.interval,), tuple(sorted(tickers)))
        return self._reader.choose(selection, now=self._now)

    def _key(self, entry: NamedSeries) -> Series:
        return Series(entry.market.code, entry.ticker, self._query.width.interval)


def _stored(series: Series, choice: Choice) -> Stored:
    first, last = choice.reach.get(series, EVER)
    return Stored(series.market, series.ticker, first, last, None, None, None)


def _slice(bars: object) -> BarSlice:
    return BarSlice(times_of(bars), {name: floats_of(bars, name) for name in PRICES})
