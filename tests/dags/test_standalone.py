"""`python -m hypertape.orchestration.standalone`: what people start and stop, with real processes.

The tests share a state directory and follow each other: what one leaves behind, the next one finds.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hypertape.errors import AirflowFailed
from hypertape.orchestration import processes
from hypertape.orchestration.airflow_home import AirflowHome
from hypertape.orchestration.standalone import Standalone
from hypertape.orchestration.supervisor import YOUNG_SECONDS
from hypertape.settings import Settings
from hypertape.warehouse.embedded.server import EmbeddedServer
from real_airflow import one_at_a_time

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

COMMAND = [sys.executable, "-W", "error", "-m", "hypertape.orchestration.standalone"]
HOSTILE = {
    "AIRFLOW_HOME": "/nowhere",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__DAGS_FOLDER": "/nowhere",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db",
    "PYTHONWARNINGS": "error",
    "PGHOST": "nowhere",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    directory = Path(tempfile.mkdtemp(prefix="hypertape-test-standalone-"))
    directory.chmod(0o755)
    made = Settings(state_dir=directory, database_url=None)
    yield made
    Standalone(made).down()
    EmbeddedServer(made).remove()
    shutil.rmtree(directory)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """What a shell may have set: nothing of it may reach the components."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "HYPERTAPE"))
    }
    return {**ours, **HOSTILE, "HYPERTAPE_STATE_DIR": str(settings.state_dir), "HYPERTAPE_SOURCE": "sample"}


def run(environment: dict[str, str], *verb: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *verb], env=environment, capture_output=True, text=True, check=False)


def session_of(settings: Settings) -> int:
    running = AirflowHome(settings).running()
    assert running is not None
    return running.pid


def test_nothing_runs_yet(environment: dict[str, str]) -> None:
    assert run(environment, "status").returncode == 1
    assert run(environment, "down").stdout == "Nothing was running.\n"
    refused = run(environment, "run", "bars_vn_1d")
    assert refused.returncode == 1
    assert refused.stderr == "Airflow does not run. Start it with `make up`.\n"


@pytest.mark.thorough  # in every run: its end while it starts, and a second `up` in test_killed_processes
def test_up_in_the_foreground(environment: dict[str, str], settings: Settings) -> None:
    with subprocess.Popen(
        [*COMMAND, "up", "--foreground"], env=environment, stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout is not None
        lines = list(iter(up.stdout.readline, "Ctrl-C stops it.\n"))
        home, session = AirflowHome(settings), session_of(settings)
        assert f"password in {home.password_file}" in lines[-1]
        assert home.password() not in "".join(lines)
        assert run(environment, "status").stdout.count(" healthy") == 4

        second = run(environment, "up")  # finds the first
        assert second.returncode == 0, second.stderr
        assert session_of(settings) == session

        up.kill()
    assert processes.wait_until_empty(session, 60)  # the end of its starter ends the supervisor
    assert run(environment, "down").stdout == "Stopped.\n"
    assert EmbeddedServer(settings).status().state == "stopped"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_its_starter_stops_everything_at_any_time(
    environment: dict[str, str], settings: Settings, end: signal.Signals
) -> None:
    with subprocess.Popen(
        [*COMMAND, "up", "--foreground"], env=environment, stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout is not None
        for line in iter(up.stdout.readline, ""):
            if "waiting for" in line:
                break
        session = session_of(settings)
        assert processes.session_members(session)
        up.send_signal(end)
        if end is signal.SIGINT:
            assert up.stdout.read().endswith("Stopping ...\n")
            assert up.wait() == 0
            assert processes.session_members(session) == []
    assert processes.wait_until_empty(session, 60)
    assert run(environment, "down").stdout == (
        "Stopped.\n" if end is signal.SIGKILL else "Nothing was running.\n"
    )
    assert EmbeddedServer(settings).status().state == "stopped"


def test_killed_processes(environment: dict[str, str], settings: Settings) -> None:
    detached = run(environment, "up")
    assert (detached.returncode, detached.stderr) == (0, "")
    session, log = session_of(settings), AirflowHome(settings).log("supervisor")
    home = AirflowHome(settings)
    assert f"password in {home.password_file}" in detached.stdout
    assert home.password() not in detached.stdout
    assert run(environment, "status").stdout.count(" healthy") == 4
    second = run(environment, "up")  # finds the first
    assert (second.returncode, session_of(settings)) == (0, session), second.stderr
    started = processes.started_at(session)
    assert started is not None
    wait_for(lambda: time.time() - started > YOUNG_SECONDS + 5)

    before = named(session, "triggerer")
    before[0].kill()  # a component is started again
    wait_for(lambda: "triggerer ended with exit code -9 (1 times)" in log.read_text())
    wait_for(lambda: bool({each.pid for each in named(session, "triggerer")} - {each.pid for each in before}))

    os.kill(session, signal.SIGKILL)  # without its supervisor it does not count as running, and is stopped
    assert processes.wait_until_empty(session, 0.5) is False
    assert run(environment, "status").returncode == 1
    assert run(environment, "down").stdout == "Stopped.\n"
    assert processes.session_members(session) == []
    assert EmbeddedServer(settings).status().state == "stopped"


def named(session: int, component: str) -> list[psutil.Process]:
    """The component's processes, the first one first."""
    mine = [each for each in processes.session_members(session) if component in each.cmdline()]
    return sorted(mine, key=lambda each: each.create_time())


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_start_that_fails_shows_the_log_and_leaves_nothing(settings: Settings) -> None:
    standalone = Standalone(settings, {"AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor"})
    with (
        one_at_a_time(),
        pytest.raises(
            AirflowFailed, match=r"stopped while it was starting(.|\n)*NoSuchExecutor(.|\n)*See the logs in"
        ),
    ):
        standalone.up()
    assert AirflowHome(settings).running() is None
    assert standalone.status().running is None


def test_the_login_is_kept_between_starts(settings: Settings) -> None:
    assert list(json.loads(AirflowHome(settings).password_file.read_text())) == ["admin"]
