"""Dividends and splits of every market, weekly: what the vendors report, kept beside the bars and held against them.

`plan → sync_actions per batch → check_adjusted`
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from hypertape.orchestration.alerts import done_within
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import DAG_DEFAULTS, EVEN_IF_LOADS_FAILED
from hypertape.orchestration.form_bars import actions_form, actions_wishes
from hypertape.orchestration.labels import MAPPED_BATCH_LABEL
from hypertape.orchestration.pools import BACKFILL
from hypertape.orchestration.runbook import actions_runbook
from hypertape.orchestration.xcom import Json, require_all_synced
from hypertape.settings import load_settings

LATE_AFTER = timedelta(hours=6)


@task(execution_timeout=timedelta(minutes=30))
def plan() -> list[Json]:
    """Decide markets, tickers and batches; each batch knows its market."""
    from hypertape.steps.actions import plan_actions

    wishes = actions_wishes(get_current_context())
    planned = plan_actions(warehouse_dsn(), now=datetime.now(UTC), settings=load_settings(), **wishes)
    return [batch.to_json() for batch in planned]


@task(execution_timeout=timedelta(hours=2), map_index_template=MAPPED_BATCH_LABEL, pool=BACKFILL.name)
def sync_actions(batch: Json) -> Json:
    """Ask the source and keep what is new or different; a ticker that failed is told of by the check."""
    from hypertape.steps.actions import ActionsBatch, sync_actions

    asked = ActionsBatch.from_json(batch)
    return sync_actions(warehouse_dsn(), asked, now=datetime.now(UTC), settings=load_settings()).to_json()


@task(execution_timeout=timedelta(hours=1), trigger_rule=EVEN_IF_LOADS_FAILED)
def check_adjusted(synced: list[Json]) -> Json:
    """Compare the vendor's adjusted closes with those computed; turn the run red if a ticker failed."""
    from hypertape.steps.actions import SyncedActions, finish, raise_if_failed

    run_id = actions_wishes(get_current_context())["run_id"]
    kept = [SyncedActions.from_json(each) for each in synced if each]
    done = finish(warehouse_dsn(), kept, run_id=run_id, now=datetime.now(UTC))
    raise_if_failed(done)
    return {**done.to_json(), "batches": require_all_synced(len(kept))}


documented_sync = sync_actions.override(doc_md=sync_actions.function.__doc__)
"""A mapped task does not take its function's docstring by itself."""


@dag(
    description="Dividends and splits: kept beside the bars, and held against the adjusted closes",
    schedule="0 8 * * 6",
    params=actions_form(),
    doc_md=actions_runbook(LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["actions"],
    **DAG_DEFAULTS,
)
def corporate_actions() -> None:
    """Wire the run."""
    batches = plan()
    batches >> check_adjusted(documented_sync.expand(batch=batches))


corporate_actions()
