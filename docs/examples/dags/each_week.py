"""Once per week, when its last session is published: the partition key is the week's Monday, holidays or not.

The calendar decides which session is the last one. A week of which a session was restated comes again.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, PartitionedAssetTimetable, dag, get_current_context, task

WEEKS = Asset(name="vn_1w_bars_published", uri="hypertape://vn/1w/bars_published", group="hypertape")


@task
def read_week() -> dict[str, Any]:
    """Read the week's bars, made of published days."""
    from hypertape.orchestration.connection import warehouse_dsn
    from hypertape.warehouse.connect import connect

    monday = get_current_context()["dag_run"].partition_key
    with connect(warehouse_dsn()) as connection:
        rows = connection.execute(
            "select ticker, close from published.market_data_1w where time = %s::date", (monday,)
        ).fetchall()
    return {"week": monday, "tickers": len(rows)}


@dag(schedule=PartitionedAssetTimetable(assets=WEEKS), catchup=False, tags=["example"])
def each_week() -> None:
    """Wire the example."""
    read_week()


each_week()
