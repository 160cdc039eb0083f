"""Copy the units of a migration: short series together, long ones block by block, each resumable where it stopped.

While a group is written the next one is read. What a unit did is recorded strictly after its bars are committed.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
import pyarrow as pa

from hypertape.errors import BatchIncomplete, BatchRefused, HypertapeError, TransientError
from hypertape.frame import instant, micros, times_of
from hypertape.markets import get_market
from hypertape.model import Series
from hypertape.settings import Settings
from hypertape.steps.migration.tables import copy_table
from hypertape.steps.migration.worker import Held, Read, Worker, grouped, hold_next, let_go, open_worker
from hypertape.stores import BATCH_ROWS, Block, WritesTogether, Written
from hypertape.warehouse import migrations
from hypertape.warehouse.migrations import PlannedUnit, Progress

OnUnit = Callable[[str], None]
"""Called with the name of each unit that this worker has ended."""

Ended = tuple[str, Progress | Exception]
"""A unit, and what copying it did or why it failed."""

_COUNTS = ("rows_read", "inserted", "updated", "unchanged", "refused")
_OPEN = ("pending", "running", "failed")
_NOTHING = Progress(None, 0, 0, 0, 0, 0, 0.0)


def copy(
    dsn: str,
    reference: Mapping[str, Any],
    *,
    settings: Settings | None = None,
    rows: int = BATCH_ROWS,
    on_unit: OnUnit | None = None,
) -> dict[str, Any]:
    """Copy what is open of one part of a migration (of all of it without `part`) and return counts as JSON.

    Series of up to `rows` / 2 bars are written together, longer ones in blocks of `rows`. Units another worker holds at
    this moment are left to it. A unit that fails is recorded and the others are copied; then BatchIncomplete (a retry
    may help) or BatchRefused is raised with the list.
    """
    total, units = _NOTHING, 0
    failed: dict[str, Exception] = {}
    with open_worker(dsn, reference["migration_id"], settings, rows) as worker:
        for unit, ended in _copied(worker, reference.get("part")):
            if isinstance(ended, Exception):
                migrations.end(worker.ledger, worker.id, unit, "failed", str(ended))
                failed[unit] = ended
            else:
                total, units = total + ended, units + 1
            if on_unit is not None:
                on_unit(unit)
    _raise_for(failed)
    return {name: getattr(total, name) for name in _COUNTS} | {"units": units}


def _copied(worker: Worker, part: int | None) -> Iterator[Ended]:
    """Copy group after group. Each unit's end is recorded before it is yielded, but for a failure."""
    open_units = migrations.units(worker.ledger, worker.id, part=part, states=_OPEN)
    groups = grouped(open_units, worker.rows // 2)
    held = hold_next(worker, groups)
    while held is not None:
        ahead = hold_next(worker, groups) if held.reads is not None else None
        yield from _copy_together(worker, held) if held.reads is not None else _copy_alone(worker, held.rows)
        let_go(worker, held.holder)
        held = ahead or hold_next(worker, groups)


def _copy_together(worker: Worker, held: Held) -> list[Ended]:
    """Write a group in one transaction. When that fails each unit is copied by itself: the error is of one of them."""
    assert held.reads is not None
    reads, began = held.reads.result(), clock.perf_counter()
    full = [read for read in reads if read.block is not None]
    try:
        written = _write_together(worker, full)
    except (HypertapeError, psycopg.Error):
        return list(_copy_alone(worker, held.rows))
    done = {read.unit.unit: _NOTHING for read in reads if read.error is None}
    share = (clock.perf_counter() - began) / max(len(full), 1)
    for read, each in zip(full, written, strict=True):
        assert read.block is not None
        done[read.unit.unit] = _progress(read.block, each, share)
    migrations.advance(worker.ledger, worker.id, done, done=True)
    failed = [(read.unit.unit, read.error) for read in reads if read.error is not None]
    return [*done.items(), *failed]


def _write_together(worker: Worker, reads: Sequence[Read]) -> list[Written]:
    if not reads:
        return []
    target, series = worker.target(reads[0].unit), reads[0].unit.series
    assert isinstance(target, WritesTogether)
    assert series is not None
    blocks = [read.block for read in reads if read.block is not None]
    return target.write_together(get_market(series.market), series.interval, blocks)


def _progress(block: Block, written: Written, seconds: float) -> Progress:
    read = len(block.bars) + len(block.rejects)
    return Progress(
        _last(block), read, written.inserted, written.updated, written.unchanged, written.refused, seconds
    )


def _copy_alone(worker: Worker, rows: Sequence[migrations.Row]) -> Iterator[Ended]:
    for row in rows:
        unit = PlannedUnit.of(row)
        try:
            yield unit.unit, _copy_unit(worker, unit, row["reached"])
        except (HypertapeError, psycopg.Error) as error:  # one unit must not stop the others
            yield unit.unit, error


def _copy_unit(worker: Worker, unit: PlannedUnit, reached: datetime | None) -> Progress:
    done = _NOTHING
    series = unit.series
    for each in _copy_other(worker, unit) if series is None else _copy_series(worker, unit, series, reached):
        migrations.advance(worker.ledger, worker.id, {unit.unit: each})
        done += each
    migrations.advance(worker.ledger, worker.id, {unit.unit: _NOTHING}, done=True)
    return done


def _copy_series(
    worker: Worker, unit: PlannedUnit, series: Series, reached: datetime | None
) -> Iterator[Progress]:
    """Copy what opens after `reached` and yield what each block did once it is committed.

    Rows that are no bars have no sure place in time, so each pass hands over all of them (quarantine keeps each once)
    and counts them at its end.
    """
    market, target, rejected = get_market(series.market), worker.target(unit), 0
    for whole in worker.blocks(unit):
        block, began = _after(whole, reached), clock.perf_counter()
        rejected += len(block.rejects)
        if len(block.bars) == 0 and len(block.rejects) == 0:
            continue
        written = target.write(market, series.interval, [block])
        yield Progress(
            _last(block), len(block.bars), written.inserted, written.updated, written.unchanged,
            written.refused - len(block.rejects), clock.perf_counter() - began,
        )  # fmt: skip
    if rejected:
        yield Progress(None, rejected, 0, 0, 0, rejected, 0.0)


def _after(block: Block, reached: datetime | None) -> Block:
    if reached is None or len(block.bars) == 0:
        return block
    return Block(block.bars.filter(pa.array(times_of(block.bars) > micros(reached))), block.rejects)


def _copy_other(worker: Worker, unit: PlannedUnit) -> Iterator[Progress]:
    began = clock.perf_counter()
    read, kept, refused = copy_table(worker.ledger, worker.migration, unit)
    seconds = clock.perf_counter() - began
    yield Progress(None, read, kept.inserted, kept.updated, kept.unchanged, refused, seconds)


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
