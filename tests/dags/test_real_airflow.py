"""The DAGs in a real Airflow: scheduler, API server, DAG processor, triggerer and tasks as processes of their own.

One Airflow serves the whole module, with a warehouse of its own and the source `sample`, asked through the form.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg import sql

from hypertape.markets import get_market
from hypertape.model import Interval
from hypertape.orchestration.airflow_home import USER
from hypertape.orchestration.pools import pools
from hypertape.orchestration.rest import Airflow, RunState, TaskState
from hypertape.orchestration.standalone import Standalone
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.read import digests
from real_airflow import asset_events

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAG = "bars_vn_1d"
SAMPLE = {"source": "sample"}
WEEK = {"start": "2024-03-04", "end": "2024-03-09"}
CHAIN = (
    "plan",
    "per_batch.extract",
    "per_batch.gate",
    "per_batch.load",
    "reread",
    "validate",
    "refresh_rollups",
    "publish",
)


@pytest.fixture(scope="module")
def airflow(standalone: Standalone) -> Iterator[Airflow]:
    with standalone.client() as client:
        client.wait_for_dags([DAG])
        client.pause(DAG, paused=False)
        yield client


@pytest.fixture(scope="module")
def dsn(standalone: Standalone) -> str:
    return EmbeddedServer(standalone.settings).up()


@pytest.fixture(scope="module")
def first(airflow: Airflow) -> RunState:
    """A run over one week of the sample, which the tests of this module start from."""
    return airflow.wait(DAG, airflow.trigger(DAG, {**SAMPLE, **WEEK}), seconds=300)


def test_everything_is_healthy_and_known(standalone: Standalone, airflow: Airflow) -> None:
    assert standalone.status().is_healthy
    assert airflow.import_errors() == []
    assert {pool.name: pool.slots for pool in pools()}.items() <= airflow.pools().items()


def test_an_unpaused_dag_waits_for_its_schedule(airflow: Airflow, first: RunState) -> None:
    unpaused_before = airflow.get(f"/dags/{DAG}/dagRuns/{first.run_id}")["queued_at"]
    assert [
        run for run in airflow.runs(DAG, run_type="scheduled") if run["run_after"] < unpaused_before
    ] == []
    upcoming = airflow.get(f"/dags/{DAG}")
    assert upcoming["next_dagrun_data_interval_start"].endswith("T00:00:00Z")
    assert upcoming["next_dagrun_run_after"].endswith("T08:30:00Z")


def test_a_run_goes_through_every_task(airflow: Airflow, first: RunState) -> None:
    assert first.state == "success", told(airflow, first)
    assert {task: first.states(task) for task in CHAIN} == {task: ["success"] for task in CHAIN}


def test_mapped_tasks_are_named_by_their_tickers(first: RunState) -> None:
    assert [task.name for task in first.tasks if task.task_id == "per_batch.load"] == [
        "per_batch.load [SYNBANK, SYNFOOD … SYNTECH (6)]"
    ]


def test_the_bars_are_there_with_their_rollups_and_a_report(
    airflow: Airflow, first: RunState, dsn: str
) -> None:
    daily, weekly = counts(dsn, "market_data_1d", **WEEK), counts(dsn, "market_data_1w", **WEEK)
    assert set(daily) == set(weekly)
    assert daily["SYNBANK"] == 5
    assert weekly["SYNBANK"] == 1
    report = Path(airflow.xcom(DAG, first.run_id, "publish")["report"])
    assert "SYNBANK" in report.read_text() or report.stat().st_size > 1000


def test_the_read_api_serves_them_behind_airflows_login(standalone: Standalone, first: RunState) -> None:
    running = standalone.status().running
    assert running is not None
    url = f"{running.url}/hypertape"
    question = {"symbol": "SYNBANK", "start_date": WEEK["start"], "end_date": "2024-03-08"}
    with httpx.Client(trust_env=False, timeout=60) as client:
        for path in ("/tickers", "/docs", "/openapi.json", "/metrics"):
            assert client.get(url + path).status_code == 401
        signed_in = {"username": USER, "password": standalone.home.password()}
        token = client.post(f"{running.url}/auth/token", json=signed_in).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        answer = client.get(f"{url}/tickers", params=question)
        assert [bar["time"][-2:] for bar in answer.json()["SYNBANK"]] == ["04", "05", "06", "07", "08"]
        assert answer.headers["content-encoding"] == "gzip"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        known = client.get(
            f"{url}/tickers", params=question, headers={"If-None-Match": answer.headers["etag"]}
        )
        assert known.status_code == 304
        loads = client.get(f"{url}/loads", params={"symbol": "SYNBANK", "interval": "1D"}).json()["loads"]
        assert first.run_id in loads[-1]["run_id"]
        assert client.get(f"{url}/openapi.json").json()["servers"] == [{"url": "/hypertape"}]
        assert (
            client.post(f"{url}/cache/clear", headers={"Origin": "https://evil.example"}).status_code == 403
        )
        assert client.post(f"{url}/cache/clear").json() == {"cleared": True}


def test_every_stage_tells_its_asset_what_it_did(airflow: Airflow, first: RunState) -> None:
    mine = {event["name"]: event["extra"] for event in asset_events(airflow, first.run_id)}
    assert set(mine) == {
        "vn_1d_bars_loaded", "vn_1d_rollups_refreshed", "vn_1d_bars_published", "vn_1w_bars_published",
    }  # fmt: skip
    assert mine["vn_1d_bars_published"]["sessions"] == [f"2024-03-0{day}" for day in (4, 5, 6, 7, 8)]
    assert mine["vn_1d_bars_loaded"]["inserted"] > 0
    assert mine["vn_1d_rollups_refreshed"]["buckets"] > 0


@pytest.mark.thorough  # in every run: load/test_load_laws.py (again), test_backfill_bars.py (ours)
def test_a_backfill_repeats_dates_that_ran_and_writes_nothing(
    airflow: Airflow, first: RunState, dsn: str
) -> None:
    runs = backfill(airflow)
    assert [head(airflow, run)["window"] for run in runs] == [
        [f"2024-03-0{day}T00:00:00+00:00", f"2024-03-0{day}T08:30:00+00:00"] for day in (5, 6)
    ]
    assert [written(airflow, run) for run in runs] == [0, 0]

    catch_up(airflow)
    before = fingerprints(dsn)
    again = backfill(airflow)  # the same dates have backfill runs now: these are cleared and run anew
    assert [run.run_id for run in again] == [run.run_id for run in runs]
    assert [head(airflow, run)["run_id"] for run in again] == [f"{DAG}__{run.run_id}__2" for run in again]
    assert [written(airflow, run) for run in again] == [0, 0]
    assert fingerprints(dsn) == before


def catch_up(airflow: Airflow) -> None:
    """Wait for the scheduled run that the first backfill sets off: the latest tick, from the watermark on."""
    deadline = time.monotonic() + 120
    while not (scheduled := airflow.runs(DAG, run_type="scheduled")):
        assert time.monotonic() < deadline
        time.sleep(1)
    ended = airflow.wait(DAG, scheduled[0]["dag_run_id"], seconds=300)
    assert ended.state == "success", told(airflow, ended)


def test_one_bad_ticker_costs_itself_until_it_is_mended(airflow: Airflow, dsn: str, tmp_path: Path) -> None:
    write_bars(tmp_path, "AAA")
    tree = {"source": "csv_tree", "source_dir": str(tmp_path), "tickers": ["AAA", "BBB"]}
    run_id = airflow.trigger(DAG, {**tree, "start": "2024-03-11", "end": "2024-03-16"})
    ended = airflow.wait(DAG, run_id, seconds=300)
    assert {task: ended.states(task) for task in CHAIN} == {
        **{task: ["success"] for task in CHAIN},
        "per_batch.load": ["failed"],
        "publish": ["failed"],
    }, told(airflow, ended)
    assert ended.state == "failed"
    assert [task.tries for task in ended.tasks if task.task_id == "per_batch.load"] == [
        1
    ]  # nothing to retry for
    assert counts(dsn, "market_data_1d", "2024-03-11", "2024-03-16")["AAA"] == 5
    log = airflow.log(DAG, run_id, "per_batch.load", map_index=0)
    assert "BatchRefused: 1 of the batch's tickers failed and the others are stored: BBB" in log
    assert "per_batch.load [AAA, BBB] of run" in log  # the failure callback's line

    write_bars(tmp_path, "BBB")
    airflow.clear(DAG, run_id, ["per_batch.load"])
    mended = airflow.wait(DAG, run_id, seconds=300)
    assert mended.state == "success", told(airflow, mended)
    assert counts(dsn, "market_data_1d", "2024-03-11", "2024-03-16")["BBB"] == 5


@pytest.mark.thorough  # in every run a batch that fails in part, above; a vendor that is down: sources/test_failover.py
def test_a_source_that_fails_as_a_whole_turns_the_run_red(airflow: Airflow, first: RunState) -> None:
    nowhere = {"source": "csv_tree", "source_dir": "/nowhere", "tickers": ["VIC"], **WEEK}
    ended = airflow.wait(DAG, airflow.trigger(DAG, nowhere), seconds=300)
    assert ended.state == "failed"
    assert ended.states("per_batch.load") == ["upstream_failed"] or ended.states("plan") == ["failed"]


def backfill(airflow: Airflow) -> list[RunState]:
    made = airflow.backfill(
        DAG, "2024-03-05T00:00:00Z", "2024-03-07T00:00:00Z", conf=SAMPLE, max_active_runs=2
    )
    ended = airflow.wait_for_backfill(made, seconds=500)
    assert [run.state for run in ended] == ["success"] * 2, told(airflow, *ended)
    return ended


def written(airflow: Airflow, run: RunState) -> int:
    """How many rows the run's load inserted or changed."""
    summary = airflow.xcom(DAG, run.run_id, "per_batch.load", map_index=0)
    assert summary["unchanged"] > 0
    return int(summary["inserted"] + summary["updated"])


