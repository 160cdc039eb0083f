"""Workers of one market: how much sooner two and four are done where the vendor's latency counts, and rows a second of
two that load at once against one.

Each worker is a process that has loaded its imports and waits for the word to begin; the time is from there until the
last one has ended its round, rollups included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from benchmarks.child import CommandFailed
from benchmarks.result import Result
from benchmarks.server import warehouse
from psycopg import sql

from hypertape.calendars import expected_times
from hypertape.markets import get_market
from hypertape.model import Interval, Window, parse_instant, utc
from hypertape.settings import load_settings
from hypertape.steps.work_order import Round, WorkOrder
from hypertape.steps.worker import work
from hypertape.warehouse.connect import connect

VN = get_market("vn")
NOW = utc(2015, 2, 1)
"""A month after the days' history begins."""
LATENCY = 0.2
MINUTES_NOW = utc(2023, 11, 1)

Files = Mapping[str, str]
"""Settings of the environment."""


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure on warehouses of their own beside `dsn`."""
    asked, rows = 60 if quick else 240, 8 if quick else 24
    alone, *others = [_asking(dsn, asked, workers) for workers in (1, 2, 4)]
    label = f"{asked} tickers of a vendor that takes {1000 * LATENCY:.0f} ms, 2 a request"
    results = [Result(f"{label}: 1 worker", alone, "s")]
    for workers, seconds in zip((2, 4), others, strict=True):
        results.append(Result(f"the same, {workers} workers (speed-up)", seconds, "s", alone / seconds))
    (one, count), (two, _) = (_loading(dsn, rows, workers) for workers in (1, 2))
    results.append(Result(f"{count:,} minutes from files, 1 worker", count / one, "rows/s"))
    results.append(Result("the same, 2 workers at once (vs 1)", count / two, "rows/s", one / two))
    return results


def _asking(dsn: str, tickers: int, workers: int) -> float:
    names = [f"T{n:03}" for n in range(tickers)]
    with _vendor() as address, warehouse(dsn) as made:
        environment = {
            "HYPERTAPE_SOURCE_ENDPOINTS": f"vci={address}",
            "HYPERTAPE_SOURCE_RATES": "vci=0",
            "HYPERTAPE_WORKER_TICKERS": "2",
        }
        seconds = _timed(made, workers, Interval.D1, NOW, names, "vci", environment)
        _require(made, Interval.D1, tickers)
    return seconds


def _loading(dsn: str, tickers: int, workers: int) -> tuple[float, int]:
    names = [f"T{n:03}" for n in range(tickers)]
    times = expected_times(VN, Interval.M1, Window(utc(2023, 9, 5), MINUTES_NOW))
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory, warehouse(dsn) as made:
        for number, name in enumerate(names):
            _write(Path(directory) / name / "1m.csv", name, times, 10_000 + 10 * number)
        environment = {"HYPERTAPE_SOURCE_DIR": directory, "HYPERTAPE_WORKER_TICKERS": "2"}
        seconds = _timed(made, workers, Interval.M1, MINUTES_NOW, names, "csv_tree", environment)
        _require(made, Interval.M1, tickers * len(times))
    return seconds, tickers * len(times)


def _write(path: Path, ticker: str, times: np.ndarray, base: int) -> None:
    path.parent.mkdir()
    instants = times.astype("datetime64[us]").astype(str)
    lines = (
        f"{ticker},{at[:19]}Z,{base + n % 50},{base + n % 50 + 9},{base + n % 50 - 9},{base + n % 50 + 1},{n % 997}\n"
        for n, at in enumerate(instants)
    )
    path.write_text("ticker,time,open,high,low,close,volume\n" + "".join(lines))


def _require(dsn: str, interval: Interval, least: int) -> None:
    """A figure of a round that has left something out is none."""
    with connect(dsn) as connection:
        counted = sql.SQL("select count(*) from {}").format(sql.Identifier(VN.relation(interval)))
        (stored,) = connection.execute(counted).fetchone() or (0,)
    assert stored >= least, f"{stored} bars of {least} are stored"


def _timed(
    dsn: str,
    workers: int,
    interval: Interval,
    now: datetime,
    tickers: Sequence[str],
    source: str,
    environment: Files,
) -> float:
    """Seconds from the word until the last of the workers has ended its round."""
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory:
        command = [
            sys.executable, "-m", "benchmarks.workers", dsn, interval.value, now.isoformat(), source, ",".join(tickers)
        ]  # fmt: skip
        children = [
            subprocess.Popen(
                command, env={**os.environ, **environment, "HYPERTAPE_STATE_DIR": f"{directory}/{number}"},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for number in range(workers)
        ]  # fmt: skip
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        began = time.perf_counter()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("begin\n")
            child.stdin.flush()
        ends = []
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
            ends.append(time.perf_counter() - began)
        for child in children:
            out, told = child.communicate()
            if child.returncode:
                raise CommandFailed(command, child.returncode, out, told)
    return max(ends)


@contextmanager
def _vendor() -> Iterator[str]:
    """A server that answers as VCI's gap-chart does, with the days up to `NOW`, after LATENCY."""
    times = [str(int(t)) for t in expected_times(VN, Interval.D1, Window(utc(2015), NOW)) // 1_000_000]
    flat = {name: [10_000.0 + step] * len(times) for name, step in zip("ohlc", (0, 50, -50, 10), strict=True)}
    bars = {**flat, "v": [1000] * len(times), "t": times, "minBatchTruncTime": "0"}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(LATENCY)
            content = json.dumps([{"symbol": symbol, **bars} for symbol in asked["symbols"]]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def child() -> None:
    """One worker for one round. Arguments: DSN, interval, the instant it is, source, tickers."""
    dsn, interval, at, source, tickers = sys.argv[1:]
    now, every, rounds = parse_instant(at), timedelta(days=1), list[Round]()
    order = WorkOrder(
        VN,
        (Interval(interval),),
        every,
        every,
        tickers=tickers.split(","),
        source={"name": source},
        check=False,
    )
    settings = load_settings()
    print("ready", flush=True)
    sys.stdin.readline()
    work(
        dsn, order, settings=settings, clock=lambda: now, stop=threading.Event(), once=True, on_round=rounds.append
    )  # fmt: skip
    print("done", flush=True)
    assert not [failure for done in rounds for failure in done.failures], rounds


if __name__ == "__main__":
    child()
