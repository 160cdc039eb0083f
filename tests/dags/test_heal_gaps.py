"""The DAGs that `dags/heal_gaps.py` generates: their shape, their schedule, their form."""

from __future__ import annotations

from typing import Any

from hypertape.markets import all_markets, get_market
from hypertape.model import HEAL_ATTEMPTS, HEALABLE, Interval
from hypertape.orchestration.timetable import heal_schedule

PAIRS = [(market.code, interval) for market in all_markets().values() for interval in market.intervals]


def test_every_market_and_interval_has_a_dag(dag_bag: Any) -> None:
    of_the_file = [dag.dag_id for dag in dag_bag.dags.values() if dag.fileloc.endswith("heal_gaps.py")]
    assert sorted(of_the_file) == sorted(f"heal_gaps_{market}_{interval}" for market, interval in PAIRS)


def test_the_chain(dag_bag: Any) -> None:
    tasks = dag_bag.dags["heal_gaps_vn_1d"].tasks
    assert {task.task_id: set(task.downstream_task_ids) for task in tasks} == {
        "plan": {"unless_nothing", "per_batch.extract", "reread", "validate"},
        "unless_nothing": {"per_batch.extract", "reread", "validate"},
        "per_batch.extract": {"per_batch.gate"},
        "per_batch.gate": {"per_batch.load"},
        "per_batch.load": {"reread"},
        "reread": {"validate"},
        "validate": {"refresh_rollups"},
        "refresh_rollups": {"settle_gaps"},
        "settle_gaps": {"publish"},
        "publish": {"announce"},
        "announce": {"announce_weeks"},
        "announce_weeks": set(),
    }


def test_the_form_says_what_the_ledger_knows(dag_bag: Any) -> None:
    params = dag_bag.dags["heal_gaps_us_1h"].params
    assert params["reasons"] == list(HEALABLE)
    assert params["attempts"] == HEAL_ATTEMPTS
    assert params["dry_run"] is False


def test_healing_runs_daily_one_interval_after_the_other() -> None:
    assert [heal_schedule(get_market("vn"), interval) for interval in Interval if interval.is_stored] == [
        "10 12 * * *",
        "50 11 * * *",
        "30 11 * * *",
    ]
    schedules = [
        heal_schedule(market, interval) for market in all_markets().values() for interval in market.intervals
    ]
    assert len(set(schedules)) == len(schedules)
