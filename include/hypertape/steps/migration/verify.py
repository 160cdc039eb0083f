"""Verify a migration: every row of every unit, read again from the file, against what the warehouse holds."""

from __future__ import annotations

import hashlib
import time as clock
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from hypertape.digest import CANONICAL_COLUMNS, canonical
from hypertape.frame import Floats, Micros, find_times, floats_of, instant, times_of
from hypertape.markets import get_market
from hypertape.model import Series, format_instant
from hypertape.quality.gate import gate
from hypertape.settings import Settings
from hypertape.steps.migration.files import Counted, silent
from hypertape.steps.migration.tables import compare_table
from hypertape.steps.migration.worker import Worker, open_worker
from hypertape.stores import BATCH_ROWS, Block, Store
from hypertape.warehouse import migrations
from hypertape.warehouse.migrations import Comparison, PlannedUnit

_SAMPLE = 5


def verify(
    dsn: str,
    reference: Mapping[str, Any],
    *,
    now: datetime,
    settings: Settings | None = None,
    rows: int = BATCH_ROWS,
    on_unit: Counted = silent,
) -> dict[str, Any]:
    """Compare both sides of every unit that is copied and keep what was found; return the totals as JSON.

    A bar must be in the warehouse with the same bits, unless the gate refuses it: then it is in quarantine. A unit that
    differs becomes open again, so that the next run copies it anew. Nothing is raised for differences; the report does.
    A migration that ended well is not compared again: what later loads restated since is no fault of it.
    """
    with open_worker(dsn, reference["migration_id"], settings, rows) as worker:
        proven = worker.migration["state"] == "done" and worker.migration["verified_at"] is not None
        if not (proven or worker.migration["dry_run"]):
            began, copied = clock.perf_counter(), migrations.units(worker.ledger, worker.id, states=("done",))
            for done, row in enumerate(copied):
                on_unit(done, len(copied))
                unit = PlannedUnit.of(row)
                migrations.keep_comparison(worker.ledger, worker.id, unit.unit, _compare(worker, unit))
            on_unit(len(copied), len(copied))
            ended = now + timedelta(seconds=clock.perf_counter() - began)
            migrations.note(worker.ledger, worker.id, verified_at=ended)
        found = migrations.totals(worker.ledger, worker.id)
    names = ("units", "equal", "different", "rows_missing", "rows_different", "rows_extra")
    return {name: found[name] for name in names}


def compare_series(
    source: Store,
    target: Store,
    series: Series,
    *,
    start: datetime | None,
    now: datetime,
    rows: int = BATCH_ROWS,
) -> Comparison:
    """Compare a series of two stores bar by bar, from `start` on, in bounded memory.

    Both digests are over the bars of the source that pass the gate as of `now`; bars of the target between them are
    counted as extra.
    """
    tally = Tally(series)
    held: Ahead | None = None
    market = get_market(series.market)
    for block in source.read(series, start=start, rows=rows):
        time, columns = _arrays(Block(gate(block.bars, market, series.interval, now=now).bars))
        if len(time) == 0:
            continue
        if held is None:
            held = Ahead(target.read(series, start=instant(int(time[0])), rows=rows))
        tally.add(time, columns, *held.through(int(time[-1])))
    return tally.result()


@dataclass
class Ahead:
    """A reader of blocks that hands out everything up to an instant and keeps the rest."""

    blocks: Iterator[Block]
    time: Micros = field(default_factory=lambda: np.empty(0, np.int64))
    columns: list[Floats] = field(default_factory=lambda: [np.empty(0) for _ in CANONICAL_COLUMNS])
    ended: bool = False

    def through(self, last: int) -> tuple[Micros, list[Floats]]:
        """The bars that open at or before `last` (µs) and were not handed out yet."""
        while not self.ended and (len(self.time) == 0 or self.time[-1] < last):
            block = next(self.blocks, None)
            if block is None:
                self.ended = True
                break
            time, columns = _arrays(block)
            self.time = np.concatenate([self.time, time])
            self.columns = [np.concatenate(pair) for pair in zip(self.columns, columns, strict=True)]
        stop = int(np.searchsorted(self.time, last, side="right"))
        given = self.time[:stop], [column[:stop] for column in self.columns]
        self.time, self.columns = self.time[stop:], [column[stop:] for column in self.columns]
        return given


@dataclass
class Tally:
    """What a comparison has found so far."""

    series: Series
    source: Any = field(default_factory=hashlib.sha256)
    target: Any = field(default_factory=hashlib.sha256)
    source_rows: int = 0
    target_rows: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)

    def add(self, time: Micros, columns: list[Floats], held: Micros, values: list[Floats]) -> None:
        """Compare a stretch: the source's bars, and all the target holds of it."""
        there, at = find_times(time, held)
        same = np.ones(len(time), bool)
        for name, ours, theirs in zip(CANONICAL_COLUMNS, columns, values, strict=True):
            unequal = there & ~_equal(ours, theirs[at] if len(theirs) else ours)
            self._note(name, unequal & same, time, ours, theirs, at)
            same &= ~unequal
        self._note("missing", ~there, time)
        self.source.update(canonical(time, columns))
        self.target.update(canonical(time[there], [column[at[there]] for column in values]))
        self.source_rows += len(time)
        self.target_rows += int(there.sum())
        self.missing += int((~there).sum())
        self.different += int((there & ~same).sum())
        self.extra += len(held) - int(there.sum())

    def result(self) -> Comparison:
        """The comparison as the ledger keeps it."""
        return Comparison(
            self.source_rows, self.target_rows, self.source.hexdigest(), self.target.hexdigest(), self.missing,
            self.different, self.extra, tuple(self.sample),
        )  # fmt: skip

    def _note(
        self,
        problem: str,
        hit: npt.NDArray[np.bool_],
        time: Micros,
        ours: Floats | None = None,
        theirs: Floats | None = None,
        at: npt.NDArray[np.intp] | None = None,
    ) -> None:
        for position in np.flatnonzero(hit)[: max(_SAMPLE - len(self.sample), 0)]:
            key = {"ticker": self.series.ticker, "time": format_instant(instant(int(time[position])))}
            if ours is not None and theirs is not None and at is not None:
                key |= {"source": repr(float(ours[position])), "warehouse": repr(float(theirs[at[position]]))}
            self.sample.append({**key, "problem": problem})


def _compare(worker: Worker, unit: PlannedUnit) -> Comparison:
    if unit.series is None:
        return compare_table(worker.ledger, worker.migration, unit)
    return compare_series(
        worker.source(unit), worker.target(unit), unit.series, start=worker.start,
        now=worker.migration["started_at"], rows=worker.rows,
    )  # fmt: skip


def _equal(a: Floats, b: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))


def _arrays(block: Block) -> tuple[Micros, list[Floats]]:
    return times_of(block.bars), [floats_of(block.bars, name) for name in CANONICAL_COLUMNS]
