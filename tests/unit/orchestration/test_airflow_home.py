"""What the components of Airflow start with."""

from __future__ import annotations

import importlib.util
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hypertape.orchestration.airflow_home import PRELOADED, AirflowHome, Running
from hypertape.settings import Settings

METADATA = "postgresql://hypertape:pw@127.0.0.1:5499/airflow"
URL = "http://127.0.0.1:8099"


@pytest.fixture
def home(tmp_path: Path) -> AirflowHome:
    made = AirflowHome(Settings(state_dir=tmp_path))
    made.prepare()
    return made


def test_secrets_and_the_password_are_for_the_owner_s_eyes_and_stay(home: AirflowHome) -> None:
    before = home.password(), home.environment(METADATA, URL)["AIRFLOW__API_AUTH__JWT_SECRET"]
    home.prepare()
    assert (home.password(), home.environment(METADATA, URL)["AIRFLOW__API_AUTH__JWT_SECRET"]) == before
    assert len(home.password()) >= 16
    for file in (home.password_file, home.path / "secrets.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_every_address_of_the_api_server_says_the_same_port(home: AirflowHome) -> None:
    made = home.environment(METADATA, URL)
    assert made["AIRFLOW__API__PORT"] == "8099"
    assert made["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert made["AIRFLOW__API__BASE_URL"] == URL
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"{URL}/execution/"
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == METADATA.replace(
        "postgresql:", "postgresql+psycopg2:"
    )


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor", "another installation's configuration"),
        ("AIRFLOW__CORE__DAGS_FOLDER", "/somewhere/else", "another installation's DAGs"),
        ("AIRFLOW_CONFIG", "/etc/airflow.cfg", "another installation's file"),
        ("_AIRFLOW_PROCESS_CONTEXT", "server", "Airflow's own marks of a process"),
        ("PYTHONWARNINGS", "error", "a warning of a library would end a component"),
        ("PYTHONHOME", "/nowhere", "no component would start"),
        ("GUNICORN_CMD_ARGS", "--bind 0.0.0.0", "the API server would listen everywhere"),
        ("PGOPTIONS", "-c search_path=nowhere", "Airflow's tables would not be found"),
    ],
)
def test_leftovers_do_not_reach_the_components(
    name: str, value: str, reason: str, home: AirflowHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_HYPERTAPE_DB", raising=False)
    monkeypatch.setenv(name, value)
    assert home.environment(METADATA, URL).get(name) != value, reason


def test_the_warehouse_s_connection_and_our_settings_do(
    home: AirflowHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HYPERTAPE_DB", "postgres://me@db/bars")
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ca.pem")
    monkeypatch.setenv("HYPERTAPE_SOURCE", "sample")
    made = home.environment(METADATA, URL)
    assert made["AIRFLOW_CONN_HYPERTAPE_DB"] == "postgres://me@db/bars"
    assert made["PGSSLROOTCERT"] == "/etc/ca.pem"
    assert made["HYPERTAPE_SOURCE"] == "sample"


def test_the_state_directory_is_absolute_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = AirflowHome(Settings(state_dir=Path("here")))
    home.prepare()
    assert home.environment(METADATA, URL)["HYPERTAPE_STATE_DIR"] == str(tmp_path / "here")


def test_a_proxy_is_not_asked_for_this_machine(home: AirflowHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "intranet")
    made = home.environment(METADATA, URL)
    assert made["NO_PROXY"] == made["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert made["HTTP_PROXY"] == "http://proxy:3128"


def test_overrides_come_last(home: AirflowHome) -> None:
    assert (
        home.environment(METADATA, URL, {"AIRFLOW__CORE__PARALLELISM": "2"})["AIRFLOW__CORE__PARALLELISM"]
        == "2"
    )


def test_what_runs_is_remembered_and_forgotten(home: AirflowHome) -> None:
    assert home.running() is None
    running = Running(pid=1, started=2.5, url=URL, started_database=True)
    home.remember(running)
    assert home.running() == running
    assert json.loads(home.state_file.read_text())["url"] == URL
    home.forget()
    assert home.running() is None


def test_tasks_are_forked_from_a_process_that_has_imported_what_they_need(home: AirflowHome) -> None:
    """Python says nothing of a preloaded name that does not exist: the tasks would be slow again."""
    made = home.environment(METADATA, URL)
    assert made["AIRFLOW__SCHEDULER__MP_START_METHOD"] == "forkserver"
    assert made["AIRFLOW__CORE__MP_FORKSERVER_PRELOAD"] == ",".join(PRELOADED)
    assert [name for name in PRELOADED if importlib.util.find_spec(name) is None] == []
    by_celery = json.loads(
        home.environment(METADATA, URL, executor="celery")["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"]
    )
    assert set(by_celery["imports"]) <= set(PRELOADED)


def test_compose_preloads_the_same() -> None:
    compose = (Path(__file__).parents[3] / "docker-compose.yaml").read_text()
    assert f"AIRFLOW__CORE__MP_FORKSERVER_PRELOAD: {','.join(PRELOADED)}\n" in compose


def test_what_is_preloaded_starts_no_thread() -> None:
    """A fork has none of its parent's threads, and waits for ever for what one of them would do."""
    told = subprocess.run(
        [sys.executable, "-c", f"import threading, {PRELOADED[-1]}; print(threading.active_count())"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert told.stdout.splitlines()[-1] == "1"
