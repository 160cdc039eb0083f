"""Only when a session was restated: what was complete has other bars now, which have passed the checks too."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, PartitionedAssetTimetable, dag, get_current_context, task

PUBLISHED = Asset(name="vn_1d_bars_published", uri="hypertape://vn/1d/bars_published", group="hypertape")


@task.short_circuit
def was_restated() -> bool:
    """True when the session has been published more than once; else the run ends here."""
    from hypertape.orchestration.connection import warehouse_dsn
    from hypertape.warehouse.connect import connect

    session = get_current_context()["dag_run"].partition_key
    with connect(warehouse_dsn()) as connection:
        row = connection.execute(
            "select times from published_session where market = 'vn' and interval = '1d' and session = %s::date",
            (session,),
        ).fetchone()
    return row is not None and row[0] > 1


@task
def make_again() -> dict[str, Any]:
    """Make again what was made of the former bars."""
    return {"session": get_current_context()["dag_run"].partition_key}


@dag(schedule=PartitionedAssetTimetable(assets=PUBLISHED), catchup=False, tags=["example"])
def restated_session() -> None:
    """Wire the example."""
    was_restated() >> make_again()


restated_session()
