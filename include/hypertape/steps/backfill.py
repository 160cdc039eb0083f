"""Run a backfill: plan, then load unit by unit, then validate, refresh, and report.

Each step is a plain function over JSON references, for a task of the DAG `backfill_bars` and for `hypertape backfill`.
The ledger (`backfill`, `backfill_unit`) knows what is done, so a killed or cleared one continues where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hypertape.errors import BatchRefused, HypertapeError
from hypertape.reports.backfill import plan_lines
from hypertape.reports.pages import backfill_report
from hypertape.settings import Settings, load_settings
from hypertape.steps.backfill_plan import plan_backfill
from hypertape.steps.backfill_request import Asked
from hypertape.steps.enrich import enrich
from hypertape.steps.extract import Failure, extract
from hypertape.steps.load import fetch_again, raise_if_failed, store
from hypertape.steps.plan import RunSpec
from hypertape.steps.publish import publish, write_report
from hypertape.steps.refresh import refresh
from hypertape.steps.restate import settle
from hypertape.steps.validate import validate
from hypertape.warehouse import backfills
from hypertape.warehouse.connect import connect

__all__ = ["Asked", "backfill", "finish", "load_unit", "plan_backfill", "plan_table", "rehearse"]

AGAIN = "run the same again: only what is open is asked for"
"""What to do about failed tickers where there are no tasks to clear."""

OnStep = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and how much there is."""


def load_unit(
    dsn: str, reference: Mapping[str, Any], *, plan_head: Mapping[str, Any], now: datetime, attempt: int = 1
) -> dict[str, Any]:
    """Load what landed of a unit, note what became of it, and return the batch's counts as `steps.load.load` does.

    When tickers failed, everything else is stored and noted first; then BatchIncomplete or BatchRefused is raised.
    """
    head, backfill_id = RunSpec.from_json(plan_head), plan_head["backfill_id"]
    unit = reference["batch"]["index"]
    with connect(dsn, autocommit=True) as ledger:
        backfills.unit_started(ledger, backfill_id, unit)
        try:
            reference = fetch_again(dsn, reference, plan_head=plan_head, now=now, attempt=attempt)
            done = store(dsn, reference, head, now=now, attempt=attempt)
        except HypertapeError as error:
            backfills.unit_failed(ledger, backfill_id, unit, str(error))
            raise
        backfills.unit_ended(ledger, backfill_id, unit, done, done["failed"])
    raise_if_failed(done["failed"], head)
    return done


def finish(
    dsn: str,
    plan_head: Mapping[str, Any],
    *,
    now: datetime,
    settings: Settings | None = None,
    again: str = "clear the run's load tasks or run the same again: only what is open is asked for",
) -> dict[str, Any]:
    """Close the backfill, publish it, and return what `publish` says with the units that are left and their number.

    Raises what `publish` raises, and BatchRefused when units are left: a run that is started again loads these only.
    """
    with connect(dsn) as connection:
        left_open = backfills.end(connection, plan_head["backfill_id"], now)
        all_units = len(backfills.units(connection, plan_head["backfill_id"]))
        connection.commit()
    published = publish(dsn, plan_head, now=now, settings=settings, again=again)
    if left_open:
        raise BatchRefused(
            f"{left_open} of {all_units} units of the backfill are not loaded, the others are published",
            next_step=f"Mend the cause and run the same again, only these are asked for. Report: {published['report']}",
        )
    return {**published, "units": all_units}


def rehearse(plan: Mapping[str, Any], dsn: str, *, settings: Settings | None = None) -> Path:
    """Write the report of a dry run, which is its plan, and return its path."""
    with connect(dsn) as connection:
        html = backfill_report(connection, plan["run_id"])
    return write_report(settings or load_settings(), plan["run_id"], html)


