"""What is said when a task fails for good or a run is late: one line with what to do next.

The lines go to the task's log and the triggerer's log, and a failure to the channels of HYPERTAPE_NOTIFY.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Context
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from hypertape.errors import HypertapeError
from hypertape.model import Interval
from hypertape.settings import Settings, load_settings

_LOG = logging.getLogger(__name__)

LATE_AFTER = {
    Interval.D1: timedelta(hours=3),
    Interval.H1: timedelta(minutes=45),
    Interval.M1: timedelta(minutes=10),
}
"""How much longer than usual a run may take: for intraday, not until after the next one's tick."""

_RUNS_THAT_TELL_WHAT_IS_USUAL = 10


def report_failure(context: Context) -> None:
    """Log one line about a task that failed for good, and tell the channels. A task's `on_failure_callback`."""
    line = failure_line(context)
    _LOG.error("%s", line)
    settings = load_settings()
    if settings.notify:
        _tell(f"{context['ti'].dag_id}/{context['ti'].task_id}", line, settings)


def _tell(cause: str, line: str, settings: Settings) -> None:
    """Send the line, once a day for each task. What fails here is logged: the task's own failure is what counts."""
    from hypertape.orchestration.connection import warehouse_dsn  # noqa: PLC0415 (a DAG file that is parsed tells nobody)
    from hypertape.steps.notify import alert_or_send  # noqa: PLC0415

    try:
        alert_or_send(warehouse_dsn(), cause, line, now=datetime.now(UTC), settings=settings)
    except HypertapeError as error:
        _LOG.error("nobody could be told: %s", error)


def failure_line(context: Context) -> str:
    """Say what failed, why, and what to do next."""
    ti, error = context["ti"], context.get("exception")
    which = f" [{ti.rendered_map_index}]" if getattr(ti, "rendered_map_index", None) else ""
    line = f"{ti.dag_id}: {ti.task_id}{which} of run {ti.run_id} failed at try {ti.try_number}: {error}"
    if isinstance(error, HypertapeError):
        return line
    return f"{line} Read the traceback above; when its cause is gone, clear this task to run it again."


def deadline(interval: Interval) -> DeadlineAlert:
    """Build the alert for runs of a bar DAG that are not done in time."""
    return done_within(LATE_AFTER[interval])


def done_within(span: timedelta) -> DeadlineAlert:
    """Build the alert for runs that take `span` longer than the last ones did. Its line appears in the triggerer's log.

    A DAG's first run has no deadline. (One counted from `DAGRUN_QUEUED_AT` would, but Airflow 3.3 cannot clear a run
    with such a deadline: https://github.com/apache/airflow/issues/70368.)
    """
    return DeadlineAlert(
        name=f"at most {span} longer than usual",
        reference=DeadlineReference.AVERAGE_RUNTIME(max_runs=_RUNS_THAT_TELL_WHAT_IS_USUAL, min_runs=1),
        interval=span,
        callback=AsyncCallback(report_lateness),
    )


async def report_lateness(context: dict[str, Any]) -> None:
    """Log one line about a late run. Runs of a backfill wait for each other by design and are left out."""
    run = context["dag_run"]
    if run["run_type"] != "backfill":
        _LOG.error("%s", lateness_line(run, context["deadline"]["deadline_time"]))


def lateness_line(run: dict[str, Any], due: object) -> str:
    """Say which run is late, since when, and what to do next."""
    return (
        f"{run['dag_id']}: run {run['dag_run_id']} was due at {due} and is {run['state']}. "
        "Open it in the Airflow UI: a task that waits needs a free pool slot or a running scheduler, "
        "a task in retry shows its error in its log."
    )
