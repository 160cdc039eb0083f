"""Whom the password goes to: our own Airflow, and no other program that answers at its address."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from hypertape.errors import AirflowFailed
from hypertape.orchestration import processes
from hypertape.orchestration.airflow_home import Running
from hypertape.orchestration.standalone import Standalone
from hypertape.settings import Settings

AIRFLOW = """
import http.server, json, sys
HEALTHY = {name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")}
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        with open(sys.argv[1], "a") as seen:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            seen.write(json.dumps([self.path, sent]) + "\\n")
        body = json.dumps({"access_token": "t"} if self.command == "POST" else HEALTHY).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *a): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""  # it believes everybody and calls itself healthy


@contextmanager
def airflow(seen: Path) -> Iterator[tuple[int, int]]:
    """A program that answers as Airflow does, leading a session: its process id and port."""
    command = [sys.executable, "-c", AIRFLOW, str(seen)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def standalone(state_dir: Path, pid: int, port: int) -> Standalone:
    """One that has started `pid` and expects Airflow at `port`."""
    made = Standalone(Settings(state_dir=state_dir, database_url=None))
    made.home.prepare()
    started = processes.started_at(pid)
    assert started is not None
    made.home.remember(Running(pid, started, f"http://127.0.0.1:{port}", False))
    return made


@pytest.fixture
def supervisor() -> Iterator[int]:
    """Something of ours that runs and listens nowhere."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as one:
        yield one.pid
        one.kill()


def test_our_own_airflow_is_asked_and_logged_in_to(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    with airflow(seen) as (pid, port):
        ours = standalone(tmp_path, pid, port)
        assert ours.status().is_healthy
        with ours.client() as client:
            client.get("/dags")
        asked = [json.loads(line) for line in seen.read_text().splitlines()]
    assert [path for path, _ in asked] == ["/api/v2/monitor/health", "/auth/token", "/api/v2/dags"]
    assert ours.home.password() in asked[1][1]


def test_another_airflow_at_our_port_is_told_apart_and_gets_nothing(tmp_path: Path, supervisor: int) -> None:
    seen = tmp_path / "seen"
    with airflow(seen) as (_, port):
        assert (
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).json()["scheduler"]["status"] == "healthy"
        )
        seen.unlink()
        ours = standalone(tmp_path, supervisor, port)
        assert not ours.status().is_healthy
        with pytest.raises(
            AirflowFailed, match=r"Another program listens at http://127\.0\.0\.1.*nothing was sent"
        ):
            ours.client()
    assert not seen.exists()


def test_a_start_does_not_wait_for_another_airflow_until_its_time_is_up(
    tmp_path: Path, supervisor: int
) -> None:
    with (
        airflow(tmp_path / "seen") as (_, port),
        pytest.raises(AirflowFailed, match="Another program listens"),
    ):
        standalone(tmp_path, supervisor, port).up()
    assert processes.started_at(supervisor) is None  # what had been started is stopped again


def test_a_client_notices_that_ours_died_and_another_took_its_port(tmp_path: Path) -> None:
    """The token is as good as the password."""
    with airflow(tmp_path / "seen") as (pid, port):
        client = standalone(tmp_path, pid, port).client()
    with client, pytest.raises(AirflowFailed, match="does not answer"):
        client.get("/dags")