def backfill(
    dsn: str,
    market: str,
    interval: str,
    asked: Asked,
    *,
    run_id: str,
    now: datetime,
    dry_run: bool = True,
    settings: Settings | None = None,
    on_step: OnStep | None = None,
) -> dict[str, Any]:
    """Run every step in this process and return the plan with `counts`, `failed` (why, by ticker) and `published`.

    A dry run returns the plan and the path of its `report`. Of the failed tickers those of `may_pass` may succeed when
    asked again. Otherwise `error` is what the run ends with, None when all
    went well, after everything that could be done was done. Raises what stops the run as a whole.
    """
    settings, tell = settings or load_settings(), on_step or (lambda *_: None)
    tell("plan", 0, 1)
    planned = plan_backfill(
        dsn, market, interval, asked, run_id=run_id, now=now, dry_run=dry_run, settings=settings
    )
    tell("plan", 1, 1)
    if dry_run:
        return {**planned, "report": str(rehearse(planned, dsn, settings=settings))}
    counts, failed, may_pass = _load_units(dsn, planned, now, settings, tell)
    restated = settle(dsn, planned, now=now, settings=settings, on_step=on_step)
    counts = {name: counts[name] + restated.get(name, 0) for name in counts}
    _note(failed, may_pass, restated["failed"])
    tell("validate", 0, 1)
    quality = validate(dsn, planned, now=now, settings=settings)
    tell("validate", 1, 1)
    tell("refresh rollups", 0, 1)
    rollups = refresh(dsn, planned)
    tell("refresh rollups", 1, 1)
    result = {**planned, "counts": counts, "failed": failed, "quality": quality, "rollups": rollups}
    result |= {"may_pass": sorted(may_pass), "published": {}, "error": None}
    try:
        result["published"] = finish(dsn, planned, now=now, settings=settings, again=AGAIN)
    except HypertapeError as error:
        result["error"] = error
    return result


def _load_units(
    dsn: str, planned: Mapping[str, Any], now: datetime, settings: Settings, tell: OnStep
) -> tuple[dict[str, int], dict[str, str], set[str]]:
    counts, failed, may_pass = dict.fromkeys(backfills.COUNTS, 0), dict[str, str](), set[str]()
    units = planned["batches"]
    for number, unit in enumerate(units):
        tell("load", number, len(units))
        try:
            done = _one_unit(dsn, unit, planned, now, settings)
        except HypertapeError as error:
            _note(failed, may_pass, dict.fromkeys(unit["tickers"], Failure.of(error).to_json()))
            continue
        counts = {name: counts[name] + done[name] for name in counts}
        _note(failed, may_pass, done["failed"])
    tell("load", len(units), len(units))
    return counts, failed, may_pass


def _note(failed: dict[str, str], may_pass: set[str], more: Mapping[str, Mapping[str, Any]]) -> None:
    """Add failures by ticker, and those that may pass."""
    failed |= {ticker: why["message"] for ticker, why in more.items()}
    may_pass |= {ticker for ticker, why in more.items() if why["transient"]}


def _one_unit(
    dsn: str, unit: Mapping[str, Any], planned: Mapping[str, Any], now: datetime, settings: Settings
) -> dict[str, Any]:
    """Ask, compute and load one unit, and return its counts with the tickers that failed."""
    head = RunSpec.from_json(planned)
    with connect(dsn, autocommit=True) as ledger:
        backfills.unit_started(ledger, planned["backfill_id"], unit["index"])
        try:
            landed = extract(unit, plan_head=planned, landing=settings.landing, now=now, dsn=dsn)
            done = store(dsn, enrich(dsn, landed, plan_head=planned, now=now), head, now=now, attempt=1)
        except HypertapeError as error:
            backfills.unit_failed(ledger, planned["backfill_id"], unit["index"], str(error))
            raise
        backfills.unit_ended(ledger, planned["backfill_id"], unit["index"], done, done["failed"])
    return done


def plan_table(planned: Mapping[str, Any]) -> str:
    """A plan as aligned text, for a task's log."""
    lines = plan_lines(planned["plan"])
    width = max(len(what) for what, _ in lines)
    return "\n".join(
        [f"Plan of {planned['run_id']}", *(f"  {what:<{width}}  {text}" for what, text in lines)]
    )
