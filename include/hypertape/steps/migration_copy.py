"""Copy the units of a migration, one after the other, each resumable at its last committed block."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa

from hypertape.errors import BatchIncomplete, BatchRefused, HypertapeError, TransientError
from hypertape.frame import instant, micros, times_of
from hypertape.markets import get_market
from hypertape.model import Series
from hypertape.settings import Settings, load_settings
from hypertape.steps.migration_plan import selection_of
from hypertape.steps.migration_tables import copy_table
from hypertape.stores import BATCH_ROWS, Block, Store
from hypertape.stores.addresses import open_store
from hypertape.warehouse import transfer
from hypertape.warehouse.connect import connect
from hypertape.warehouse.transfer import PlannedUnit, Progress

OnUnit = Callable[[str], None]
"""Called with the name of each unit that this worker has ended."""

_COUNTS = ("rows_read", "inserted", "updated", "unchanged", "refused")


@dataclass
class Worker:
    """One worker: its connections, and the stores it has open (both sides of each file once)."""

    dsn: str
    migration: Mapping[str, Any]
    settings: Settings
    ledger: transfer.Connection
    holder: transfer.Connection
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

    def _store(self, address: str, unit: PlannedUnit) -> Store:
        key = (address, unit.file)
        if key not in self.stores:
            kind = unit.address.partition(":")[0]
            self.stores[key] = open_store(
                address, settings=self.settings, dsn=self.dsn, now=self.migration["started_at"],
                run_id=self.migration["run_id"], source=f"{kind}:{Path(unit.file).name}",
            )  # fmt: skip
        return self.stores[key]


def copy(
    dsn: str,
    reference: Mapping[str, Any],
    *,
    settings: Settings | None = None,
    rows: int = BATCH_ROWS,
    on_unit: OnUnit | None = None,
) -> dict[str, Any]:
    """Copy what is open of one part of a migration (of all of it without `part`) and return counts as JSON.

    Units another worker holds at this moment are left to it. A unit that fails is recorded and the others are copied;
    then BatchIncomplete (a retry may help) or BatchRefused is raised with the list.
    """
    counts = dict.fromkeys(_COUNTS, 0) | {"units": 0}
    failed: dict[str, Exception] = {}
    with open_worker(dsn, reference["migration_id"], settings, rows) as worker:
        for row in transfer.units(
            worker.ledger, worker.id, part=reference.get("part"), states=("pending", "running", "failed")
        ):
            unit = PlannedUnit.of(row)
            try:
                done = copy_unit(worker, unit, row["attempts"])
            except (HypertapeError, psycopg.Error) as error:  # one row must not stop the others
                transfer.end(worker.ledger, worker.id, unit.unit, "failed", str(error))
                failed[unit.unit] = error
                continue
            if done is not None:
                counts = {name: counts[name] + done.get(name, 1) for name in counts}
            if on_unit is not None:
                on_unit(unit.unit)
    _raise_for(failed)
    return counts


@contextmanager
def open_worker(
    dsn: str, migration_id: int, settings: Settings | None = None, rows: int = BATCH_ROWS
) -> Iterator[Worker]:
    """A worker of a migration; its stores and connections are closed at the end."""
    with connect(dsn, autocommit=True) as ledger, connect(dsn, autocommit=True) as holder:
        migration = transfer.get(ledger, migration_id)
        worker = Worker(dsn, migration, settings or load_settings(), ledger, holder, rows)
        try:
            yield worker
        finally:
            for store in worker.stores.values():
                store.close()


def copy_unit(worker: Worker, unit: PlannedUnit, attempts: int) -> dict[str, int] | None:
    """Copy one unit from where it stands; None when another worker has it, or had it since `attempts` was read.

    Its end is recorded strictly after its last bars are committed.
    """
    with transfer.claimed(worker.holder, worker.id, unit.unit) as mine:
        row = transfer.start(worker.ledger, worker.id, unit.unit, attempts) if mine else None
        if row is None:
            return None
        before = [row[name] for name in _COUNTS]
        series = unit.series
        if series is None:
            _copy_other(worker, unit)
        else:
            _copy_series(worker, unit, series, row["reached"])
        transfer.end(worker.ledger, worker.id, unit.unit, "done")
        after = transfer.one(worker.ledger, worker.id, unit.unit)
        return {name: after[name] - old for name, old in zip(_COUNTS, before, strict=True)}


def _copy_series(worker: Worker, unit: PlannedUnit, series: Series, reached: datetime | None) -> None:
    """Copy what opens after `reached`.

    Rows that are no bars have no sure place in time, so each pass hands over all of them (quarantine keeps each once)
    and counts them at its end.
    """
    market, target, rejected = get_market(series.market), worker.target(unit), 0
    for whole in worker.source(unit).read(series, start=worker.start, rows=worker.rows):
        block, began = _after(whole, reached), clock.perf_counter()
        rejected += len(block.rejects)
        if len(block.bars) == 0 and len(block.rejects) == 0:
            continue
        written = target.write(market, series.interval, [block])
        transfer.advance(
            worker.ledger, worker.id, unit.unit,
            Progress(
                _last(block), len(block.bars), written.inserted, written.updated, written.unchanged,
                written.refused - len(block.rejects), clock.perf_counter() - began,
            ),
        )  # fmt: skip
    if rejected:
        transfer.advance(
            worker.ledger, worker.id, unit.unit, Progress(None, rejected, 0, 0, 0, rejected, 0.0)
        )


def _after(block: Block, reached: datetime | None) -> Block:
    if reached is None or len(block.bars) == 0:
        return block
    return Block(block.bars.filter(pa.array(times_of(block.bars) > micros(reached))), block.rejects)


def _copy_other(worker: Worker, unit: PlannedUnit) -> None:
    began = clock.perf_counter()
    read, kept, refused = copy_table(worker.ledger, worker.migration, unit)
    seconds = clock.perf_counter() - began
    progress = Progress(None, read, kept.inserted, kept.updated, kept.unchanged, refused, seconds)
    transfer.advance(worker.ledger, worker.id, unit.unit, progress)


def _last(block: Block) -> datetime | None:
    times = times_of(block.bars)
    return instant(int(times[-1])) if len(times) else None


def _raise_for(failed: Mapping[str, Exception]) -> None:
    if not failed:
        return
    lines = "; ".join(f"{unit}: {error}" for unit, error in sorted(failed.items()))
    kind = BatchIncomplete if any(isinstance(e, TransientError) for e in failed.values()) else BatchRefused
    raise kind(
        f"{len(failed)} units failed and the others are copied: {lines}",
        next_step="Mend the cause and start the same migration again: only what is open is copied.",
    )
