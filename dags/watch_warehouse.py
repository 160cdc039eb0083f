"""What is wrong, by the clock: findings are kept current where no run does, and whoever wants to know is told.

`look → tell`
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from hypertape.orchestration.alerts import done_within
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import DAG_DEFAULTS
from hypertape.orchestration.runbook import store_runbook
from hypertape.orchestration.xcom import Json
from hypertape.settings import load_settings

LATE_AFTER = timedelta(minutes=15)


@task(execution_timeout=timedelta(minutes=15))
def look() -> Json:
    """Open, keep current and close findings of all markets and intervals."""
    from hypertape.steps.findings import watch

    run_id = get_current_context()["run_id"]
    return watch(warehouse_dsn(), run_id, now=datetime.now(UTC), settings=load_settings()).to_json()


@task(execution_timeout=timedelta(minutes=15))
def tell() -> Json:
    """Send the messages that are due; turn red where a channel takes none."""
    from hypertape.steps.notify import raise_if_kept, tell

    told = tell(warehouse_dsn(), now=datetime.now(UTC), settings=load_settings())
    raise_if_kept(told)
    return told.to_json()


@dag(
    description="Keeps findings current by the clock, and tells those who want to know",
    schedule="*/15 * * * *",
    doc_md=store_runbook("watch_warehouse", LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["maintenance"],
    **DAG_DEFAULTS,
)
def watch_warehouse() -> None:
    """Wire the run."""
    look() >> tell()


watch_warehouse()
