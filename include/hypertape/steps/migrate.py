"""Migrate SQLite files into the warehouse: inspect → plan → copy → verify → refresh → report.

Each step is a plain function over JSON references, for a task of the DAG `migrate_sqlite` and for `hypertape migrate
sqlite`. The ledger (`migration`, `migration_unit`) knows what is done, so a killed migration continues where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hypertape.errors import CheckFailed
from hypertape.markets import get_market
from hypertape.model import Interval, Window, midnight
from hypertape.quality.report import migration_report
from hypertape.queries import query
from hypertape.settings import Settings, load_settings
from hypertape.sources import SourceConfig
from hypertape.steps.migration_copy import copy
from hypertape.steps.migration_files import inspect
from hypertape.steps.migration_plan import plan
from hypertape.steps.migration_verify import verify
from hypertape.steps.migration_workers import copy_together, demand_all_copied
from hypertape.steps.plan import Head
from hypertape.steps.publish import write_report
from hypertape.steps.refresh import refresh as refresh_rollups
from hypertape.warehouse import transfer
from hypertape.warehouse.connect import connect

__all__ = ["copy", "inspect", "migrate", "plan", "refresh", "report", "verify"]

OnStep = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and how much there is."""


def refresh(dsn: str, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Refresh and check the rollups of every market and interval the migration copied; return counts as JSON."""
    if reference["dry_run"]:
        return {"buckets": 0, "differing": 0, "rollups": []}
    migration_id = reference["migration_id"]
    with connect(dsn, autocommit=True) as connection:
        migration = transfer.get(connection, migration_id)
        scopes = transfer.scopes(connection, migration_id)
    found = [refresh_rollups(dsn, _head(migration, market, interval)) for market, interval in scopes]
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
        transfer.note(connection, migration_id, refreshed=summary)
        for market, interval in scopes:
            connection.execute(query("seen_symbols"), (market, interval.value))
    return summary


def report(
    dsn: str, reference: Mapping[str, Any], *, now: datetime, settings: Settings | None = None
) -> dict[str, Any]:
    """Close the migration, write its report into the state directory, and return the totals and the report's path.

    Raises at the very end: BatchRefused or BatchIncomplete for units that are not copied, CheckFailed when the two
    sides differ.
    """
    settings = settings or load_settings()
    migration_id = reference["migration_id"]
    with connect(dsn, autocommit=True) as connection:
        totals = transfer.totals(connection, migration_id)
        good = reference["dry_run"] or (totals["done"] == totals["units"] and not totals["different"])
        before = transfer.get(connection, migration_id)
        if not good or before["state"] != "done" or before["finished_at"] is None:
            transfer.note(connection, migration_id, state="done" if good else "failed", finished_at=now)
        html = migration_report(connection, migration_id)
    path = write_report(settings, reference["run_id"], html)
    if not good:
        _raise_for(dsn, migration_id, totals, path)
    return {**totals, "report": str(path)}


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
    **wishes: Any,
) -> dict[str, Any]:
    """Run every step in this process (`workers` processes copy) and return what `plan` and `report` say, together.

    `wishes` are those of `plan`. `check=False` leaves the verification out. Raises what the steps raise, after all that
    could be done is done and the report is written.
    """
    settings = settings or load_settings()
    tell = on_step or (lambda *_: None)
    tell("inspect", 0, 1)
    inspected = inspect(files, schema=schema)
    tell("inspect", 1, 1)
    planned = plan(dsn, inspected, run_id=run_id, now=now, workers=workers, settings=settings, **wishes)
    if planned["parts"]:
        _copy_all(dsn, planned, workers, settings, tell)
    if check and not planned["dry_run"]:
        tell("verify", 0, 1)
        verify(dsn, planned, now=now, settings=settings)
        tell("verify", 1, 1)
    tell("refresh rollups", 0, 1)
    refreshed = refresh(dsn, planned)
    tell("refresh rollups", 1, 1)
    return {**planned, **refreshed, **report(dsn, planned, now=now, settings=settings)}


def _copy_all(dsn: str, planned: Mapping[str, Any], workers: int, settings: Settings, tell: OnStep) -> None:
    """Copy; what failed is known to the ledger, and the report raises for it."""
    done = 0

    def on_unit(_: str) -> None:
        nonlocal done
        done += 1
        tell("copy", done, planned["open_units"])

    tell("copy", 0, planned["open_units"])
    copy_together(dsn, planned, workers=workers, settings=settings, on_unit=on_unit)
    tell("copy", planned["open_units"], planned["open_units"])


def _head(migration: Mapping[str, Any], market: str, interval: Interval) -> dict[str, Any]:
    of_market = get_market(market)
    begun = migration["started_at"]
    window = Window(min(midnight(of_market.history_start[interval]), begun), begun)
    return Head(migration["run_id"], of_market, interval, SourceConfig("sqlite"), window).to_json()


def _raise_for(dsn: str, migration_id: int, totals: Mapping[str, Any], path: Path) -> None:
    if totals["different"]:
        raise CheckFailed(
            f"{totals['different']} units differ: {totals['rows_missing']} rows missing, "
            f"{totals['rows_different']} different",
            next_step=f"Read {path}, then start the same migration again: only these are copied anew.",
        )
    demand_all_copied(dsn, migration_id, path)
