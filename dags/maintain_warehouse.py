"""Maintenance: backups made and verified, a part of what is derived proven, old bars, files and rows removed.


`backup → verify_backup → prune_backups`; `prove`; `run_policies`; `sweep`; `archive`

It runs every six hours and verifies then; all else is done once a day, in the first run after 03:00 UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from hypertape.orchestration.alerts import done_within
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import DAG_DEFAULTS
from hypertape.orchestration.maintenance_tasks import (
    backup,
    once_a_day,
    prune_backups,
    run_policies,
    sweep,
    verify_backup,
)
from hypertape.orchestration.pools import ROLLUPS
from hypertape.orchestration.runbook import store_runbook
from hypertape.orchestration.xcom import Json
from hypertape.settings import load_settings

LATE_AFTER = timedelta(hours=3)


@task(execution_timeout=timedelta(hours=6), pool=ROLLUPS.name)
def prove() -> Json:
    """Compare a thirtieth of all rollups and averages with the bars; what differs is a finding."""
    from hypertape.markets import all_markets
    from hypertape.steps.prove import prove_some

    once_a_day()
    run_id, markets = get_current_context()["run_id"], list(all_markets().values())
    found = prove_some(
        warehouse_dsn(), markets, run_id=run_id, now=datetime.now(UTC), settings=load_settings()
    )
    return {
        "compared": sum(each.compared for each in found),
        "differing": sum(each.differing for each in found),
    }


@task(execution_timeout=timedelta(hours=6), pool=ROLLUPS.name)
def archive() -> Json:
    """Write what retention drops to the archive, prove it, and drop it; nothing without HYPERTAPE_ARCHIVE_URL."""
    from hypertape.steps.archive import archive_all

    once_a_day()
    found = archive_all(warehouse_dsn(), load_settings(), now=datetime.now(UTC))
    return {"series": sum(each.series for each in found), "bars": sum(each.bars for each in found)}


@dag(
    description="Makes and verifies backups, proves a part of what is derived, removes what is old",
    schedule="30 3,9,15,21 * * *",
    doc_md=store_runbook("maintain_warehouse", LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["maintenance"],
    **DAG_DEFAULTS,
)
def maintain_warehouse() -> None:
    """Wire the run."""
    made, pruned = backup(), prune_backups()
    made >> verify_backup() >> pruned
    made >> pruned  # a run whose backup failed is not green, and removes none
    prove()
    run_policies()
    sweep()
    archive()


maintain_warehouse()
