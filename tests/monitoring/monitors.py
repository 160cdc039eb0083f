"""A real Prometheus and a real Alertmanager over the files of deploy/, in a hurry, and what they watch."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import yaml
from fastapi import FastAPI

from http_thread import HttpThread, Quiet
from hypertape.meters import CATALOG
from services import find_monitor

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RULES: list[dict[str, Any]] = [
    rule
    for name in ("rules.yml", "alerts.yml")
    for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"]
    for rule in group["rules"]
]
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
SAMPLES = {metric.name + suffix for metric in CATALOG for suffix in SUFFIXES.get(metric.kind, ("",))}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
"""What rules and panels may ask for."""

JOBS = ("alertmanager", "api", "stream", "worker", "postgres", "airflow", "prometheus")
_HURRY = (
    (r"(scrape_interval|scrape_timeout): \d+s", r"\1: 2s"),
    (r"evaluation_interval: \d+s", "evaluation_interval: 1s"),
    (r"for: \d+[sm]", "for: 1s"),
    (r"group_wait: \d+s", "group_wait: 1s"),
    (r"group_interval: \d+m", "group_interval: 2s"),
)
"""Intervals that make a person wait; nothing else of the files is changed, but for where secrets lie."""


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Wait for something and return it."""
    limit = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < limit, what
        time.sleep(0.1)
    return found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def program(
    command: list[str], log: Path, ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a program until the block ends; it is ready when the address answers with 200."""

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(ready).status_code == 200
        except httpx.HTTPError:
            return False

    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(environment or {})})
        try:
            until(answers, f"{command[0]} is not ready")
            yield
        finally:
            process.kill()
            process.wait()


@dataclass
class Hook:
    """The chat that alerts are told to: every message, in order."""

    url: str
    messages: list[dict[str, Any]] = field(default_factory=list)

    def told(self, status: str, alert: str) -> list[str]:
        """The texts of what was told of an alert."""
        attached = [each for message in self.messages for each in message["attachments"]]
        return [each["text"] for each in attached if each["title"].startswith(f"{status}: {alert}")]


@contextmanager
def hook() -> Iterator[Hook]:
    """A server that takes messages in Slack's form."""
    messages: list[dict[str, Any]] = []

    class Handler(Quiet):
        def do_POST(self) -> None:  # noqa: N802
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

    server = HttpThread(Handler)
    try:
        yield Hook(server.url, messages)
    finally:
        server.stop()


def hurried(source: Path, target: Path, replaced: Mapping[str, str]) -> Path:
    """A copy of a file, with short intervals and other places of its secrets."""
    text = source.read_text(encoding="utf-8")
    for pattern, short in _HURRY:
        text = re.sub(pattern, short, text)
    for old, new in replaced.items():
        text = text.replace(old, new)
    target.write_text(text, encoding="utf-8")
    return target


@contextmanager
def alertmanager(directory: Path, hook_url: str) -> Iterator[str]:
    """Alertmanager over deploy/alertmanager; yields its host and port."""
    secret = directory / "alert_url"
    secret.write_text(hook_url)
    config = hurried(
        DEPLOY / "alertmanager" / "alertmanager.yml",
        directory / "alertmanager.yml",
        {"/run/secrets/alert_url": str(secret)},
    )
    at = f"127.0.0.1:{free_port()}"
    command = [
        find_monitor("prometheus-alertmanager"), f"--config.file={config}", f"--storage.path={directory / 'am'}",
        f"--web.listen-address={at}", "--cluster.listen-address=",
    ]  # fmt: skip
    with program(command, directory / "alertmanager.log", f"http://{at}/-/ready"):
        yield at


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    place: Path

    def watch(self, job: str, targets: list[str]) -> None:
        """Scrape these from now on; Prometheus sees that the file has changed."""
        path = self.place / "targets" / f"{job}.yml"
        new = path.with_suffix(".new")
        new.write_text(yaml.safe_dump([{"targets": targets}]))
        new.replace(path)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples of an instant query. An error of the query fails the test."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", (query, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def value(self, query: str) -> float | None:
        """The one value of a query, if there is one."""
        found = self.ask(query)
        return float(found[0]["value"][1]) if found else None

    def alerts(self, name: str, state: str = "firing") -> list[dict[str, str]]:
        """The labels of the alerts of that name in a state."""
        found = httpx.get(f"{self.url}/api/v1/alerts").json()["data"]["alerts"]
        return [
            each["labels"] for each in found if (each["labels"]["alertname"], each["state"]) == (name, state)
        ]


@contextmanager
def prometheus(directory: Path, targets: Mapping[str, list[str]], key: str) -> Iterator[Prometheus]:
    """Prometheus over deploy/prometheus, with targets of the test's own."""
    place, secret = directory / "prometheus", directory / "prometheus.key"
    secret.write_text(key)
    shutil.copytree(DEPLOY / "prometheus", place)
    for name in ("prometheus.yml", "alerts.yml"):
        moved = {"/run/hypertape/prometheus.key": str(secret)}
        hurried(DEPLOY / "prometheus" / name, place / name, moved)
    at = f"127.0.0.1:{free_port()}"
    for job in JOBS:
        listed = [at] if job == "prometheus" else targets.get(job, [])
        (place / "targets" / f"{job}.yml").write_text(yaml.safe_dump([{"targets": listed}]))
    command = [
        find_monitor("prometheus"), f"--config.file={place / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'tsdb'}", f"--web.listen-address={at}",
    ]  # fmt: skip
    with program(command, directory / "prometheus.log", f"http://{at}/-/ready"):
        yield Prometheus(f"http://{at}", place)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an app in a thread; yields its host and port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "the app does not start")
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Process:
    """A process of hypertape that serves metrics: where, and its standard input."""

    at: str
    process: subprocess.Popen[str]

    def write(self, lines: list[str]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()


@contextmanager
def hypertape(*words: str, environment: Mapping[str, str]) -> Iterator[Process]:
    """Run a command that tells on stderr where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hypertape.cli", *words], env={**os.environ, **environment}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    said: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: said.extend(process.stderr or []))
    reader.start()
    try:
        found = until(
            lambda: (
                re.search(r"(?:metrics on http://|listening on \S*?)(127\.0\.0\.1:\d+)", "".join(said))
                or (process.poll() is not None and said)
            ),
            f"it does not listen: {said}",
        )
        assert isinstance(found, re.Match), said
        yield Process(found[1], process)
    finally:
        process.kill()
        process.wait()
        reader.join()
        for pipe in (process.stdin, process.stderr):
            if pipe is not None:
                pipe.close()
