"""Airflow with two Celery workers and a landing area on an object store.

The small part starts the broker only; --thorough runs the bar DAG over both workers and kills one of them, and runs it
beside four of `hypertape worker`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from hypertape.calendars import expected_times
from hypertape.errors import AirflowFailed
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.orchestration import processes, supervisor
from hypertape.orchestration.airflow_home import AirflowHome
from hypertape.orchestration.lifecycle import METADATA_DATABASE
from hypertape.orchestration.rest import Airflow
from hypertape.orchestration.standalone import Standalone
from hypertape.orchestration.supervisor import broker_command, broker_socket, components
from hypertape.settings import Settings
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.read import digests
from object_store import object_store, own_bucket
from real_airflow import one_at_a_time
from replay_server import Answer
from vci_replay import Request, VciReplay

DAG = "bars_vn_1d"
FORM = {"source": "sample", "start": "2024-03-04", "end": "2024-03-09"}


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: a socket's may have 107 characters."""
    directory = Path(tempfile.mkdtemp(prefix="hypertape-celery-"))
    yield directory
    shutil.rmtree(directory)


def test_the_executor_and_its_broker_can_be_had(home: Path):
    """A clean resolve is no proof: the provider's executor failed to import with a newer Celery."""
    from airflow.providers.celery.executors.celery_executor import CeleryExecutor

    assert CeleryExecutor.supports_sentry is not None
    with subprocess.Popen(broker_command(home), cwd=home, stdout=subprocess.DEVNULL) as broker:
        try:
            until = time.monotonic() + 20
            while not broker_socket(home).exists() and time.monotonic() < until:
                time.sleep(0.02)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(broker_socket(home)))
                client.sendall(b"PING\r\n")
                assert client.recv(100) == b"+PONG\r\n"
            connections = psutil.Process(broker.pid).net_connections(kind="inet")
            assert connections == [], "it listens on no port"
        finally:
            broker.terminate()


def test_two_workers_and_a_broker_run_beside_the_others(home: Path):
    assert set(components("celery", home)) - set(components("local", home)) == {
        "broker",
        "worker-1",
        "worker-2",
    }
    assert next(iter(components("celery", home))) == "broker", "before those that ask it"
    made = AirflowHome(Settings(state_dir=home))
    made.prepare()
    environment = made.environment("postgresql://a:b@h/airflow", "http://127.0.0.1:8080", executor="celery")
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert environment["AIRFLOW__CELERY__RESULT_BACKEND"] == "db+postgresql+psycopg2://a:b@h/airflow"
    local = made.environment("postgresql://a:b@h/airflow", "http://127.0.0.1:8080")
    assert local["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_without_a_broker_it_is_named(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor.shutil, "which", lambda _: None)
    with pytest.raises(AirflowFailed, match="redis-server"):
        components("celery", home)


@pytest.fixture
def distributed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standalone]:
    """Airflow with the executor `celery`, whose landing area is a bucket."""
    directory = Path(tempfile.mkdtemp(prefix="hypertape-celery-"))
    directory.chmod(0o755)
    with object_store() as server, own_bucket(server, "tape") as bucket:
        for name, value in {
            "HYPERTAPE_LANDING_URL": f"s3://{bucket}/landing",
            "HYPERTAPE_SOURCE": "vci" if "HYPERTAPE_SOURCE_ENDPOINTS" in os.environ else "sample",
        }.items():
            monkeypatch.setenv(name, value)
        settings = Settings(state_dir=directory)
        made = Standalone(settings, {"AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1"}, executor="celery")
        try:
            with one_at_a_time():
                made.up()
            yield made
        finally:
            made.down()
            EmbeddedServer(settings).remove()
            shutil.rmtree(directory)


@pytest.mark.airflow
@pytest.mark.thorough  # a worker killed in its series: workers/test_workers.py
@pytest.mark.timeout(1500)
def test_a_worker_killed_in_the_middle_of_load_costs_nothing(distributed: Standalone, new_warehouse):
    dsn = EmbeddedServer(distributed.settings).up()
    with distributed.client() as airflow:
        airflow.wait_for_dags([DAG])
        airflow.pause(DAG, paused=False)
        run_id = airflow.trigger(DAG, FORM)
        killed = kill_the_worker_of("load", airflow, run_id, distributed)
        ended = airflow.wait(DAG, run_id, seconds=900)
    print("killed", killed, [(task.name, task.state, task.seconds) for task in ended.tasks])
    assert ended.state == "success"
    vn = get_market("vn")
    with new_warehouse() as alone:
        sync(
            alone, "vn", "1d", now=utc(2024, 6, 1), settings=Settings(state_dir=distributed.settings.state_dir),
            start=utc(2024, 3, 4), end=utc(2024, 3, 9), source={"name": "sample"},
        )  # fmt: skip
        with connect(dsn) as one, connect(alone) as other:
            assert list(digests(one, vn, Interval.D1, None)) == list(digests(other, vn, Interval.D1, None))


TICKERS = sorted(get_market("vn").by_ticker)
ROUND, LATENCY = 40, 0.2