def write_bars(tree: Path, ticker: str) -> None:
    (tree / ticker).mkdir()
    lines = [f"{ticker},2024-03-{day},10000,10100,9900,10050,1000" for day in range(11, 16)]
    text = "\n".join(["ticker,time,open,high,low,close,volume", *lines, ""])
    (tree / ticker / "1D.csv").write_text(text)


def head(airflow: Airflow, run: RunState) -> Any:
    return airflow.xcom(DAG, run.run_id, "plan", key="head")


def counts(dsn: str, relation: str, start: str, end: str) -> dict[str, int]:
    statement = "select ticker, count(*) from {} where time >= %s and time < %s group by ticker"
    with connect(dsn) as connection:
        rows = connection.execute(sql.SQL(statement).format(sql.Identifier(relation)), (start, end))
        return dict(rows.fetchall())


def fingerprints(dsn: str) -> dict[str, str]:
    with connect(dsn) as connection:
        return {each.ticker: each.sha256 for each in digests(connection, get_market("vn"), Interval.D1)}


def told(airflow: Airflow, *runs: RunState) -> str:
    """The ends of the logs of what failed, for the assertion's message."""
    failed = [(run, task) for run in runs for task in run.tasks if task.state == "failed"]
    return "\n".join(f"--- {task.name}\n{_log(airflow, run, task)[-2000:]}" for run, task in failed)


def _log(airflow: Airflow, run: RunState, task: TaskState) -> str:
    return airflow.log(run.dag_id, run.run_id, task.task_id, map_index=task.map_index, attempt=task.tries)
