"""Once per complete session: the run's partition key is the session, and all its daily bars are published.

A session that was restated comes again, with the same key: write what you make of it under the key, and a second run
replaces the first.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, PartitionedAssetTimetable, dag, get_current_context, task

PUBLISHED = Asset(name="vn_1d_bars_published", uri="hypertape://vn/1d/bars_published", group="hypertape")


@task
def count_bars() -> dict[str, Any]:
    """Read the session's bars from the schema `published`: nothing is in it that a check has not passed."""
    from hypertape.orchestration.connection import warehouse_dsn
    from hypertape.warehouse.connect import connect

    session = get_current_context()["dag_run"].partition_key
    with connect(warehouse_dsn()) as connection:
        rows = connection.execute(
            "select ticker, close from published.market_data_1d where time = %s::date", (session,)
        ).fetchall()
    return {"session": session, "tickers": len(rows)}


@dag(schedule=PartitionedAssetTimetable(assets=PUBLISHED), catchup=False, tags=["example"])
def each_session() -> None:
    """Wire the example."""
    count_bars()


each_session()