class Vendor(VciReplay):
    """Has an hour's minutes of every ticker and notes when each was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[float, str]] = []
        self.fault = self._note
        self.most = 5_000
        market = get_market("vn")
        times = expected_times(market, Interval.M1, Window(utc(2023, 9, 5, 2), utc(2023, 9, 5, 3)))
        for ticker in TICKERS:
            self.bars[market.symbol_at("vci", ticker), "ONE_MINUTE"] = [
                (int(t), 10_000.0, 10_050.0, 9_950.0, 10_010.0, 1000) for t in times // 1_000_000
            ]

    def _note(self, request: Request) -> Answer | None:
        self.noted += [(time.time(), ticker) for ticker in request["symbols"]]
        time.sleep(LATENCY)
        return None


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    made = Vendor()
    for name, value in {
        "HYPERTAPE_SOURCE_ENDPOINTS": f"vci={made.url}",
        "HYPERTAPE_SOURCE_RATES": "vci=0",
        "HYPERTAPE_WORKER_EVERY": str(ROUND),
        "HYPERTAPE_WORKER_IDLE_EVERY": str(ROUND),
        "HYPERTAPE_WORKER_FRESH": "0",
        "HYPERTAPE_BATCH_SIZE": "30",
    }.items():
        monkeypatch.setenv(name, value)
    yield made
    made.stop()


@pytest.mark.airflow
@pytest.mark.thorough  # in every run: database/workers/test_shared_rounds.py
@pytest.mark.timeout(1500)
def test_two_celery_workers_and_four_others_share_every_round(
    vendor: Vendor, distributed: Standalone, tmp_path: Path
):
    """A run of the DAG's schedule goes over the market's whole list, as the four do all the while."""
    dsn, dag = EmbeddedServer(distributed.settings).up(), "bars_vn_1m"
    words = ["worker", "-m", "vn", "-i", "1m", "--source", "vci"]
    environment = {**os.environ, "HYPERTAPE_DATABASE_URL": dsn, "HYPERTAPE_STATE_DIR": str(tmp_path)}
    with distributed.client() as airflow:
        airflow.wait_for_dags([dag])
        workers = [
            subprocess.Popen([sys.executable, "-m", "hypertape.cli", *words], env=environment)
            for _ in range(4)
        ]
        try:
            airflow.pause(dag, paused=False)
            until = time.monotonic() + 120
            while not (runs := airflow.runs(dag)) and time.monotonic() < until:
                make_due(distributed, dag)
                time.sleep(1)
            ended = airflow.wait(dag, runs[0]["dag_run_id"], seconds=900)
        finally:
            for worker in workers:
                worker.terminate()
            codes = [worker.wait(120) for worker in workers]
    with connect(dsn) as connection:
        loads = connection.execute(
            "select run_id like 'worker%', status, count(*) from load group by 1, 2 order by 1, 2"
        ).fetchall()
        who = connection.execute(
            "select worker_id, status, count(*) from sync_progress group by 1, 2 order by 1, 2"
        ).fetchall()
    rounds = Counter((int(at // ROUND), ticker) for at, ticker in vendor.noted)
    print(f"\ntickers by round: {list(Counter(number for number, _ in rounds).values())}")
    print(f"loads (a worker's?, status, number): {loads}")
    print("\n".join(f"| {worker} | {status} | {count} |" for worker, status, count in who))
    print(f"tasks: {Counter((task.task_id, task.state) for task in ended.tasks)}")
    assert set(rounds.values()) == {1}, "asked for twice in a round"
    assert {status for of_worker, status, _ in loads if not of_worker} >= {"skipped"}
    for task in ("extract", "gate", "load"):
        assert set(ended.states(f"per_batch.{task}")) == {"success"}, task
    assert codes == [0, 0, 0, 0]


def make_due(made: Standalone, dag: str) -> None:
    """Put the next tick of a schedule a week back, where it is still to come: its run is made now, and no second one.

    Parsing the DAG sets the tick again, so this is to be said until there is a run.
    """
    columns = ("", "_data_interval_start", "_data_interval_end", "_create_after")
    earlier = ", ".join(f"next_dagrun{name} = next_dagrun{name} - interval '7 days'" for name in columns)
    with psycopg.connect(EmbeddedServer(made.settings).ensure_database(METADATA_DATABASE)) as connection:
        connection.execute(
            f"update dag set {earlier} where dag_id = %s and next_dagrun_create_after > now()",  # type: ignore[arg-type]
            (dag,),
        )


def kill_the_worker_of(task: str, airflow: Airflow, run_id: str, made: Standalone) -> str:
    """Kill the Celery worker, with what it started, that runs a task just now; its name."""
    running = made.status().running
    assert running is not None
    until = time.monotonic() + 600
    while time.monotonic() < until:
        for found in airflow.get(f"/dags/{DAG}/dagRuns/{run_id}/taskInstances")["task_instances"]:
            if found["task_id"].endswith(task) and found["state"] == "running":
                return kill_workers(running.pid)
        time.sleep(0.05)
    raise AssertionError(f"{task} never ran")


def kill_workers(session: int) -> str:
    """The worker that has a child at work: killed with its children, as a host that is gone."""
    members = processes.session_members(session)
    workers = [each for each in members if "worker-" in " ".join(each.cmdline()) and each.ppid() == session]
    busy = max(workers, key=lambda each: len(each.children(recursive=True)))
    for each in [*busy.children(recursive=True), busy]:
        each.kill()
    return " ".join(busy.cmdline())[-60:]
