"""The DAG `refresh_ticks`: its shape, its clock, its pool, and what its first task does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hypertape.orchestration.pools import ROLLUPS
from hypertape.warehouse.connect import connect

DAG = "refresh_ticks"


def test_the_chain(dag_bag: Any) -> None:
    tasks = dag_bag.dags[DAG].tasks
    assert {task.task_id: set(task.downstream_task_ids) for task in tasks} == {
        "refresh": {"retain"},
        "retain": set(),
    }
    assert {task.pool for task in tasks} == {ROLLUPS.name}


def test_it_runs_every_five_minutes_one_at_a_time(dag_bag: Any) -> None:
    dag = dag_bag.dags[DAG]
    assert dag.schedule == "*/5 * * * *"
    assert (dag.max_active_runs, dag.catchup) == (1, False)


@pytest.mark.database
def test_its_tasks_refresh_what_waits_and_set_the_border(
    dag_bag: Any, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(warehouse, autocommit=True) as connection:
        connection.execute("insert into symbols (market, ticker, kind) values ('stream', 'EURUSD', 'other')")
        connection.execute(
            "insert into bars.ticks (symbol_id, tick_time, sequence, bid_price, source) "
            "select symbol_id, '2026-01-05 12:00+00', 1, 1.08, 'lab' from symbols where ticker = 'EURUSD'"
        )
        connection.execute(
            "insert into tick_pending (first_time, last_time) select tick_time, tick_time from bars.ticks"
        )
        works = {name: dag_bag.dags[DAG].task_dict[name].python_callable for name in ("refresh", "retain")}
        for work in works.values():
            monkeypatch.setitem(work.__globals__, "warehouse_dsn", lambda: warehouse)
            monkeypatch.setitem(work.__globals__, "get_current_context", lambda: {"run_id": "lab"})
        done = works["refresh"]()
        assert (done["busy"], len(done["ranges"]), done["buckets"]) == (False, 7, 7)
        assert works["refresh"]()["ranges"] == []
        assert connection.execute("select tick_count from ohlc_1d").fetchall() == [(1,)]
        border = works["retain"]()["dropped_before"]
        assert datetime.fromisoformat(border) < datetime.now(UTC)
