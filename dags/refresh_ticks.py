"""Candles of ticks, by the clock: refreshed where ticks came and nobody refreshed them, then old ticks are let go.

`refresh → retain`
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from hypertape.orchestration.alerts import done_within
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import DAG_DEFAULTS
from hypertape.orchestration.pools import ROLLUPS
from hypertape.orchestration.runbook import store_runbook
from hypertape.orchestration.xcom import Json
from hypertape.settings import load_settings

LATE_AFTER = timedelta(minutes=30)


@task(execution_timeout=timedelta(hours=1), pool=ROLLUPS.name)
def refresh() -> Json:
    """Refresh all seven levels exactly where ticks came, and prove them equal to their ticks."""
    from hypertape.steps.candles import refresh_ticks

    return refresh_ticks(warehouse_dsn(), get_current_context()["run_id"]).to_json()


@task(execution_timeout=timedelta(hours=1), pool=ROLLUPS.name)
def retain() -> Json:
    """Drop the ticks that are older than they are kept; their candles stay."""
    from hypertape.steps.candles import retain_ticks

    border = retain_ticks(
        warehouse_dsn(), get_current_context()["run_id"], now=datetime.now(UTC), settings=load_settings()
    )
    return {"dropped_before": border.isoformat() if border else None}


@dag(
    description="Refreshes candles where ticks came and no stream did, and drops old ticks",
    schedule="*/5 * * * *",
    doc_md=store_runbook("refresh_ticks", LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["maintenance"],
    **DAG_DEFAULTS,
)
def refresh_ticks() -> None:
    """Wire the run."""
    refresh() >> retain()


refresh_ticks()
