"""Copy the units of a migration with the stores' engine, in one process or several, each resumable where it stopped.

Short series are written together, long ones block by block, and while a group is written the next one is read. What a
unit did is recorded strictly after its bars are committed. A rehearsal reads and gates in the same way, counts what
would be refused, and writes nothing but that.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from itertools import count
from operator import add

import psycopg

from hypertape.errors import BatchIncomplete, BatchRefused, ClaimLost, HypertapeError, TransientError
from hypertape.settings import Settings
from hypertape.steps.migration.files import Counted, silent
from hypertape.steps.migration.plan import Part
from hypertape.steps.migration.tables import copy_table
from hypertape.steps.migration.worker import Taken, Worker, grouped, open_worker, take_next
from hypertape.stores import BATCH_ROWS, Written
from hypertape.stores.processes import interrupts_held
from hypertape.stores.series_copy import BlockCopied, copy_blocks, rehearse, write_together
from hypertape.stores.series_stats import GatedSeries, SeriesStats
from hypertape.warehouse import migration_ledger
from hypertape.warehouse.migration_ledger import Progress, Unit, UnitRead

OnUnit = Callable[[str], None]
"""Called with the name of each unit that this worker has ended."""

Ended = tuple[str, Progress | Exception]
"""A unit, and what copying it did or why it failed."""

_OPEN = ("pending", "running", "failed")


def copy(
    dsn: str,
    part: Part,
    *,
    settings: Settings,
    rows: int = BATCH_ROWS,
    on_unit: OnUnit | None = None,
) -> Progress:
    """Copy (or rehearse) what is open of a migration or of one part of it, and return what was done in all.

    Series of up to `rows` / 2 bars are written together, longer ones in blocks of `rows`. Units another worker holds at
    this moment are left to it. A unit that fails is recorded and the others are copied; then BatchIncomplete (a retry
    may help) or BatchRefused is raised with the list.
    """
    total = Progress()
    failed: dict[str, Exception] = {}
    with open_worker(dsn, part.migration_id, settings, rows) as worker:
        for unit, ended in _copied(worker, part.part):
            if isinstance(ended, ClaimLost):
                continue  # it is another worker's now
            if isinstance(ended, Exception):
                migration_ledger.end(worker.ledger, worker.id, unit, "failed", str(ended))
                failed[unit] = ended
            else:
                total += ended
            if on_unit is not None:
                on_unit(unit)
    _raise_for(failed)
    return total


def copy_together(
    dsn: str,
    part: Part,
    *,
    units: int,
    workers: int,
    settings: Settings,
    rows: int = BATCH_ROWS,
    on_unit: Counted = silent,
) -> None:
    """Copy everything that is open of a migration, with this process and up to `workers - 1` more.

    No more than there are open `units`. When this process is killed or interrupted the others end too; what they had
    committed stays and is not copied again. Units that fail are in the ledger, and nothing is raised for them.
    """
    spawn = multiprocessing.get_context("spawn")
    arguments = (dsn, part, settings, rows)
    helpers = [spawn.Process(target=_help, args=arguments) for _ in range(1, min(workers, units))]
    with interrupts_held():
        for helper in helpers:
            helper.start()
    on_unit(0, units)
    done = count(1)
    try:
        with suppress(BatchRefused, BatchIncomplete):
            copy(dsn, part, settings=settings, rows=rows, on_unit=lambda _: on_unit(next(done), units))
    except KeyboardInterrupt:
        for helper in helpers:
            helper.terminate()
        raise
    finally:
        for helper in helpers:
            helper.join()
    on_unit(units, units)


def _help(dsn: str, part: Part, settings: Settings, rows: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(HypertapeError):
        copy(dsn, part, settings=settings, rows=rows)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _copied(worker: Worker, part: int | None) -> Iterator[Ended]:
    """Copy group after group. Each unit's end is recorded before it is yielded, but for a failure."""
    open_units = migration_ledger.units(worker.ledger, worker.id, part=part, states=_OPEN)
    groups = grouped(open_units, worker.rows // 2)
    taken = take_next(worker, groups)
    while taken is not None:
        ahead = take_next(worker, groups) if taken.reads is not None else None
        done = list(_ended(worker, taken))
        yield from done
        worker.let_go(taken.units, {unit: end for unit, end in done if isinstance(end, Exception)})
        taken = ahead or take_next(worker, groups)


def _ended(worker: Worker, taken: Taken) -> Iterator[Ended]:
    if worker.migration.dry_run:
        return _alone(worker, taken.units, _rehearse)
    return _together(worker, taken) if taken.reads is not None else _alone(worker, taken.units, _copy_unit)


def _together(worker: Worker, taken: Taken) -> Iterator[Ended]:
    """Write a group in one transaction. When that fails each unit is copied by itself: the error is of one of them."""
    assert taken.reads is not None
    reads, began = taken.reads.result(), clock.perf_counter()
    try:
        written = write_together(worker.target(taken.units[0]), reads)
        share = (clock.perf_counter() - began) / max(len(written), 1)
        done: dict[str, Progress] = {}
        for unit, read in zip(taken.units, reads, strict=True):
            if read.error is None:
                did = written.get(read.series, Written())
                bars = BlockCopied(read.stats.last, read.stats.rows + read.stats.refused_rows, did, share)
                done[unit.unit] = _progress(bars)
        found = {unit.unit: read for unit, read in zip(taken.units, reads, strict=True)}
        _note_read(worker, {unit: found[unit].stats for unit in done})
        worker.advance(done, done=True)
    except (HypertapeError, psycopg.Error):
        yield from _alone(worker, taken.units, _copy_unit)
        return
    yield from done.items()
    yield from ((unit, read.error) for unit, read in found.items() if read.error is not None)


def _alone(
    worker: Worker, units: Sequence[Unit], work: Callable[[Worker, Unit], Progress]
) -> Iterator[Ended]:
    for unit in units:
        try:
            yield unit.unit, work(worker, unit)
        except (HypertapeError, psycopg.Error) as error:  # one unit must not stop the others
            yield unit.unit, error


def _copy_unit(worker: Worker, unit: Unit) -> Progress:
    if unit.series is None:
        return _copy_other(worker, unit)
    gated, series = GatedSeries(unit.series, worker.now), unit.series
    blocks = worker.reader.blocks(
        gated.blocks(worker.source(unit).read(series, start=worker.start, rows=worker.rows))
    )
    done = []
    for copied in copy_blocks(blocks, worker.target(unit), series, after=unit.reached):
        done.append(_progress(copied))
        worker.advance({unit.unit: done[-1]})
    _note_read(worker, {unit.unit: gated.stats()})
    worker.advance({unit.unit: Progress()}, done=True)
    return reduce(add, done, Progress())


def _copy_other(worker: Worker, unit: Unit) -> Progress:
    """Copy a table that is no series."""
    began = clock.perf_counter()
    done = copy_table(worker, unit)
    progress = replace(done.progress, seconds=clock.perf_counter() - began)
    migration_ledger.note_read(worker.ledger, worker.id, {unit.unit: UnitRead(refused_rules=done.rules)})
    if not worker.migration.dry_run:
        worker.advance({unit.unit: progress}, done=True)
    return progress


def _rehearse(worker: Worker, unit: Unit) -> Progress:
    """Read and gate a unit, and note what of it would be refused."""
    if unit.series is None:
        found = _copy_other(worker, unit)
        progress = Progress(rows_read=found.rows_read, refused=found.refused)
    else:
        stats = rehearse(
            worker.source(unit), worker.target(unit), unit.series, start=worker.start, now=worker.now,
            rows=worker.rows,
        )  # fmt: skip
        _note_read(worker, {unit.unit: stats})
        progress = Progress(rows_read=stats.rows + stats.refused_rows, refused=stats.refused_rows)
    worker.advance({unit.unit: progress}, done=True)
    return progress


def _note_read(worker: Worker, read: Mapping[str, SeriesStats]) -> None:
    """Note what was read of units, whole: also a copy that goes on reads a series from its start."""
    migration_ledger.note_read(
        worker.ledger,
        worker.id,
        {
            unit: UnitRead(
                stats.rows, stats.sha256, stats.adjusted.rows, stats.adjusted.sha256, dict(stats.refused)
            )
            for unit, stats in read.items()
        },
    )


def _progress(done: BlockCopied) -> Progress:
    written = done.written
    return Progress(
        done.last,
        done.rows,
        written.inserted,
        written.updated,
        written.unchanged,
        written.refused,
        done.seconds,
    )


def _raise_for(failed: Mapping[str, Exception]) -> None:
    if not failed:
        return
    lines = "; ".join(f"{unit}: {error}" for unit, error in sorted(failed.items()))
    kind = BatchIncomplete if any(isinstance(e, TransientError) for e in failed.values()) else BatchRefused
    raise kind(
        f"{len(failed)} units failed and the others are copied: {lines}",
        next_step="Mend the cause and start the same migration again: only what is open is copied.",
    )
