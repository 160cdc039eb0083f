"""Workers as processes over one warehouse and one vendor, a minute of whose market passes in some seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypertape.calendars import expected_times
from hypertape.errors import DatabaseBusy, DatabaseUnreachable
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.settings import load_settings
from hypertape.steps.work_order import Round, WorkOrder
from hypertape.steps.worker import work
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import digests
from replay_server import Answer
from vci_replay import Request, VciReplay

VN = get_market("vn")
BASE = utc(2023, 9, 5, 3)
"""Ten in the morning in Vietnam, of the first session of the minutes' history."""
JOB = Path(__file__).with_name("worker_job.py")
TASKS = Path(__file__).with_name("task_job.py")


class Vendor(VciReplay):
    """Has minutes of `tickers`, answers after `delay` seconds, and notes when it was asked."""

    def __init__(self, tickers: Sequence[str], delay: float) -> None:
        super().__init__()
        self.delay = delay
        self.at: list[tuple[float, Request]] = []
        self.fault = self._slowly
        self.most = 5_000
        times = expected_times(VN, Interval.M1, Window(BASE - timedelta(hours=1), BASE + timedelta(hours=1)))
        for number, ticker in enumerate(tickers):
            base = 10_000.0 + 10 * number
            self.bars[ticker, "ONE_MINUTE"] = [
                (int(t), base, base + 50, base - 50, base + int(t) // 60 % 7, 1000)
                for t in times // 1_000_000
            ]

    def _slowly(self, request: Request) -> Answer | None:
        self.at.append((time.time(), request))
        time.sleep(self.delay)
        return None

    def by_round(self, step: float) -> dict[int, Counter[str]]:
        """By the round of the database's clock, how often each ticker was asked for."""
        found: dict[int, Counter[str]] = defaultdict(Counter)
        for at, request in list(self.at):
            found[int(at // step)].update(request["symbols"])
        return dict(sorted(found.items()))

    def asks(self) -> Counter[str]:
        """How often each ticker was asked for."""
        return Counter(symbol for _, request in self.at for symbol in request["symbols"])


@dataclass
class Crew:
    """Workers of one warehouse. `step`: real seconds a round, which is a minute of the market; it stands still after
    `rounds`. `check`: with the suite. Times are the machine's."""

    dsn: str
    directory: Path
    tickers: Sequence[str]
    step: float
    rounds: int
    lease: float = 60.0
    at_once: int = 10
    check: bool = False
    delay: float = 0.2
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vendor = Vendor(self.tickers, self.delay)
        self.anchor = (
            time.time() // self.step + 1
        ) * self.step  # where a round of the database's clock begins

    def hire(self) -> subprocess.Popen[str]:
        """Start a worker."""
        return self._start(JOB, "check" if self.check else "no check")

    def schedule(self) -> None:
        """Start two processes that do a DAG's tasks, a run a round: the workers of an executor."""
        for half in "01":
            self._start(TASKS, half)

    def _start(self, job: Path, last: str) -> subprocess.Popen[str]:
        name = f"{len(self.processes):02}"
        environment = {
            **os.environ,
            "PYTHONFAULTHANDLER": "1",
            "HYPERTAPE_STATE_DIR": str(self.directory / name),
            "HYPERTAPE_SOURCE_ENDPOINTS": f"vci={self.vendor.url}",
            "HYPERTAPE_SOURCE_RATES": "vci=0",
            "HYPERTAPE_WORKER_LEASE": str(self.lease),
            "HYPERTAPE_WORKER_FRESH": "0",
            "HYPERTAPE_WORKER_EVERY": str(self.step),
            "HYPERTAPE_WORKER_IDLE_EVERY": str(self.step),
            "HYPERTAPE_WORKER_TICKERS": str(self.at_once),
            "HYPERTAPE_LANDING_URL": (self.directory / "landing").as_uri(),
        }
        command = [
            sys.executable, str(job), self.dsn, ",".join(self.tickers), BASE.isoformat(), str(self.anchor),
            str(self.step), str(self.rounds), last,
        ]  # fmt: skip
        with (self.directory / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True
            )
        self.processes.append(process)
        return process

    def holder(self) -> tuple[subprocess.Popen[str], list[str]]:
        """A worker that holds series just now, and these."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for worker, units in self.held().items():
                for each in self.processes:
                    if each.pid == int(worker.split("/")[1]) and each.poll() is None:
                        return each, units
            time.sleep(0.02)
        raise AssertionError("nobody works")

    def held(self) -> dict[str, list[str]]:
        """The series that workers hold, not a DAG's tasks."""
        with connect(self.dsn, autocommit=True) as connection:
            return dict(
                connection.execute(
                    "select worker_id, array_agg(unit) from claim join worker_heartbeat using (worker_id) "
                    "where state = 'running' and kind = 'series' and worker_type = 'worker' group by worker_id"
                ).fetchall()
            )

    def taken_after(self, units: list[str], process: subprocess.Popen[str]) -> float:
        """Wait until a worker's units are no longer its own; the seconds that took."""
        began = time.monotonic()
        while time.monotonic() < began + 60:
            mine = [held for worker, held in self.held().items() if int(worker.split("/")[1]) == process.pid]
            if not any(set(held) & set(units) for held in mine):
                return time.monotonic() - began
            time.sleep(0.05)
        raise AssertionError(f"{units} stay with the dead")

    def finish(self) -> str:
        """Wait until every series was ended after the market stood still, end the workers; what they said."""
        until = time.monotonic() + 90 + (self.rounds + 2) * self.step
        while time.monotonic() < until and not self.all_done():
            time.sleep(0.1)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # where it hangs stands in its log then
                process.wait()
        return "\n".join(f"{path.name}\n{path.read_text()}" for path in sorted(self.directory.glob("*.log")))

    def all_done(self) -> bool:
        """True when every series was ended after the market stood still, and nothing is under way."""
        still = self.anchor + (self.rounds + 1) * self.step
        try:
            with connect(self.dsn, autocommit=True) as connection:
                row = connection.execute(
                    "select count(*) from claim "
                    "where kind = 'series' and state = 'done' and ended_at > to_timestamp(%s)",
                    (still,),
                ).fetchone()
        except (DatabaseBusy, DatabaseUnreachable):
            return False
        return row == (len(self.tickers),)

    def end(self) -> None:
        """Kill whoever is left."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.vendor.stop()

    def sums_of_one_worker(self, dsn: str) -> dict[str, tuple[Any, ...]]:
        """What one worker alone makes of the same market at its end."""
        self.vendor.delay = 0.0
        every, end = timedelta(days=1), BASE + timedelta(minutes=self.rounds)
        order = WorkOrder(
            VN, (Interval.M1,), every, every, tickers=self.tickers, source={"name": "vci"}, check=False
        )
        settings = load_settings(
            state_dir=self.directory / "alone", worker_tickers=100, source_rates="vci=0",
            source_endpoints=f"vci={self.vendor.url}",
        )  # fmt: skip
        done: list[Round] = []
        work(
            dsn, order, settings=settings, clock=lambda: end, stop=threading.Event(), once=True, on_round=done.append
        )  # fmt: skip
        assert sorted(done[0].asked) == sorted(self.tickers)
        assert not done[0].failures, done[0].failures
        return sums(dsn)


def sums(dsn: str) -> dict[str, tuple[Any, ...]]:
    """By ticker what its minutes add up to."""
    with connect(dsn) as connection:
        return {
            d.ticker: (d.rows, d.first, d.last, d.sha256) for d in digests(connection, VN, Interval.M1, None)
        }


def statuses(dsn: str) -> Counter[str]:
    """How the series of all workers ended last."""
    with connect(dsn) as connection:
        return Counter(
            dict(connection.execute("select status, count(*) from sync_progress group by 1").fetchall())
        )
