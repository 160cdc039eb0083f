"""One worker of a migration: its connection and stores, and the units it has claimed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hypertape.settings import Settings
from hypertape.steps.migration.plan import selection_of
from hypertape.stores import BATCH_ROWS, Selection, Store
from hypertape.stores.addresses import open_store
from hypertape.stores.read_ahead import ReadAhead, SeriesRead
from hypertape.stores.warehouse import WarehouseStore
from hypertape.warehouse import claims, migration_ledger
from hypertape.warehouse.claims import Claim
from hypertape.warehouse.connect import connect
from hypertape.warehouse.migration_ledger import Migration, Progress, Unit

MOST_UNITS = 200
"""Units in one group."""

KIND = "migration"
"""Of the claims."""


@dataclass
class Worker:
    """One worker: its connection to the ledger, the thread that reads for it, and its open stores (each once)."""

    dsn: str
    migration: Migration
    settings: Settings
    ledger: migration_ledger.Connection
    claimant: claims.Worker
    reader: ReadAhead
    rows: int = BATCH_ROWS
    held: dict[str, Claim] = field(default_factory=dict)
    stores: dict[tuple[str, str], Store] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """The migration's id."""
        return self.migration.migration_id

    @property
    def selection(self) -> Selection:
        """What was asked for of each file."""
        return selection_of(self.migration.options)

    @property
    def start(self) -> datetime | None:
        """First opening instant that was asked for."""
        return self.migration.options.start

    @property
    def now(self) -> datetime:
        """What the gate takes for the present, the same for all workers and tries."""
        return self.migration.started_at

    def source(self, unit: Unit) -> Store:
        """The store a unit is read from."""
        return self._store(unit.address, unit)

    def target(self, unit: Unit) -> WarehouseStore:
        """The warehouse; its loads name the unit's file as their source, and need the worker's claims."""
        store = self._store("warehouse", unit)
        assert isinstance(store, WarehouseStore)
        store.guard = self._require
        return store

    def advance(self, progress: Mapping[str, Progress], *, done: bool = False) -> None:
        """Note what committed blocks did to their units, while these are this worker's. Raises ClaimLost."""
        with self.ledger.transaction():
            self._require(self.ledger, list(progress))
            migration_ledger.advance(self.ledger, self.id, progress, done=done)

    def take(self, units: Sequence[Unit]) -> list[Unit]:
        """Claim what nobody else works on, mark it as running, and return it as the ledger has it now."""
        names = [f"{self.id}/{unit.unit}" for unit in units]
        mine = {claim.unit: claim for claim in self.claimant.take(self.ledger, KIND, names)}
        listed = {unit.unit: unit.attempts for unit, name in zip(units, names, strict=True) if name in mine}
        begun = migration_ledger.start(self.ledger, self.id, listed)
        self.held |= {unit.unit: mine.pop(f"{self.id}/{unit.unit}") for unit in begun}
        self.claimant.release(self.ledger, list(mine.values()))
        return begun

    def let_go(self, units: Sequence[Unit], errors: Mapping[str, Exception]) -> None:
        """End the claims of some units."""
        ended = [self.held.pop(unit.unit) for unit in units if unit.unit in self.held]
        told = {f"{self.id}/{unit}": str(error) for unit, error in errors.items()}
        self.claimant.end(self.ledger, ended, told)

    def _require(self, connection: migration_ledger.Connection, units: Sequence[str] | None = None) -> None:
        self.claimant.require(
            connection, [claim for unit, claim in self.held.items() if units is None or unit in units]
        )

    def _store(self, address: str, unit: Unit) -> Store:
        key = (address, unit.file)
        if key not in self.stores:
            self.stores[key] = open_store(
                address, settings=self.settings, dsn=self.dsn, now=self.now, run_id=self.migration.run_id,
                source=source_of(unit),
            )  # fmt: skip
        return self.stores[key]


def source_of(unit: Unit) -> str:
    """What loads and quarantine call a unit's file: `stockula:market.db`."""
    return f"{unit.address.partition(':')[0]}:{Path(unit.file).name}"


@contextmanager
def open_worker(dsn: str, migration_id: int, settings: Settings, rows: int = BATCH_ROWS) -> Iterator[Worker]:
    """A worker of a migration; its stores and connections are closed at the end."""
    with (
        connect(dsn, autocommit=True) as ledger,
        claims.working(dsn, KIND) as claimant,
        ReadAhead() as reader,
    ):
        migration = migration_ledger.get(ledger, migration_id)
        worker = Worker(dsn, migration, settings, ledger, claimant, reader, rows)
        try:
            yield worker
        finally:
            for store in worker.stores.values():
                store.close()


@dataclass(frozen=True, slots=True)
class Group:
    """Units that are copied together, as the ledger has them; `short` ones are read whole, ahead of their turn."""

    units: Sequence[Unit]
    short: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """Units a worker has claimed, and what is being read of them if they are short."""

    units: Sequence[Unit]
    reads: Future[list[SeriesRead]] | None


def grouped(units: Sequence[Unit], most: int) -> Iterator[Group]:
    """Lay short fresh series of one file, market and interval together, up to `most` bars; the others stay alone.

    Long series come first, so that workers end at about the same time, and tables that are no bars last.
    """
    short = [unit for unit in units if unit.series and unit.attempts == 0 and (unit.planned or 0) <= most]
    chosen = {unit.unit for unit in short}
    alone = [unit for unit in units if unit.unit not in chosen]
    yield from (Group([unit]) for unit in alone if unit.series)
    group: list[Unit] = []
    filled = 0
    for unit in sorted(short, key=_kind):
        full = filled + (unit.planned or 0) > most or len(group) == MOST_UNITS
        if group and (full or _kind(unit) != _kind(group[0])):
            yield Group(group, short=True)
            group, filled = [], 0
        group.append(unit)
        filled += unit.planned or 0
    if group:
        yield Group(group, short=True)
    yield from (Group([unit]) for unit in alone if not unit.series)


def take_next(worker: Worker, groups: Iterator[Group]) -> Taken | None:
    """Claim what can be had of the next group and begin to read it; None when there is none left.

    What another worker has, or had since it was listed, is left to it.
    """
    for group in groups:
        if units := worker.take(group.units):
            together = group.short and not worker.migration.dry_run
            return Taken(units, _read_ahead(worker, units) if together else None)
    return None


def _read_ahead(worker: Worker, units: Sequence[Unit]) -> Future[list[SeriesRead]]:
    wanted = [unit.series for unit in units if unit.series is not None]
    source = worker.source(units[0])
    return worker.reader.whole(source, wanted, start=worker.start, now=worker.now, rows=worker.rows)


def _kind(unit: Unit) -> tuple[str, str | None, str | None]:
    return unit.file, unit.market, unit.interval
