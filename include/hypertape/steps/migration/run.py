"""Migrate SQLite files into the warehouse: inspect → plan → copy → verify → after_load → report.

Each step is a plain function, for a task of the DAG `migrate_sqlite` and for `hypertape migrate sqlite`. The ledger
(`migration`, `migration_unit`) knows what is done, so a killed migration continues where it was.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from hypertape.digest import SeriesDigest
from hypertape.errors import HypertapeError
from hypertape.model import Series
from hypertape.settings import Settings
from hypertape.steps.after_copy import (
    NOTHING_EARLY,
    Early,
    Loaded,
    after_loads,
    check_early,
    refresh_early,
)
from hypertape.steps.after_load import AfterLoad
from hypertape.steps.migration.copy import copy, copy_together
from hypertape.steps.migration.files import Counted, Inspected, inspect, silent
from hypertape.steps.migration.plan import Part, Planned, plan
from hypertape.steps.migration.report import Reported, report
from hypertape.steps.migration.tables import compare_table
from hypertape.steps.migration.worker import Worker, open_worker, source_of
from hypertape.steps.run_spec import Json, OnStep
from hypertape.steps.run_spec import silent as silent_steps
from hypertape.stores import BATCH_ROWS
from hypertape.stores.compare import SeriesComparison, prove
from hypertape.stores.processes import beside
from hypertape.stores.series_stats import SeriesStats
from hypertape.warehouse import migration_ledger
from hypertape.warehouse.connect import connect
from hypertape.warehouse.migration_ledger import Totals, Unit, UnitProof

__all__ = [
    "Inspected", "Migrated", "Part", "Planned", "Reported", "after_load", "copy", "inspect", "migrate", "plan",
    "report", "verify",
]  # fmt: skip


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Migrated:
    """A whole migration: what was planned, what followed the loads, how it ended, and the seconds of each phase."""

    planned: Planned
    after: tuple[AfterLoad, ...]
    reported: Reported
    seconds: Mapping[str, float]

    @property
    def error(self) -> HypertapeError | None:
        """What a check of the bars that are stored now found."""
        return next((each.error for each in self.after if each.error is not None), None)

    @property
    def buckets(self) -> int:
        """Buckets of rollups that were refreshed and compared."""
        return sum(each.rollups.buckets for each in self.after)

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            **self.planned.to_json(),
            **self.reported.to_json(),
            "buckets": self.buckets,
            "differing": sum(each.rollups.differing for each in self.after),
            "rollups": [
                f"{each.spec.market.code} {level}" for each in self.after for level in each.rollups.levels
            ],
            "seconds": dict(self.seconds),
        }


def verify(
    dsn: str,
    planned: Planned,
    *,
    now: datetime,
    settings: Settings,
    rows: int = BATCH_ROWS,
    on_unit: Counted = silent,
) -> Totals:
    """Compare both sides of every unit that is copied, keep what was found, and return the totals.

    A bar must be in the warehouse with the same bits, its adjusted close included, unless the gate refuses it: then it
    is in quarantine. What the copy has read of a unit is compared by its digests; where these differ the file is read
    again, bar by bar. A unit that differs becomes open again, so that the next run copies it anew. Nothing is raised
    for differences; the report does. A migration that ended well is not compared again: what later loads restated since
    is no fault of it.
    """
    with open_worker(dsn, planned.migration_id, settings, rows) as worker:
        proven = worker.migration.state == "done" and worker.migration.verified_at is not None
        if not (proven or worker.migration.dry_run):
            began = clock.perf_counter()
            copied = migration_ledger.units(worker.ledger, worker.id, states=("done",))
            for done, unit in enumerate(copied):
                on_unit(done, len(copied))
                migration_ledger.keep_proof(worker.ledger, worker.id, unit.unit, _compared(worker, unit))
            on_unit(len(copied), len(copied))
            ended = now + timedelta(seconds=clock.perf_counter() - began)
            migration_ledger.note(worker.ledger, worker.id, verified_at=ended)
        return migration_ledger.totals(worker.ledger, worker.id)


def _compared(worker: Worker, unit: Unit) -> UnitProof:
    if unit.series is None:
        return compare_table(worker, unit)
    found = prove(
        worker.source(unit), worker.target(unit), unit.series, _read(unit, unit.series), start=worker.start,
        now=worker.now, within=True,
    )  # fmt: skip
    return _proof(found)


def _read(unit: Unit, series: Series) -> SeriesStats | None:
    """What the copy has read of a unit, None where that is not known."""
    if unit.source_digest is None or unit.adjusted_digest is None:
        return None
    return SeriesStats(
        SeriesDigest(series.ticker, unit.source_rows or 0, None, None, unit.source_digest),
        SeriesDigest(series.ticker, unit.adjusted_rows or 0, None, None, unit.adjusted_digest),
    )


def _proof(found: SeriesComparison) -> UnitProof:
    return UnitProof(
        found.source.rows, found.matched.rows, found.source.sha256, found.matched.sha256, found.missing,
        found.different + found.adjusted, found.extra, found.samples,
    )  # fmt: skip


def _loaded(dsn: str, planned: Planned) -> tuple[str, list[Loaded]]:
    """The run's id, and the series that the migration copied."""
    with connect(dsn, autocommit=True) as connection:
        found = migration_ledger.units(connection, planned.migration_id)
        run_id = migration_ledger.get(connection, planned.migration_id).run_id
    return run_id, [
        Loaded(unit.series, source_of(unit)) for unit in found if unit.series is not None and unit.attempts
    ]


