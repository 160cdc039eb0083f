"""`make demo`, `make up`, `make status` and `make down` as a user has them, with real processes.

The tests share a state directory and follow each other: what one leaves behind, the next one finds. The demo's Airflow
is the one that is looked at and killed, and its warehouse the one that is started again: a start costs most.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from hypertape.errors import AirflowFailed
from hypertape.orchestration import processes
from hypertape.orchestration.airflow_home import AirflowHome
from hypertape.orchestration.standalone import DEMO, Standalone
from hypertape.orchestration.supervisor import YOUNG_SECONDS
from hypertape.settings import Settings
from hypertape.warehouse.embedded.server import EmbeddedServer
from real_airflow import one_at_a_time

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

COMMAND = [sys.executable, "-W", "error", "-m", "hypertape.orchestration.standalone"]
THE_DEMOS = ("--warehouse", DEMO)
RUN_DEMO = [sys.executable, "-m", "hypertape.orchestration.demo"]
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
def own() -> Iterator[Settings]:
    """The settings of the state directory, which has a warehouse of the demo in it and may get one of its own."""
    directory = Path(tempfile.mkdtemp(prefix="hypertape-test-standalone-"))
    directory.chmod(0o755)
    made = Settings(state_dir=directory, database_url=None)
    yield made
    for each in (made, of_demo(made)):
        Standalone(each).down()
        EmbeddedServer(each).remove()
    shutil.rmtree(directory)


def of_demo(own: Settings) -> Settings:
    return own.model_copy(update={"state_dir": own.state_dir / DEMO})


@pytest.fixture
def settings(own: Settings) -> Settings:
    """Of the demo's warehouse."""
    return of_demo(own)


@pytest.fixture
def environment(own: Settings) -> dict[str, str]:
    """What a shell may have set: nothing of it may reach the components."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "HYPERTAPE"))
    }
    return {**ours, **HOSTILE, "HYPERTAPE_STATE_DIR": str(own.state_dir), "HYPERTAPE_SOURCE": "sample"}


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


def test_the_demo_runs_a_csv_tree_and_says_what_it_did(
    environment: dict[str, str], settings: Settings, tree: Path
) -> None:
    with one_at_a_time():  # it takes Airflow's usual port, as others would
        done = subprocess.run(
            [*RUN_DEMO, "--data", str(tree), "--keep"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "bars_vn_1d",
        "market_data_1d",
        "market_data_1w",
        "high_below_low",
        "1 of 1 runs green",
        "0 written",
        f"The report: file://{settings.state_dir}/reports/cumulative.html",
        "make up WAREHOUSE=demo",
    ):
        assert words in done.stdout
    seconds = [int(at) for at in re.findall(r"^ +(\d+) s  ", done.stdout, re.MULTILINE)]
    assert max(after - before for before, after in pairwise(seconds)) < 20, "long silence"
    reports = settings.state_dir / "reports"
    assert "AAA" in (reports / "cumulative.html").read_text()
    assert (reports / "bars_vn_1d__demo.html").is_file()


def test_up_finds_what_runs(environment: dict[str, str], settings: Settings) -> None:
    """After the demo, which left its Airflow running."""
    session = session_of(settings)
    assert run(environment, "status").stdout.count(" healthy") == 4
    again = run(environment, "up", *THE_DEMOS)
    assert (again.returncode, again.stderr) == (0, "")
    assert AirflowHome(settings).password() in again.stdout
    assert session_of(settings) == session


def test_killed_processes(environment: dict[str, str], settings: Settings) -> None:
    session, log = session_of(settings), AirflowHome(settings).log("supervisor")
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
    assert EmbeddedServer(settings).status().state == "stopped", "the demo had started it before its Airflow"


def test_ctrl_c_stops_everything_at_any_time(environment: dict[str, str], settings: Settings) -> None:
    with in_the_foreground(environment) as up:
        assert up.stdout is not None
        session = starting(up, settings)
        up.send_signal(signal.SIGINT)
        assert up.stdout.read().endswith("Stopping ...\n")
        assert up.wait() == 0
    assert processes.session_members(session) == []
    assert EmbeddedServer(settings).status().state == "stopped"


def test_the_end_of_its_starter_ends_it(environment: dict[str, str], settings: Settings) -> None:
    with in_the_foreground(environment) as up:
        session = starting(up, settings)
        up.kill()
    assert processes.wait_until_empty(session, 60)
    assert run(environment, "down").stdout == "Stopped.\n"
    assert EmbeddedServer(settings).status().state == "stopped"


def in_the_foreground(environment: dict[str, str]) -> subprocess.Popen[str]:
    words = [*COMMAND, "up", "--foreground", *THE_DEMOS]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)


def starting(up: subprocess.Popen[str], settings: Settings) -> int:
    """The session of what begins to run, while it is waited for."""
    assert up.stdout is not None
    for line in iter(up.stdout.readline, ""):
        if "waiting for" in line:
            break
    session = session_of(settings)
    assert processes.session_members(session)
    return session


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


@pytest.mark.thorough  # in every run the demo's Airflow, and starts in the foreground that are stopped before their end
def test_up_in_the_foreground(environment: dict[str, str], own: Settings) -> None:
    with subprocess.Popen(
        [*COMMAND, "up", "--foreground"], env=environment, stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout is not None
        lines = list(iter(up.stdout.readline, "Ctrl-C stops it.\n"))
        home, session = AirflowHome(own), session_of(own)
        assert f"password in {home.password_file}" in lines[-1]
        assert home.password() not in "".join(lines)
        assert run(environment, "status").stdout.count(" healthy") == 4

        second = run(environment, "up")  # finds the first
        assert second.returncode == 0, second.stderr
        assert session_of(own) == session

        up.kill()
    assert processes.wait_until_empty(session, 60)
    assert run(environment, "down").stdout == "Stopped.\n"
    assert EmbeddedServer(own).status().state == "stopped"


@pytest.mark.thorough  # in every run the demo leaves its Airflow running: here it stops it
def test_the_demo_stops_what_it_started(environment: dict[str, str], settings: Settings, tree: Path) -> None:
    with one_at_a_time():
        done = subprocess.run(
            [*RUN_DEMO, "--data", str(tree)], env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stopping Airflow and the database" in done.stdout
    assert EmbeddedServer(settings).status().state == "stopped"
    assert AirflowHome(settings).running() is None
