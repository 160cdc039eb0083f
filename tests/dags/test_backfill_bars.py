"""The DAG `backfill_bars`: its shape, its form, and its runs in a real Airflow, asked through the form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypertape.markets import all_markets, get_market
from hypertape.model import MODES, Interval
from hypertape.orchestration.rest import Airflow, RunState
from hypertape.orchestration.standalone import Standalone
from hypertape.sources import source_names
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.read import digests
from real_airflow import asset_events

DAG, BARS = "backfill_bars", "bars_vn_1d"
CHAIN = (
    "plan",
    "unless_rehearsal",
    "load",
    "reread",
    "validate",
    "refresh_rollups",
    "publish",
    "announce",
    "announce_weeks",
)
AFTER_PLAN = CHAIN[2:]
DAYS = {"start": "2024-03-07", "end": "2024-03-09"}
"""Two sessions: each date is a run of its own for Airflow's backfill, ten tasks long."""
WEEK = {"start": "2024-03-04", "end": "2024-03-09"}
FORM = {"market": "vn", "interval": "1d", "source": "sample", **DAYS}


def test_the_chain_is_that_of_every_bar_dag_with_a_task_a_unit(dag_bag: Any) -> None:
    downstream = {task.task_id: set(task.downstream_task_ids) for task in dag_bag.dags[DAG].tasks}
    assert downstream == {
        "plan": {"unless_rehearsal", "load", "reread", "validate"},
        "unless_rehearsal": {"load", "reread", "validate"},
        "load": {"reread"},
        "reread": {"validate"},
        "validate": {"refresh_rollups"},
        "refresh_rollups": {"publish"},
        "publish": {"announce"},
        "announce": {"announce_weeks"},
        "announce_weeks": set(),
    }


def test_an_empty_form_is_a_rehearsal(dag_bag: Any) -> None:
    params = dag_bag.dags[DAG].params
    assert params.validate() == {
        "market": next(iter(all_markets())),
        "interval": "1d",
        "mode": "missing",
        "dry_run": True,
        **dict.fromkeys(
            (
                "tickers", "groups", "start", "end", "source", "source_dir", "legacy_scale", "exchange", "replay",
                "reason",
            )
        ),
    }  # fmt: skip
    assert params.get_param("source").schema["enum"] == [None, *source_names()]
    assert all(params.get_param(name).schema["title"] for name in params)


def test_the_form_offers_every_mode_there_is(dag_bag: Any) -> None:
    shown = dag_bag.dags[DAG].params.get_param("mode").schema
    assert tuple(shown["enum"]) == tuple(shown["values_display"]) == MODES


def test_batches_of_a_backfill_never_take_a_scheduled_runs_place_at_its_source(dag_bag: Any) -> None:
    tasks = {task.task_id: task.pool for task in dag_bag.dags[DAG].tasks}
    assert tasks["load"] == tasks["reread"] == "hypertape_backfill"


@pytest.fixture(scope="module")
def airflow(standalone: Standalone) -> Iterator[Airflow]:
    with standalone.client() as client:
        client.wait_for_dags([DAG, BARS])
        client.pause(DAG, paused=False)
        yield client


@pytest.fixture(scope="module")
def dsn(standalone: Standalone) -> str:
    return EmbeddedServer(standalone.settings).up()


def run(airflow: Airflow, **form: Any) -> RunState:
    return airflow.wait(DAG, airflow.trigger(DAG, {**FORM, **form}), seconds=400)


def stored(dsn: str) -> dict[str, str]:
    with connect(dsn) as connection:
        return {each.ticker: each.sha256 for each in digests(connection, get_market("vn"), Interval.D1)}


def states(ended: RunState) -> dict[str, set[str | None]]:
    return {task: set(ended.states(task)) for task in CHAIN}


@pytest.fixture(scope="module")
def by_airflow(airflow: Airflow, dsn: str) -> dict[str, str]:
    """What Airflow's own backfill of `bars_vn_1d` over the days leaves behind; the bars are gone before and after."""
    no_bars(dsn)
    airflow.pause(BARS, paused=False)
    made = airflow.backfill(
        BARS, "2024-03-07T00:00:00Z", "2024-03-09T00:00:00Z", conf={"source": "sample"}, max_active_runs=2
    )
    assert [each.state for each in airflow.wait_for_backfill(made, seconds=600)] == ["success"] * 2
    for scheduled in airflow.runs(BARS, run_type="scheduled"):  # the tick that unpausing made up for
        airflow.wait(BARS, scheduled["dag_run_id"], seconds=400)
    airflow.pause(BARS, paused=True)  # not before: a run of a paused DAG starts no task any more
    with connect(dsn) as connection:
        connection.execute(
            "delete from bars.market_data_1d where time < '2024-03-07' or time >= '2024-03-09'"
        )
        connection.commit()
    found = stored(dsn)
    assert len(found) > 3
    no_bars(dsn)
    return found


def no_bars(dsn: str) -> None:
    with connect(dsn) as connection:
        for interval in ("1d", "1w", "2w", "1mo"):
            connection.execute(f"delete from bars.market_data_{interval}")
        for table in ("series", "bar_revision", "rollup_pending", "restatement"):
            connection.execute(f"delete from {table}")
        connection.commit()


