"""Bars of the past, for whatever the form asks: a market's missing bars, a window again, a whole history restated.

`plan → unless_rehearsal → load (ask, gate, load) per window and batch → reread → validate → refresh_rollups →
publish → announce`
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from hypertape.model import parse_instant
from hypertape.orchestration.alerts import done_within
from hypertape.orchestration.assets import alias, report_to_asset
from hypertape.orchestration.bar_tasks import refresh_rollups, reread, tell_of_the_runs_sessions, validate
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import BY_HAND
from hypertape.orchestration.form_bars import backfill_form, backfill_wishes
from hypertape.orchestration.labels import UNIT_LABEL
from hypertape.orchestration.pools import BACKFILL
from hypertape.orchestration.runbook import backfill_runbook
from hypertape.orchestration.xcom import Json, head, run_spec, share_plan, this_task, this_try
from hypertape.settings import load_settings

LATE_AFTER = timedelta(hours=12)
_LOG = logging.getLogger(__name__)


@task(execution_timeout=timedelta(minutes=30))
def plan() -> list[Json]:
    """Count what is there and what is missing, store the plan, or find what an interrupted run left open.

    Returns the units that are open: windows of batches. A dry run has none; its report is the plan.
    """
    from hypertape.steps.backfill import plan_backfill, plan_table, rehearse

    dsn, settings = warehouse_dsn(), load_settings()
    wishes = backfill_wishes(get_current_context())
    planned = plan_backfill(dsn, **wishes, now=datetime.now(UTC), settings=settings)
    _LOG.info("%s", plan_table(planned))
    if planned.dry_run:
        report = rehearse(dsn, planned, settings=settings)
        _LOG.info("Nothing is asked and nothing is written. Report: %s", report)
    return share_plan(planned)


@task.short_circuit(execution_timeout=timedelta(minutes=10))
def unless_rehearsal() -> bool:
    """End here when it is a dry run."""
    return not head()["dry_run"]


@task(execution_timeout=timedelta(hours=5), map_index_template=UNIT_LABEL)
def load(batch: Json) -> Json:
    """Ask for one window of one batch of tickers, gate it, load it and note it as done, once nobody else works on it.

    One task, because it holds the unit's claim all the while. Fails after the work if a ticker failed.
    """
    from hypertape.steps.backfill import load_unit
    from hypertape.steps.run_spec import Batch

    planned, spec, unit = head(), run_spec(), Batch.from_json(batch)
    done = load_unit(
        warehouse_dsn(), spec, planned["backfill_id"], unit, since=parse_instant(planned["since"]),
        worker=this_task(), settings=load_settings(), **this_try(),
    )  # fmt: skip
    if done is None:
        _LOG.info("Another worker has loaded %s meanwhile.", unit.window)
        return {}
    _LOG.info("%s", done.sentence(spec, unit.window))
    return report_to_asset(done.to_json())


documented_load = load.override(
    pool=BACKFILL.name, outlets=[alias("bars_loaded")], doc_md=load.function.__doc__
)
"""A mapped task does not take its function's docstring by itself."""


@task(execution_timeout=timedelta(minutes=30))
def publish() -> Json:
    """Publish what passed, move the watermarks, write the report with the plan, turn the run red if anything is missing
    or wrong."""
    from hypertape.steps.backfill import finish

    backfill_id = head()["backfill_id"]
    done = finish(warehouse_dsn(), run_spec(), backfill_id, now=datetime.now(UTC), settings=load_settings())
    if done.error is not None:
        raise done.error
    return {**done.published.to_json(), "units": done.units}


@dag(
    description="Bars of the past: what is missing, a window again, or a whole history restated; rehearsed by default",
    params=backfill_form(),
    doc_md=backfill_runbook(LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["bars", "backfill"],
    **BY_HAND,
)
def backfill_bars() -> None:
    """Wire the backfill."""
    units = plan()
    go = unless_rehearsal()
    loaded = documented_load.expand(batch=units)
    validated = validate()
    refreshed = refresh_rollups.override(outlets=[alias("rollups_refreshed")])()
    restated = reread.override(pool=BACKFILL.name)()
    units >> go >> [loaded, restated, validated]
    [units, loaded] >> restated
    published = publish()
    [units, restated] >> validated >> refreshed >> published
    tell_of_the_runs_sessions(published)


backfill_bars()
