"""Migrate SQLite files into the warehouse: inspect → plan → copy → verify → refresh → report.

Each step is a plain function over JSON references, for a task of the DAG `migrate_sqlite` and for `hypertape migrate
sqlite`. The ledger (`migration`, `migration_unit`) knows what is done, so a killed migration continues where it was.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from hypertape.errors import CheckFailed
from hypertape.markets import get_market
from hypertape.model import Interval, Window, midnight
from hypertape.queries import query
from hypertape.reports.migration import refused_rules
from hypertape.reports.pages import migration_report
from hypertape.settings import Settings, load_settings
from hypertape.sources import SourceConfig
from hypertape.steps.migration.copy import copy
from hypertape.steps.migration.files import Counted, inspect, silent
from hypertape.steps.migration.plan import plan
from hypertape.steps.migration.verify import verify
from hypertape.steps.migration.workers import copy_together, demand_all_copied
from hypertape.steps.mirror import deliver_mirrors
from hypertape.steps.plan import RunSpec
from hypertape.steps.publish import write_report
from hypertape.steps.refresh import refresh as refresh_rollups
from hypertape.warehouse import migrations
from hypertape.warehouse.connect import connect

__all__ = ["copy", "inspect", "migrate", "plan", "refresh", "report", "verify"]

OnStep = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and how much there is."""


def refresh(dsn: str, reference: Mapping[str, Any], *, on_scope: Counted = silent) -> dict[str, Any]:
    """Refresh and check the rollups of every market and interval the migration copied; return counts as JSON."""
    if reference["dry_run"]:
        return {"buckets": 0, "differing": 0, "rollups": []}
    migration_id = reference["migration_id"]
    with connect(dsn, autocommit=True) as connection:
        migration = migrations.get(connection, migration_id)
        scopes = migrations.scopes(connection, migration_id)
    found = []
    for done, (market, interval) in enumerate(scopes):
        on_scope(done, len(scopes))
        found.append(refresh_rollups(dsn, _head(migration, market, interval)))
    on_scope(len(scopes), len(scopes))
    summary = {
        "buckets": sum(each["buckets"] for each in found),
        "differing": sum(each["differing"] for each in found),
        "rollups": [
            f"{market} {level}"
            for (market, _), each in zip(scopes, found, strict=True)
            for level in each["rollups"]
        ],
    }
    with connect(dsn, autocommit=True) as connection:
        migrations.note(connection, migration_id, refreshed=summary)
        for market, interval in scopes:
            connection.execute(query("seen_symbols"), (market, interval.value))
    return summary


def report(
    dsn: str, reference: Mapping[str, Any], *, now: datetime, settings: Settings | None = None
) -> dict[str, Any]:
    """Deliver to the mirrors, close the migration and write its report into the state directory.

    Returns the totals, the rows in quarantine by rule, and the report's path.

    Raises at the very end: BatchRefused or BatchIncomplete for units that are not copied, CheckFailed when the two
    sides differ.
    """
    settings = settings or load_settings()
    migration_id = reference["migration_id"]
    if not reference["dry_run"]:
        deliver_mirrors(dsn, now=now, settings=settings)
    with connect(dsn, autocommit=True) as connection:
        totals = migrations.totals(connection, migration_id)
        good = reference["dry_run"] or (totals["done"] == totals["units"] and not totals["different"])
        before = migrations.get(connection, migration_id)
        if not good or before["state"] != "done" or before["finished_at"] is None:
            migrations.note(connection, migration_id, state="done" if good else "failed", finished_at=now)
        html = migration_report(connection, migration_id)
        rules = refused_rules(connection, migration_id)
    path = write_report(settings, reference["run_id"], html)
    if not good:
        _raise_for(dsn, migration_id, totals, path)
    return {**totals, "refused_rules": rules, "report": str(path)}


def migrate(
    dsn: str,
    files: Sequence[str],
    *,
    run_id: str,
    now: datetime,
    settings: Settings | None = None,
    schema: str = "auto",
    check: bool = True,
    workers: int = 1,
    on_step: OnStep | None = None,
    on_inspected: Callable[[Sequence[Mapping[str, Any]]], None] = lambda _: None,
    **wishes: Any,
) -> dict[str, Any]:
    """Run every step in this process (`workers` processes copy) and return what `plan` and `report` say, together.

    `wishes` are those of `plan`. `check=False` leaves the verification out. `on_inspected` gets what `inspect` says of
    the files before anything is copied. `seconds` holds how long each phase took. Raises what the steps raise, after
    all that could be done is done and the report is written.
    """
    run = _Run(dsn, settings or load_settings(), now, on_step or (lambda *_: None))
    # a rehearsal reads every bar to say what is none; a migration meets these rows on its way
    deep = bool(wishes.get("dry_run"))
    inspected = run.timed(inspect, files, schema=schema, deep=deep, on_file=run.telling("inspect"))
    on_inspected(inspected["inspected"])
    planned = run.timed(
        plan, dsn, inspected, run_id=run_id, now=now, workers=workers, settings=run.settings, **wishes
    )
    if planned["parts"]:
        tell = run.telling("copy")
        run.timed(copy_together, dsn, planned, workers=workers, settings=run.settings, on_unit=tell)
    refreshed = run.proven(planned, check)
    reported = report(dsn, planned, now=run.now(), settings=run.settings)
    return {**planned, **refreshed, **reported, "seconds": run.seconds}


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

    def timed(self, step: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Run a step and note its seconds under its name."""
        began = clock.perf_counter()
        try:
            return step(*arguments, **named)
        finally:
            self.seconds[_NAMES.get(step.__name__, step.__name__)] = clock.perf_counter() - began

    def proven(self, planned: Mapping[str, Any], check: bool) -> dict[str, Any]:
        """Refresh the rollups and verify meanwhile: the one is the server's work, the other mostly ours."""
        found: Future[dict[str, Any]] = Future()
        work = partial(self.timed, refresh, self.dsn, planned, on_scope=self.telling("refresh rollups"))
        # a daemon: an interrupted run does not wait for the server
        Thread(target=_fulfil, args=(found, work), name="refresh", daemon=True).start()
        if check and not planned["dry_run"]:
            tell = self.telling("verify")
            self.timed(verify, self.dsn, planned, now=self.now(), settings=self.settings, on_unit=tell)
        return found.result()


_NAMES = {"copy_together": "copy"}


def _fulfil(found: Future[Any], work: Callable[[], Any]) -> None:
    try:
        found.set_result(work())
    except BaseException as error:  # the waiting thread raises it
        found.set_exception(error)


def _head(migration: Mapping[str, Any], market: str, interval: Interval) -> dict[str, Any]:
    of_market = get_market(market)
    begun = migration["started_at"]
    window = Window(min(midnight(of_market.history_start[interval]), begun), begun)
    return RunSpec(migration["run_id"], of_market, interval, SourceConfig("sqlite"), window).to_json()


def _raise_for(dsn: str, migration_id: int, totals: Mapping[str, Any], path: Path) -> None:
    if totals["different"]:
        raise CheckFailed(
            f"{totals['different']} units differ: {totals['rows_missing']} rows missing, "
            f"{totals['rows_different']} different",
            next_step=f"Read {path}, then start the same migration again: only these are copied anew.",
        )
    demand_all_copied(dsn, migration_id, path)