@pytest.mark.airflow
@pytest.mark.timeout(900)
def test_a_rehearsal_loads_nothing_and_the_load_after_it_everything(airflow: Airflow, dsn: str) -> None:
    rehearsal = run(airflow, **WEEK)
    assert rehearsal.state == "success", told(airflow, rehearsal)
    assert states(rehearsal) == {
        "plan": {"success"}, "unless_rehearsal": {"success"}, **{task: {"skipped"} for task in AFTER_PLAN},
    }  # fmt: skip
    head = airflow.xcom(DAG, rehearsal.run_id, "plan", key="head")
    assert head["plan"]["present"] == 0
    assert head["plan"]["missing"] == head["plan"]["tickers"] * 5
    log = airflow.log(DAG, rehearsal.run_id, "plan")
    assert "bars missing" in log
    report = Path(log.partition("Report: ")[2].splitlines()[0])
    assert "Plan of the backfill" in report.read_text()
    assert stored(dsn) == {}

    loaded = run(airflow, **WEEK, mode="overwrite", dry_run=False, reason="a week again")
    assert states(loaded) == {task: {"success"} for task in CHAIN}, told(airflow, loaded)
    assert len(stored(dsn)) == head["plan"]["tickers"]
    assert [task.name for task in loaded.tasks if task.task_id == "load"] == [
        "load [2024-03-04 – 2024-03-09 SYNBANK, SYNFOOD … SYNTECH (6)]"
    ]
    published = airflow.xcom(DAG, loaded.run_id, "publish")
    assert "a week again" in Path(published["report"]).read_text()
    mine = asset_events(airflow, loaded.run_id)
    assert {event["name"] for event in mine} == {
        "vn_1d_bars_loaded", "vn_1d_rollups_refreshed", "vn_1d_bars_published", "vn_1w_bars_published",
    }  # fmt: skip
    keys = [event["partition_key"] for event in mine if event["name"] == "vn_1d_bars_published"]
    assert sorted(keys) == [f"2024-03-0{day}" for day in (4, 5, 6, 7, 8)], (
        "and the week, now that it is whole"
    )


@pytest.mark.airflow
@pytest.mark.thorough  # in every run: the test above, and of dates that Airflow gives test_pages_in_airflow.py
@pytest.mark.timeout(1800)
def test_airflows_backfill_and_this_one_leave_the_same_bars(
    airflow: Airflow, by_airflow: dict[str, str], dsn: str
) -> None:
    loaded = run(airflow, mode="overwrite", dry_run=False, reason="two days again")
    assert loaded.state == "success", told(airflow, loaded)
    assert stored(dsn) == by_airflow


@pytest.mark.airflow
@pytest.mark.thorough  # in every run without Airflow: runs/test_backfill.py
@pytest.mark.timeout(1200)
def test_what_is_loaded_is_not_asked_for_again(
    airflow: Airflow, by_airflow: dict[str, str], dsn: str
) -> None:
    """After the test before it: the same run cleared, and another that asks for what is missing."""
    loaded = airflow.run(DAG, airflow.runs(DAG)[-1]["dag_run_id"])
    airflow.clear(DAG, loaded.run_id, ["plan"])
    cleared = airflow.wait(DAG, loaded.run_id, seconds=400)
    assert cleared.state == "success", told(airflow, cleared)
    assert airflow.xcom(DAG, cleared.run_id, "plan") == [], "what is done is not asked for again"

    missing = run(airflow, dry_run=False)
    assert missing.state == "success", told(airflow, missing)
    assert airflow.xcom(DAG, missing.run_id, "plan") == [], "nothing is missing"
    assert stored(dsn) == by_airflow


@pytest.mark.airflow
@pytest.mark.thorough  # in every run without Airflow: runs/test_backfill.py, and a bad ticker in test_real_airflow.py
@pytest.mark.timeout(1200)
def test_one_bad_ticker_is_all_that_the_next_run_asks_for(
    airflow: Airflow, by_airflow: dict[str, str], dsn: str, tmp_path: Path
) -> None:
    write(tmp_path, "AAA")
    tree = {"source": "csv_tree", "source_dir": str(tmp_path), "tickers": ["AAA", "BBB"]}
    red = run(airflow, **tree, dry_run=False)
    assert red.state == "failed"
    assert (red.states("load"), red.states("publish")) == (["failed"], ["failed"])
    assert set(stored(dsn)) >= {"AAA"}
    write(tmp_path, "BBB")
    green = run(airflow, **tree, dry_run=False)
    assert green.state == "success", told(airflow, green)
    (unit,) = airflow.xcom(DAG, green.run_id, "plan")
    assert unit["tickers"] == ["BBB"]
    head = airflow.xcom(DAG, green.run_id, "plan", key="head")
    assert (head["resumed"], head["run_id"]) == (True, f"{DAG}__{red.run_id}")
    assert set(stored(dsn)) >= {"AAA", "BBB"}


def told(airflow: Airflow, ended: RunState) -> str:
    """The ends of the logs of what failed, for the assertion's message."""
    failed = [task for task in ended.tasks if task.state == "failed"]
    logs = [
        airflow.log(ended.dag_id, ended.run_id, task.task_id, map_index=task.map_index, attempt=task.tries)
        for task in failed
    ]
    return "\n".join(log[-2000:] for log in logs)


def write(tree: Path, ticker: str) -> None:
    (tree / ticker).mkdir()
    lines = [f"{ticker},2024-03-{day:02},10000,10100,9900,10050,1000" for day in range(4, 9)]
    text = "\n".join(["ticker,time,open,high,low,close,volume", *lines, ""])
    (tree / ticker / "1D.csv").write_text(text)
