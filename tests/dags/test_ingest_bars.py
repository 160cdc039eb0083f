"""The DAGs that `dags/ingest_bars.py` generates: their shape, their schedule, their form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from hypertape.calendars import expected_times
from hypertape.frame import micros
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, Window
from hypertape.sources import source_names

PAIRS = [(market.code, interval) for market in all_markets().values() for interval in market.intervals]
DAG_IDS = [f"bars_{market}_{interval}" for market, interval in PAIRS]


def test_every_market_and_interval_has_a_dag_and_there_is_nothing_else(dag_bag: Any) -> None:
    assert dag_bag.import_errors == {}
    of_the_file = [dag for dag in dag_bag.dags.values() if dag.fileloc.endswith("ingest_bars.py")]
    assert sorted(dag.dag_id for dag in of_the_file) == sorted(DAG_IDS)
    assert len(DAG_IDS) == 9


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_the_chain(dag_bag: Any, dag_id: str) -> None:
    downstream = {task.task_id: set(task.downstream_task_ids) for task in dag_bag.dags[dag_id].tasks}
    assert downstream == {
        "plan": {"per_batch.extract", "reread", "validate"},
        "per_batch.extract": {"per_batch.gate"},
        "per_batch.gate": {"per_batch.load"},
        "per_batch.load": {"reread"},
        "reread": {"validate"},
        "validate": {"refresh_rollups"},
        "refresh_rollups": {"publish"},
        "publish": {"announce"},
        **(
            {"announce": {"announce_weeks"}, "announce_weeks": set()}
            if dag_id.endswith("_1d")
            else {"announce": set()}
        ),
    }


def test_the_batches_of_the_plan_are_what_is_mapped(dag_bag: Any) -> None:
    from airflow.sdk.definitions.mappedoperator import MappedOperator
    from airflow.sdk.definitions.taskgroup import MappedTaskGroup

    dag = dag_bag.dags["bars_vn_1d"]
    group = dag.task_group.get_child_by_label("per_batch")
    assert isinstance(group, MappedTaskGroup)
    assert {operator.task_id for operator, _ in group._expand_input.iter_references()} == {"plan"}
    for task in dag.tasks:
        assert not isinstance(task, MappedOperator)  # the group is mapped, not its tasks one by one
        if task.task_id.startswith("per_batch."):
            assert "batch_label" in task.map_index_template


@pytest.mark.parametrize(
    ("task_id", "rule", "reason"),
    [
        ("reread", "all_done_min_one_success", "what loaded may be restated, whatever failed"),
        ("validate", "all_done_min_one_success", "loads fail after their work, plan before any"),
        ("refresh_rollups", "all_success", "what is pending stays pending for the next run"),
        ("publish", "all_success", "nothing is published that was not validated"),
        ("per_batch.load", "all_success", "without an answer there is nothing to load"),
    ],
)
def test_trigger_rules(dag_bag: Any, task_id: str, rule: str, reason: str) -> None:
    assert dag_bag.dags["bars_us_1d"].get_task(task_id).trigger_rule == rule, reason


@pytest.mark.parametrize(("market", "interval"), PAIRS)
def test_assets_follow_each_other_and_are_named_after_the_series(
    dag_bag: Any, market: str, interval: Interval
) -> None:
    dag = dag_bag.dags[f"bars_{market}_{interval}"]
    outlets = {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets}
    weeks = {"announce_weeks": [f"{market}_1w_bars_published"]} if interval is Interval.D1 else {}
    assert outlets == {
        "per_batch.load": [f"{market}_{interval}_bars_loaded"],
        "refresh_rollups": [f"{market}_{interval}_rollups_refreshed"],
        "announce": [f"{market}_{interval}_bars_published"],
        **weeks,
    }


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_an_empty_form_is_valid_and_offers_every_source(dag_bag: Any, dag_id: str) -> None:
    params = dag_bag.dags[dag_id].params
    assert params.validate() == {
        "tickers": None,
        "start": None,
        "end": None,
        "source": None,
        "source_dir": None,
        "legacy_scale": False,
        "exchange": None,
        "replay": None,
    }
    assert params.get_param("source").schema["enum"] == [None, *source_names()]
    assert all(params.get_param(name).schema["title"] for name in params)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"source": "nasdaq"}, "there is no such source"),
        ({"tickers": "VIC"}, "a list, not a text"),
        ({"start": "yesterday"}, "not a date"),
        ({"legacy_scale": "yes"}, "not a boolean"),
    ],
)
def test_a_wrong_form_is_refused_before_anything_runs(
    dag_bag: Any, given: dict[str, Any], reason: str
) -> None:
    from airflow.exceptions import ParamValidationError

    params = served(dag_bag.dags["bars_vn_1d"]).params.deep_merge(given)
    with pytest.raises(ParamValidationError, match=next(iter(given))):
        params.validate()


@pytest.mark.parametrize(("market", "interval"), PAIRS)
def test_the_runs_of_a_fortnight_own_every_bar_of_it(dag_bag: Any, market: str, interval: Interval) -> None:
    """A backfill over any dates therefore loads every bar of these dates, be the windows as they may."""
    fortnight = Window(datetime(2024, 3, 4, tzinfo=UTC), datetime(2024, 3, 18, tzinfo=UTC))
    owned = data_intervals(
        dag_bag.dags[f"bars_{market}_{interval}"], fortnight.start, fortnight.end + timedelta(days=1)
    )
    bars = np.asarray(expected_times(get_market(market), interval, fortnight))
    covered = np.zeros(len(bars), bool)
    for window in owned:
        covered |= (bars >= micros(window.start)) & (bars < micros(window.end))
    assert len(bars) > 9
    assert covered.all(), bars[~covered].astype("datetime64[us]")


@pytest.mark.parametrize(
    ("dag_id", "date"),
    [("bars_vn_1d", "2024-03-08"), ("bars_us_1d", "2024-03-08"), ("bars_crypto_1d", "2024-03-08")],
)
def test_a_daily_run_carries_the_date_of_its_session(dag_bag: Any, dag_id: str, date: str) -> None:
    day = datetime.fromisoformat(date).replace(tzinfo=UTC)
    intervals = data_intervals(dag_bag.dags[dag_id], day, day + timedelta(days=1, hours=1))
    mine = [window for window in intervals if window.start == day]
    assert len(mine) == 1


def data_intervals(dag: Any, start: datetime, end: datetime) -> list[Window]:
    """The data intervals of the runs a backfill from `start` to `end` makes."""
    runs = served(dag).iter_dagrun_infos_between(start, end)
    return [Window(run.data_interval.start, run.data_interval.end) for run in runs]


def served(dag: Any) -> Any:
    """The DAG as the scheduler and the API server know it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))