def after_load(
    dsn: str,
    planned: Planned,
    *,
    now: datetime,
    settings: Settings,
    on_step: OnStep = silent_steps,
    early: Early = NOTHING_EARLY,
) -> list[AfterLoad]:
    """Do what follows a load for every market and interval the migration copied; none in a rehearsal.

    `early` is what was done of it while the copy was compared.
    """
    if planned.dry_run:
        return []
    run_id, loaded = _loaded(dsn, planned)
    done = after_loads(dsn, run_id, loaded, now=now, settings=settings, on_step=on_step, early=early)
    summary = {
        "buckets": sum(each.rollups.buckets for each in done),
        "differing": sum(each.rollups.differing for each in done),
    }
    with connect(dsn, autocommit=True) as connection:
        migration_ledger.note(connection, planned.migration_id, refreshed=summary)
    return done


def migrate(
    dsn: str,
    files: Sequence[str],
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    schema: str = "auto",
    check: bool = True,
    workers: int = 1,
    on_step: OnStep | None = None,
    on_inspected: Callable[[Inspected], None] = lambda _: None,
    **wishes: Any,
) -> Migrated:
    """Run every step in this process (`workers` processes copy).

    `wishes` are those of `plan`. `check=False` leaves the verification out. `on_inspected` gets what `inspect` says of
    the files before anything is copied. Raises what the steps raise, after all that could be done is done and the
    report is written.
    """
    run = _Run(dsn, settings, now, on_step or silent_steps)
    # a rehearsal reads every bar to say what is none; a migration meets these rows on its way
    deep = bool(wishes.get("dry_run"))
    inspected = run.timed("inspect", inspect, files, schema=schema, deep=deep, on_file=run.telling("inspect"))
    on_inspected(inspected)
    planned = run.timed(
        "plan", plan, dsn, inspected, run_id=run_id, now=now, workers=workers, settings=run.settings, **wishes
    )
    if planned.parts:
        run.timed(
            "copy", copy_together, dsn, Part(planned.migration_id), units=planned.open_units, workers=workers,
            settings=run.settings, on_unit=run.telling("copy"),
        )  # fmt: skip
    early = run.compared(planned) if check and not planned.dry_run else NOTHING_EARLY
    after = run.timed(
        "after load", after_load, dsn, planned, now=run.now(), settings=run.settings, on_step=run.tell,
        early=early,
    )  # fmt: skip
    reported = report(dsn, planned, now=run.now(), settings=run.settings)
    return Migrated(planned, tuple(after), reported, run.seconds)


@dataclass
class _Run:
    """A migration in this process: what its steps share, and how long each took."""

    dsn: str
    settings: Settings
    started: datetime
    tell: OnStep
    began: float = field(default_factory=clock.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def now(self) -> datetime:
        """The present, counted from the instant that was given as the start."""
        return self.started + timedelta(seconds=clock.perf_counter() - self.began)

    def telling(self, step: str) -> Counted:
        """What tells of a step's progress."""
        return partial(self.tell, step)

    def timed(self, name: str, step: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a step and note its seconds under its name."""
        began = clock.perf_counter()
        try:
            return step(*arguments, **named)
        finally:
            self.seconds[name] = clock.perf_counter() - began

    def compared(self, planned: Planned) -> Early:
        """Verify; refresh the rollups and run the suites meanwhile: they wait for the server mostly, and not for each
        other.

        Returns what was done beside. What of it goes wrong is raised after the verification.
        """
        run_id, loaded = _loaded(self.dsn, planned)
        refreshing = partial(refresh_early, self.dsn, run_id, now=self.now())
        checking = partial(check_early, self.dsn, run_id, loaded, now=self.now(), settings=self.settings)
        refreshed = beside(partial(self.timed, "refresh", refreshing))
        checked = beside(partial(self.timed, "check", checking))
        tell = self.telling("verify")
        self.timed("verify", verify, self.dsn, planned, now=self.now(), settings=self.settings, on_unit=tell)
        return Early(refreshed.result(), checked.result())
