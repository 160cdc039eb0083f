"""Finish a run: move watermarks where everything is right, write the report, feed mirrors, and say what failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hypertape.errors import BatchRefused, CheckBroken, CheckEnded, CheckFailed
from hypertape.quality.results import raise_if_critical, results_of
from hypertape.reports.pages import run_report
from hypertape.settings import Settings, load_settings
from hypertape.steps.landing import sweep
from hypertape.steps.mirror import deliver_mirrors
from hypertape.steps.plan import RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import note_gaps
from hypertape.warehouse.ledger import RunLoad, advance_watermarks, run_loads

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
"""What a file name should not contain."""


def publish(
    dsn: str,
    plan_head: Mapping[str, Any],
    *,
    now: datetime,
    settings: Settings | None = None,
    again: str = "clear the run's load tasks or run it again",
) -> dict[str, Any]:
    """Advance watermarks unless a critical check failed, bring the gap ledger up to date, write the run's report.

    Returns counts and the report's path. Mirrors receive what the run changed, whatever the checks say: they hold what
    the warehouse holds. Raises at the very end, when everything that can be done is done: CheckFailed, CheckBroken or
    CheckEnded for critical checks, BatchRefused when tickers failed: `again` says how they are tried once more.
    """
    settings = settings or load_settings()
    head = RunSpec.from_json(plan_head)
    with connect(dsn) as connection:
        verdict = _verdict(results_of(connection, head.run_id, head.market.code, head.interval.value))
        moved = (
            advance_watermarks(connection, head.market, head.interval, head.run_id) if verdict is None else 0
        )
        loads = run_loads(connection, head.market, head.interval, head.run_id)
        connection.commit()
        gaps = note_gaps(connection, head.market, head.interval, head.window, now, head.run_id)
        connection.commit()
        report = write_report(settings, head.run_id, run_report(connection, head.run_id))
    sweep(settings.landing, now, settings.landing_days, settings.raw_days)
    mirrored = deliver_mirrors(dsn, now=now, settings=settings)
    if verdict is not None:
        raise verdict
    _raise_for(loads, head, report, again)
    return {
        "watermarks_moved": moved,
        "report": str(report),
        "tickers": len(loads),
        "gaps": gaps.to_json(),
        "mirrors": mirrored,
    }


def write_report(settings: Settings, name: str, html: str) -> Path:
    """Write a report into the state directory's `reports` and return its path."""
    path = settings.state_dir.absolute() / "reports" / f"{_UNFIT.sub('-', name)}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    return path


def _verdict(results: Any) -> CheckFailed | CheckBroken | CheckEnded | None:
    try:
        raise_if_critical(results)
    except (CheckFailed, CheckBroken, CheckEnded) as error:
        return error
    return None


def _raise_for(loads: list[RunLoad], head: RunSpec, report: Path, again: str) -> None:
    failed = {load.ticker: load.error for load in loads if load.status == "failed"}
    if failed:
        lines = "; ".join(f"{ticker}: {error}" for ticker, error in sorted(failed.items()))
        raise BatchRefused(
            f"{len(failed)} tickers of the run failed and the others are published: {lines}",
            market=head.market.code,
            interval=head.interval.value,
            next_step=f"Mend the cause, then {again}. Report: {report}",
        )
