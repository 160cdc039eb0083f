"""The read API as a server process: latency of the main routes for 1 and 16 clients, and the memory of a large answer.

A route's limit is SPEC 14's for its database work plus the time of writing its JSON, which is measured in this process.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
from benchmarks.child import CommandFailed, output_of
from benchmarks.data import DONG, require_loaded, walks
from benchmarks.reads import CASES, DAYS, MARKET, Asked, database_ms, fill, reader
from benchmarks.result import Result

from hypertape.api.bar_encoder import as_json
from hypertape.model import Interval, Window
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars

MOST_MB = 300.0


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure on 100 (quick: 20) tickers of minutes and 500 (quick: 50) of days; stream 10,000 (quick: 1,000)."""
    fill(dsn, *((20, 10_000, 50, 3_000) if quick else (100, 10_000, 500, 3_000)))
    requests = 100 if quick else 400
    with connect(dsn) as connection:
        key = api_keys.create(connection, "benchmark", "read", now=datetime.now(UTC))
    results = []
    with _serving(dsn) as server:
        for work, asked, limit in CASES:
            results += _measure(dsn, server, key, work, asked, limit, requests)
        for path in ("/health", "/gaps"):
            taken = sorted(_client(server, key, path, requests // 4))
            results.append(Result(f"GET {path}, p50", 1000 * float(np.median(taken)), "ms"))
    _fill_wide(dsn, 1_000 if quick else 10_000)
    with _serving(dsn) as server:
        results += _stream(server, key)
    return results


def _measure(
    dsn: str, server: str, key: str, work: str, asked: Asked, limit: float | None, requests: int
) -> list[Result]:
    path = f"/tickers?{urlencode(asked, doseq=True)}"
    writing = _json_ms(dsn, asked)
    rounds = [1000 * np.array(_client(server, key, path, requests)) for _ in range(3)]
    alone = min(rounds, key=np.median)  # the round that other work on the machine disturbed least
    p50, p99 = (float(np.percentile(alone, part)) for part in (50, 99))
    allowed = None if limit is None else limit + writing
    label = f"{work}, 1 client, p50"
    label += (
        f" (limit {limit:g} + {writing:.2f} ms of JSON vs it)" if limit else f" ({writing:.2f} ms of JSON)"
    )
    database = database_ms(dsn, asked)
    many, seconds = _clients(server, key, path, 16, requests // 4)
    return [
        Result(label, p50, "ms", allowed and allowed / p50, allowed and 1.0),
        Result(f"{work}, 1 client, p99", p99, "ms"),
        Result(f"{work}, database time of its statements (p50 vs it)", database, "ms", p50 / database),
        Result(f"{work}, 16 clients, p50", 1000 * float(np.percentile(many, 50)), "ms"),
        Result(f"{work}, 16 clients, p99", 1000 * float(np.percentile(many, 99)), "ms"),
        Result(f"{work}, 16 clients", len(many) / seconds, "requests/s"),
    ]


def _json_ms(dsn: str, asked: Asked) -> float:
    """The median time of writing an answer that is read already."""
    with reader(dsn, asked) as reading:
        parts = list(reading.parts(reading.find()))
    taken = []
    for _ in range(15):
        started = time.perf_counter()
        for _chunk in as_json(parts, reading.query):
            pass
        taken.append(time.perf_counter() - started)
    return 1000 * float(np.median(taken))


def _client(server: str, key: str, path: str, requests: int) -> list[float]:
    """Seconds of each request of one client that keeps its connection, the first ten left out."""
    address = urlsplit(server)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    taken = []
    for _ in range(requests + 10):
        started = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        body = response.read()
        taken.append(time.perf_counter() - started)
        assert response.status == 200, body
    connection.close()
    return taken[10:]


_LOAD = """
import json, sys, threading
from benchmarks.api import _client
server, key, path, clients, requests = json.load(sys.stdin)
taken = []
threads = [threading.Thread(target=lambda: taken.extend(_client(server, key, path, requests))) for _ in range(clients)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
json.dump(taken, sys.stdout)
"""


def _clients(server: str, key: str, path: str, clients: int, requests: int) -> tuple[list[float], float]:
    """Seconds of each request of several clients at once, in a process of their own, and their mean span."""
    told = json.dumps([server, key, path, clients, requests])
    taken: list[float] = json.loads(output_of([sys.executable, "-c", _LOAD], given=told))
    return taken, sum(taken) / clients


def _fill_wide(dsn: str, tickers: int) -> None:
    """Many tickers of a year of days each, as a whole market of a large exchange."""
    with connect(dsn, autocommit=True) as connection:
        connection.execute(
            "truncate bars.market_data_1m, bars.market_data_1d, series, load, rollup_pending, bar_revision"
        )
        frame = walks(tickers, 252, DAYS, timedelta(days=1), tick=DONG)
        window = Window(DAYS, DAYS + timedelta(days=300))
        request = LoadRequest(MARKET, Interval.D1, "benchmark", "benchmark", window, datetime.now(UTC))
        require_loaded(load_bars(connection, frame, request), len(frame))
        connection.execute("vacuum analyze")


def _stream(server: str, key: str) -> list[Result]:
    """A whole market as CSV, read as fast as it comes: lines a second, and the server's peak memory."""
    results = []
    for kind in ("csv", "json"):
        started = time.perf_counter()
        lines = _read_all(
            server, key, f"/tickers?format={kind}&limit=252", b"\n" if kind == "csv" else b'"time"'
        )
        seconds = time.perf_counter() - started
        peak = _peak_mb(_PROCESS[server])
        results += [
            Result(f"{lines:,} bars streamed as {kind}", lines / seconds, "bars/s"),
            Result(
                f"{kind}: the server's peak memory so far (limit {MOST_MB:g} MB vs it)",
                peak,
                "MB",
                MOST_MB / peak,
                1.0,
            ),
        ]
    return results


def _read_all(server: str, key: str, path: str, mark: bytes) -> int:
    address = urlsplit(server)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    assert response.status == 200
    marks, rest = 0, b""
    while piece := response.read(1 << 20):
        text = rest + piece
        marks += text.count(mark)
        rest = text[len(text) - len(mark) + 1 :] if len(mark) > 1 else b""
    connection.close()
    return marks


_PROCESS: dict[str, int] = {}
"""Process ids of the servers that run, by address."""


@contextmanager
def _serving(dsn: str) -> Iterator[str]:
    """`hypertape serve` as users run it, on a free port and without a limit of requests."""
    command = [sys.executable, "-m", "hypertape.cli", "serve", "--port", "0"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "HYPERTAPE_DATABASE_URL": dsn, "HYPERTAPE_API_RATE": "1000000"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                break
        else:
            raise CommandFailed(command, process.wait(), "", "".join(said))
        drain = threading.Thread(target=lambda: [None for _ in process.stderr or ()])
        drain.start()
        _PROCESS[found[1]] = process.pid
        yield found[1]
        process.terminate()
        drain.join()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    return (
        int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024 if status.exists() else float("nan")
    )
