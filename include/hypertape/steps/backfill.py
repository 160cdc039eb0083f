"""Run a backfill: plan, then load unit by unit, rereads, what follows any load, and the report.

Its tasks in the DAG `backfill_bars` and `hypertape backfill` call the same functions. The ledger (`backfill`,
`backfill_unit`) knows what is done, so a killed or cleared one continues where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hypertape.errors import BatchRefused, ClaimLost, HypertapeError, others
from hypertape.reports.backfill import plan_lines
from hypertape.reports.pages import backfill_report
from hypertape.settings import Settings
from hypertape.steps.after_load import AfterLoad, Published, prove, publish, write_report
from hypertape.steps.backfill_plan import BackfillPlan, plan_backfill
from hypertape.steps.backfill_request import BackfillRequest
from hypertape.steps.backfill_units import KIND, UnitLoader, load_unit
from hypertape.steps.failures import Failure
from hypertape.steps.restate import resolve_restatements
from hypertape.steps.run_spec import (
    Batch,
    Counts,
    OnStep,
    RunSpec,
    silent,
)
from hypertape.warehouse import backfills
from hypertape.warehouse.claims import Claim, working
from hypertape.warehouse.connect import connect

__all__ = ["BackfillRequest", "backfill", "finish", "load_unit", "plan_backfill", "plan_table", "rehearse"]

AGAIN = "run the same again: only what is open is asked for"
"""What to do about failed tickers where there are no tasks to clear."""

CLEAR = "clear the run's red tasks or run the same again: only what is open is asked for"
"""What to do about them where there are."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a backfill ends with: `left_open` of its `units` are not loaded, and what publishing did."""

    published: Published
    units: int
    left_open: int
    error: HypertapeError | None = None


@dataclass(slots=True)
class BackfillResult:
    """What a backfill did. `report` is a rehearsal's too; of the failed tickers `may_pass` may succeed later."""

    plan: BackfillPlan
    total: Counts = field(default_factory=Counts)
    failures: dict[str, Failure] = field(default_factory=dict)
    after: AfterLoad | None = None
    report: Path | None = None
    error: HypertapeError | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Bars by what became of them."""
        return self.total.to_json()

    @property
    def failed(self) -> dict[str, str]:
        """Why, by ticker."""
        return {ticker: failure.message for ticker, failure in self.failures.items()}

    @property
    def may_pass(self) -> set[str]:
        """The failed tickers that may succeed when asked again."""
        return {ticker for ticker, failure in self.failures.items() if failure.transient}


def finish(
    dsn: str,
    spec: RunSpec,
    backfill_id: int,
    *,
    now: datetime,
    settings: Settings,
    again: str = CLEAR,
) -> Finished:
    """Close the backfill and publish it.

    `error` is that of `publish`, else BatchRefused when units are left: a run that is started again loads these only.
    """
    with connect(dsn) as connection:
        left_open = backfills.end(connection, backfill_id, now)
        all_units = len(backfills.units(connection, backfill_id))
        connection.commit()
    published = publish(dsn, spec, now=now, settings=settings, again=again)
    error = published.error
    if error is None and left_open:
        rest = others(all_units - left_open, "published")
        error = BatchRefused(
            f"{left_open} of {all_units} units of the backfill are not loaded and {rest}",
            next_step=f"Mend the cause and run the same again, only these are asked for. Report: {published.report}",
        )
    return Finished(published, all_units, left_open, error)


def rehearse(dsn: str, planned: BackfillPlan, *, settings: Settings) -> Path:
    """Write the report of a dry run, which is its plan, and return its path."""
    with connect(dsn) as connection:
        html = backfill_report(connection, planned.run_id)
    return write_report(settings, planned.run_id, html)


def backfill(
    dsn: str,
    market: str,
    interval: str,
    request: BackfillRequest,
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    dry_run: bool = True,
    on_step: OnStep = silent,
) -> BackfillResult:
    """Run every step in this process and return what happened; a dry run ends with its plan and its report.

    `error` is what the run ends with, None when all went well, after everything that could be done was done. Raises
    what stops the run as a whole.
    """
    on_step("plan", 0, 1)
    planned = plan_backfill(
        dsn, market, interval, request, run_id=run_id, now=now, dry_run=dry_run, settings=settings
    )
    on_step("plan", 1, 1)
    result = BackfillResult(planned)
    if dry_run:
        result.report = rehearse(dsn, planned, settings=settings)
        return result
    _load_units(dsn, planned, result, now, settings, on_step)
    spec = planned.spec
    restated = resolve_restatements(dsn, spec, now=now, settings=settings, on_step=on_step)
    result.total += restated.counts
    result.failures |= restated.failed
    quality, rollups = prove(dsn, spec, now=now, settings=settings, on_step=on_step)
    finished = finish(dsn, spec, planned.backfill_id, now=now, settings=settings, again=AGAIN)
    result.after = AfterLoad(spec, quality, rollups, finished.published)
    result.error, result.report = finished.error, finished.published.report
    return result


def _load_units(
    dsn: str,
    planned: BackfillPlan,
    result: BackfillResult,
    now: datetime,
    settings: Settings,
    on_step: OnStep,
) -> None:
    """Load the units that nobody else works on, until none is left: another with the same wish shares them."""
    total = len(planned.batches)
    on_step("load", 0, total)
    with working(dsn, KIND) as worker:
        loader = UnitLoader(dsn, planned.spec, planned.backfill_id, worker, settings, now, planned.since)
        for ended, (unit, claim) in enumerate(loader.in_turn(planned.batches), 1):
            if claim is not None:
                _load_unit(loader, unit, claim, result)
            on_step("load", ended, total)


def _load_unit(loader: UnitLoader, unit: Batch, claim: Claim, result: BackfillResult) -> None:
    """Load one unit and add what came of it to the result."""
    try:
        done = loader.load(unit, claim)
    except ClaimLost:
        return  # the unit is another worker's, and so is what becomes of it
    except HypertapeError as error:
        result.failures |= dict.fromkeys(unit.tickers, Failure.of(error))
        return
    if done is not None:
        result.total += done.counts
        result.failures |= done.failed


def plan_table(planned: BackfillPlan) -> str:
    """A plan as aligned text, for a task's log."""
    lines = plan_lines(planned.figures)
    width = max(len(what) for what, _ in lines)
    return "\n".join([f"Plan of {planned.run_id}", *(f"  {what:<{width}}  {text}" for what, text in lines)])
