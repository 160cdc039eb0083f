"""One scene for the room: a warehouse with a worker, a stream and the API at work, watched by real monitors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from monitors import (
    Hook,
    Process,
    Prometheus,
    alertmanager,
    free_port,
    hook,
    hypertape,
    program,
    prometheus,
    served,
)
from psycopg import conninfo, sql

from hypertape.api import create_app
from hypertape.api.server import load_calendars
from hypertape.frame import bar_frame, micros
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.settings import Settings
from hypertape.stream.model import SCALE, Tick
from hypertape.stream.record import json_of
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from services import find_monitor

HOLIDAY = utc(2024, 4, 18, 12)
"""Hung Kings' day, a Thursday, after an open day's close."""
DAYS = (utc(2024, 4, 12), utc(2024, 4, 15))
"""The bars of the scene: two sessions, the 16th and the 17th, have closed since; that is what vn allows."""


@dataclass
class Scene:
    """What runs. `now` holds the instant that the API believes in."""

    dsn: str
    now: list[datetime]
    prometheus: Prometheus
    hook: Hook
    stream: Process
    workers: list[str]

    def watch_worker(self, at: str) -> None:
        """Let Prometheus scrape one more worker."""
        self.workers.append(at)
        self.prometheus.watch("worker", self.workers)

    def send_ticks(self, count: int, first: int) -> None:
        at = int(time.time() * 1e6)
        self.stream.write(
            [
                json_of(Tick("EURUSD", at, first + n, 108 * SCALE, 109 * SCALE, SCALE, SCALE, "lab")).decode()
                for n in range(count)
            ]
        )


def let_in(access: object) -> Callable[[], None]:
    return lambda: None


def furnish(dsn: str) -> str:
    """Two bars, and one of what else a graph shows; returns a key."""
    values = np.array([100_000.0, 101_000.0])
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), values)
    times = np.array([micros(day) for day in DAYS], np.int64)
    window = Window(utc(1900), utc(2100))
    with connect(dsn) as connection:
        request = LoadRequest(get_market("vn"), Interval.D1, "lab", "csv_tree", window, HOLIDAY)
        (loaded,) = load_bars(connection, bar_frame("VCB", times, columns), request)
        assert loaded.inserted == len(DAYS), loaded.refused
        connection.execute("insert into source_state (source, state, failures) values ('vci', 'open', 7)")
        connection.execute(
            "insert into mirror (mirror, address, markets) values ('m', 'csv:/nowhere', '{us}')"
        )
        connection.execute(
            "insert into finding (cause, kind, market, interval, severity, title, fingerprint, opened_at, opened_by, "
            "last_seen_at) values ('check/vn/1d/x', 'check', 'vn', '1d', 'critical', 't', 'f', now(), 'r', now())"
        )
        connection.execute(
            "insert into backup (name, place, made_at, seconds, bytes, rows, sha256, run_id, fresh_for, checked_at, "
            "verified_at, verdict) values ('b', 'p', now(), 1, 1, 1, 's', 'r', '30 hours', now(), now(), 'whole')"
        )
        return api_keys.create(connection, "prometheus", "read", now=HOLIDAY, expires_at=None)


@contextmanager
def exporter(dsn: str, directory: Path) -> Iterator[str]:
    """postgres-exporter as compose configures it, with a login of its own; yields where it answers."""
    given, at = conninfo.conninfo_to_dict(dsn), f"127.0.0.1:{free_port()}"
    login = f"monitor_{uuid.uuid4().hex[:12]}"
    with connect(dsn, autocommit=True) as connection:
        connection.execute("set scram_iterations = 4096")  # it refuses the few of the tests' server
        create = sql.SQL("create role {} login in role pg_monitor password {}")
        connection.execute(create.format(sql.Identifier(login), login))
    environment = {
        "DATA_SOURCE_URI": f"{given['host']}:{given['port']}/{given['dbname']}?sslmode=disable",
        "DATA_SOURCE_USER": login,
        "DATA_SOURCE_PASS": login,
    }
    command = [find_monitor("prometheus-postgres-exporter"), f"--web.listen-address={at}"]
    with program(command, directory / "exporter.log", f"http://{at}/metrics", environment):
        yield at
    with connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


@contextmanager
def play(new_warehouse: Callable[[], AbstractContextManager[str]], directory: Path) -> Iterator[Scene]:
    """Everything at work until the block ends."""
    now = [HOLIDAY]
    with ExitStack() as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr("hypertape.monitoring.collector.KEPT_SECONDS", 1.5)
        enter = running.enter_context
        load_calendars(HOLIDAY)  # as `serve` does: the first look takes seconds
        dsn = enter(new_warehouse())
        key = furnish(dsn)
        environment = {
            "HYPERTAPE_DATABASE_URL": dsn, "HYPERTAPE_STATE_DIR": str(directory / "state"),
            "HYPERTAPE_WORKER_EVERY": "2s", "HYPERTAPE_WORKER_FRESH": "0s",
            "BARS_DB_WRITE_QUEUE_SIZE": "100", "TICK_BATCH_SIZE": "10",
        }  # fmt: skip
        app = create_app(Settings(), authorize=let_in, clock=lambda: now[0], dsn=lambda: dsn)
        chat = enter(hook())
        words = ("stream", "run", "jsonl:-", "--to", "database,websocket", "--port", "0")
        stream = enter(hypertape(*words, environment=environment))
        targets = {
            "api": [enter(served(app))],
            "stream": [stream.at],
            "alertmanager": [enter(alertmanager(directory, chat.url))],
            "postgres": [enter(exporter(dsn, directory))],
        }
        words = (
            "worker",
            "-m",
            "crypto",
            "-i",
            "1d",
            "--tickers",
            "SYNCOIN",
            "--source",
            "sample",
            "--no-check",
        )
        worker = enter(hypertape(*words, "--metrics-port", "0", environment=environment))
        targets["worker"] = [worker.at]
        watched = enter(prometheus(directory, targets, key))
        yield Scene(dsn, now, watched, chat, stream, targets["worker"])
