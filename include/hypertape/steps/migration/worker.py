"""One worker of a migration: its connections and stores, and the units it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from hypertape.errors import HypertapeError
from hypertape.settings import Settings, load_settings
from hypertape.steps.migration.plan import selection_of
from hypertape.stores import BATCH_ROWS, Block, Store
from hypertape.stores.addresses import open_store
from hypertape.warehouse import migrations
from hypertape.warehouse.connect import connect
from hypertape.warehouse.migrations import PlannedUnit

MOST_UNITS = 200
"""Units in one group: each costs two locks of the server's table."""


@dataclass
class Worker:
    """One worker: its connections, the thread that reads for it, and the stores it has open (each once)."""

    dsn: str
    migration: Mapping[str, Any]
    settings: Settings
    ledger: migrations.Connection
    holders: list[migrations.Connection]
    """One for the group that is being written, one for the group that is being read; the idle ones are here."""
    reader: ThreadPoolExecutor
    rows: int = BATCH_ROWS
    stores: dict[tuple[str, str], Store] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """The migration's id."""
        return int(self.migration["migration_id"])

    @property
    def start(self) -> datetime | None:
        """First opening instant that was asked for."""
        return selection_of(self.migration["options"]).start

    def source(self, unit: PlannedUnit) -> Store:
        """The store a unit is read from."""
        return self._store(unit.address, unit)

    def target(self, unit: PlannedUnit) -> Store:
        """The warehouse; its loads name the unit's file as their source."""
        return self._store("warehouse", unit)

    def blocks(self, unit: PlannedUnit) -> Iterator[Block]:
        """The unit's blocks; while one is worked on the reader fetches the next.

        All reading of a process is one thread's, after what it was asked before (`_sqlite_read` says why).
        """
        series = unit.series
        assert series is not None
        waiting = self.source(unit).read(series, start=self.start, rows=self.rows)
        ahead = self.reader.submit(next, waiting, None)
        while (block := ahead.result()) is not None:
            ahead = self.reader.submit(next, waiting, None)
            yield block

    def _store(self, address: str, unit: PlannedUnit) -> Store:
        key = (address, unit.file)
        if key not in self.stores:
            kind = unit.address.partition(":")[0]
            self.stores[key] = open_store(
                address, settings=self.settings, dsn=self.dsn, now=self.migration["started_at"],
                run_id=self.migration["run_id"], source=f"{kind}:{Path(unit.file).name}",
            )  # fmt: skip
        return self.stores[key]


@contextmanager
def open_worker(
    dsn: str, migration_id: int, settings: Settings | None = None, rows: int = BATCH_ROWS
) -> Iterator[Worker]:
    """A worker of a migration; its stores and connections are closed at the end."""
    with ExitStack() as stack:
        ledger = stack.enter_context(connect(dsn, autocommit=True))
        holders = [stack.enter_context(connect(dsn)) for _ in range(2)]
        migration = migrations.get(ledger, migration_id)
        reader = stack.enter_context(ThreadPoolExecutor(1, "reader"))
        worker = Worker(dsn, migration, settings or load_settings(), ledger, holders, reader, rows)
        try:
            yield worker
        finally:
            for store in worker.stores.values():
                store.close()


@dataclass(frozen=True, slots=True)
class Read:
    """A unit that was read whole, as one block, or the error of reading it."""

    unit: PlannedUnit
    block: Block | None = None
    error: HypertapeError | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Units that are copied together, as the ledger has them; `short` ones are read whole, ahead of their turn."""

    rows: Sequence[migrations.Row]
    short: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Units a worker holds, and what is being read of them if they are short."""

    rows: Sequence[migrations.Row]
    holder: migrations.Connection
    reads: Future[list[Read]] | None


def grouped(rows: Sequence[migrations.Row], most: int) -> Iterator[Group]:
    """Lay short fresh series of one file, market and interval together, up to `most` bars; the others stay alone.

    Long series come first, so that workers end at about the same time, and tables that are no bars last.
    """
    short = [row for row in rows if row["ticker"] and row["attempts"] == 0 and (row["planned"] or 0) <= most]
    chosen = {row["unit"] for row in short}
    alone = [row for row in rows if row["unit"] not in chosen]
    yield from (Group([row]) for row in alone if row["ticker"])
    group: list[migrations.Row] = []
    filled = 0
    for row in sorted(short, key=_kind):
        full = filled + (row["planned"] or 0) > most or len(group) == MOST_UNITS
        if group and (full or _kind(row) != _kind(group[0])):
            yield Group(group, short=True)
            group, filled = [], 0
        group.append(row)
        filled += row["planned"] or 0
    if group:
        yield Group(group, short=True)
    yield from (Group([row]) for row in alone if not row["ticker"])


def hold_next(worker: Worker, groups: Iterator[Group]) -> Held | None:
    """Hold what can be had of the next group, mark it as running and begin to read it; None when there is none left.

    What another worker has, or had since it was listed, is left to it.
    """
    for group in groups:
        holder = worker.holders.pop()
        mine = migrations.claim(holder, worker.id, [row["unit"] for row in group.rows])
        listed = {row["unit"]: row["attempts"] for row in group.rows if row["unit"] in mine}
        if rows := migrations.start(worker.ledger, worker.id, listed):
            return Held(rows, holder, worker.reader.submit(_read_all, worker, rows) if group.short else None)
        let_go(worker, holder)
    return None


def let_go(worker: Worker, holder: migrations.Connection) -> None:
    """Give up what a holder holds."""
    migrations.release(holder)
    worker.holders.append(holder)


def _kind(row: migrations.Row) -> tuple[str, str, str]:
    return row["file"], row["market"], row["interval"]


def _read_all(worker: Worker, rows: Sequence[migrations.Row]) -> list[Read]:
    return [_read(worker, PlannedUnit.of(row)) for row in rows]


def _read(worker: Worker, unit: PlannedUnit) -> Read:
    assert unit.series is not None
    try:
        blocks = list(worker.source(unit).read(unit.series, start=worker.start, rows=worker.rows))
    except HypertapeError as error:
        return Read(unit, error=error)
    return Read(unit, _joined(blocks) if blocks else None)


def _joined(blocks: Sequence[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    return Block(
        pa.concat_tables([block.bars for block in blocks]),
        pa.concat_tables([block.rejects for block in blocks]),
    )
