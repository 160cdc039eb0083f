"""The vendors' lists of symbols, once a day: what is new, renamed or gone is noted and told, nothing is dropped.

`follow_vn`, `follow_crypto`, … (one per market)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from hypertape.markets import all_markets
from hypertape.orchestration.alerts import done_within
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import DAG_DEFAULTS
from hypertape.orchestration.runbook import store_runbook
from hypertape.orchestration.xcom import Json
from hypertape.settings import load_settings

LATE_AFTER = timedelta(hours=1)


@task(execution_timeout=timedelta(minutes=30))
def follow(market: str) -> Json:
    """Ask for the market's list and keep it; a market whose sources publish none is skipped."""
    from airflow.sdk.exceptions import AirflowSkipException

    from hypertape.errors import BadInput
    from hypertape.markets import get_market
    from hypertape.steps.listings import follow_listing

    run_id, settings = get_current_context()["run_id"], load_settings()
    try:
        found = follow_listing(
            warehouse_dsn(), get_market(market), run_id=run_id, now=datetime.now(UTC), settings=settings
        )
    except BadInput as error:
        raise AirflowSkipException(str(error)) from error
    return found.to_json()


@dag(
    description="Follows the vendors' lists of symbols: new, renamed, gone",
    schedule="15 1 * * *",
    doc_md=store_runbook("sync_symbols", LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["maintenance"],
    **DAG_DEFAULTS,
)
def sync_symbols() -> None:
    """Wire the run."""
    for market in all_markets():
        follow.override(task_id=f"follow_{market}")(market)


sync_symbols()
