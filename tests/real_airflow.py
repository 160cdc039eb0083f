"""A real Airflow for the modules that need one: started once a session, and emptied for each module."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from psycopg import sql

from hypertape.errors import AirflowFailed
from hypertape.markets import all_markets
from hypertape.orchestration import processes
from hypertape.orchestration.airflow_home import folder
from hypertape.orchestration.rest import Airflow
from hypertape.orchestration.standalone import Standalone
from hypertape.settings import Settings
from hypertape.warehouse import schema
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer

BUNDLES = {"dags-folder": "dags", "examples": "docs/examples/dags"}
"""Directories of DAG files by the name of their bundle: ours, and those of the documents."""


def bundle(name: str) -> dict[str, Any]:
    """A directory of the repository as Airflow's configuration names it."""
    return {
        "name": name,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder("dags").parent / BUNDLES[name])},
    }


@contextmanager
def real_airflow() -> Iterator[Standalone]:
    """Scheduler, API server, DAG processor and triggerer as processes of their own, with a warehouse of their own.

    What they leave running after their end fails here.
    """
    directory = Path(tempfile.mkdtemp(prefix="hypertape-test-airflow-"))
    directory.chmod(0o755)
    with pytest.MonkeyPatch.context() as environment:
        for name in ("HYPERTAPE_DATABASE_URL", "HYPERTAPE_LANDING_URL", "HYPERTAPE_SOURCE_DIR"):
            environment.delenv(name, raising=False)
        environment.setenv("HYPERTAPE_SOURCE", "sample")  # no run may ask a vendor
        # Each look is work of Airflow's.
        environment.setattr("hypertape.orchestration.rest._POLL_SECONDS", 1.0)
        settings = Settings(state_dir=directory)
        made = Standalone(
            settings,
            {
                "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
                # No DAG file changes meanwhile: to read all of them again each half minute is most of its work.
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([*map(bundle, BUNDLES)]),
            },
        )
        try:
            with one_at_a_time():
                running = made.up()
            yield made
            made.down()
            assert processes.session_members(running.pid) == []
        finally:
            made.down()
            EmbeddedServer(settings).remove()
            shutil.rmtree(directory)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let only one worker look for a free port and take it."""
    with open(Path(tempfile.gettempdir()) / "hypertape-test-airflow.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def empty(made: Standalone) -> None:
    """Leave nothing of the modules before: no run, no DAG that is on, and a warehouse without a bar."""
    with made.client() as airflow:
        for dag in airflow.get("/dags", limit=100)["dags"]:
            if not dag["is_paused"]:
                airflow.pause(dag["dag_id"], True)
            for run in airflow.runs(dag["dag_id"]):
                _delete(airflow, f"/api/v2/dags/{dag['dag_id']}/dagRuns/{quote(run['dag_run_id'], safe='')}")
    _new_database(EmbeddedServer(made.settings).up())


def _delete(airflow: Airflow, run: str) -> None:
    """Delete a run; one that a module left running, or that has begun just now, is ended first."""
    for _ in range(20):
        answer = airflow._http.delete(run)
        if answer.status_code != httpx.codes.CONFLICT:
            break
        airflow._http.patch(run, json={"state": "failed"})
        time.sleep(0.5)
    answer.raise_for_status()


def asset_events(airflow: Airflow, run_id: str) -> list[dict[str, Any]]:
    """What a run told its assets, newest first.

    Airflow answers 500 while a run that an asset woke is queued: it has no start yet, and the answer demands one.
    """
    deadline = time.monotonic() + 60
    while True:
        try:
            events = airflow.get("/assets/events", limit=100, order_by="-timestamp")["asset_events"]
        except AirflowFailed as error:
            if "(500)" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return [event for event in events if event["source_run_id"] == run_id]


def _new_database(dsn: str) -> None:
    name = sql.Identifier(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as server:
        server.execute(sql.SQL("drop database {} with (force)").format(name))
        server.execute(sql.SQL("create database {} template template0").format(name))
    with connect(dsn) as connection:
        schema.apply(connection, all_markets().values())
