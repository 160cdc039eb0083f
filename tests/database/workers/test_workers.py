"""Four workers share the minutes of a market: each series asked for once a round, none left out, whatever happens.

Small by default; --thorough makes it 300 tickers, ten minutes of the market, a kill and a freeze in each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hypertape.calendars import expected_times
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.settings import load_settings
from hypertape.steps.work_order import Round, WorkOrder
from hypertape.steps.worker import work
from hypertape.warehouse.claims import BEATS_PER_LEASE
from hypertape.warehouse.connect import connect
from hypertape.warehouse.progress import workers
from hypertape.warehouse.read import digests
from replay_server import Answer
from thorough import is_thorough
from vci_replay import Request, VciReplay

VN = get_market("vn")
THOROUGH = is_thorough()
TICKERS = [f"T{n:03}" for n in range(300 if THOROUGH else 24)]
STEP = 20.0 if THOROUGH else 3.0
"""Real seconds a round: a minute of the market."""
ROUNDS = 10 if THOROUGH else 3
PATIENCE = 10.0
"""Seconds that a loaded machine may take on top."""
LEASE = 5.0 if THOROUGH else 2.0
BASE = utc(2023, 9, 5, 3)
"""Ten in the morning in Vietnam, of the first session of the minutes' history."""
JOB = Path(__file__).parents[1] / "worker_job.py"


class Vendor(VciReplay):
    """Answers after `delay` seconds, and notes when it was asked."""

    def __init__(self, delay: float) -> None:
        super().__init__()
        self.delay = delay
        self.at: list[tuple[float, Request]] = []
        self.fault = self._slowly
        self.most = 5_000
        times = expected_times(VN, Interval.M1, Window(BASE - timedelta(hours=1), BASE + timedelta(hours=1)))
        for number, ticker in enumerate(TICKERS):
            base = 10_000.0 + 10 * number
            self.bars[ticker, "ONE_MINUTE"] = [
                (int(t), base, base + 50, base - 50, base + int(t) // 60 % 7, 1000)
                for t in times // 1_000_000
            ]

    def _slowly(self, request: Request) -> Answer | None:
        self.at.append((time.time(), request))
        time.sleep(self.delay)
        return None

    def by_round(self) -> dict[int, Counter[str]]:
        """By the round of the database's clock, how often each ticker was asked for."""
        found: dict[int, Counter[str]] = defaultdict(Counter)
        for at, request in list(self.at):
            found[int(at // STEP)].update(request["symbols"])
        return found


@dataclass
class Crew:
    """Workers over one warehouse and one vendor."""

    dsn: str
    vendor: Vendor
    directory: Path
    lease: float = 60.0
    rounds: int = ROUNDS
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.anchor = (time.time() // STEP + 1) * STEP  # where a round of the database's clock begins

    def hire(self) -> subprocess.Popen[str]:
        name = str(len(self.processes))
        environment = {
            **os.environ,
            "PYTHONFAULTHANDLER": "1",
            "HYPERTAPE_STATE_DIR": str(self.directory / name),
            "HYPERTAPE_SOURCE_ENDPOINTS": f"vci={self.vendor.url}",
            "HYPERTAPE_SOURCE_RATES": "vci=0",
            "HYPERTAPE_WORKER_LEASE": str(self.lease),
            "HYPERTAPE_WORKER_FRESH": "0",
            "HYPERTAPE_WORKER_TICKERS": "10" if THOROUGH else "3",
            "HYPERTAPE_LANDING_URL": (self.directory / "landing").as_uri(),
        }
        command = [
            sys.executable, str(JOB), self.dsn, ",".join(TICKERS), BASE.isoformat(), str(self.anchor), str(STEP),
            str(self.rounds), "check" if THOROUGH else "no check",
        ]  # fmt: skip
        with (self.directory / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True
            )
        self.processes.append(process)
        return process

    def holder(self, *, but: tuple[int, ...] = ()) -> tuple[subprocess.Popen[str], list[str]]:
        """A worker that holds series just now, and these."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for worker, units in self.held().items():
                pid = int(worker.split("/")[1])
                found = [
                    each
                    for each in self.processes
                    if each.pid == pid and pid not in but and each.poll() is None
                ]
                if found:
                    return found[0], units
            time.sleep(0.02)
        raise AssertionError("nobody works")

    def held(self) -> dict[str, list[str]]:
        with connect(self.dsn, autocommit=True) as connection:
            return dict(
                connection.execute(
                    "select worker_id, array_agg(unit) from claim where state = 'running' group by worker_id"
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
        """Wait until every series was ended after the market clock stood still, end the workers; what they said."""
        until = time.monotonic() + 90 + (ROUNDS + 2) * STEP
        while time.monotonic() < until and not self.all_done():
            time.sleep(0.1)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # where it hangs stands in its log then
                process.wait()
        return "\n".join(f"{path.name}\n{path.read_text()}" for path in sorted(self.directory.glob("*.log")))

    def all_done(self) -> bool:
        """True when every series was ended after the market clock stood still, and nothing is under way."""
        still = self.anchor + self.rounds * STEP
        with connect(self.dsn, autocommit=True) as connection:
            row = connection.execute(
                "select count(*) from claim where kind = 'series' and state = 'done' and ended_at > to_timestamp(%s)",
                (still + STEP,),
            ).fetchone()
        return row == (len(TICKERS),)


@pytest.fixture
def crew(warehouse: str, tmp_path: Path) -> Iterator[Crew]:
    vendor = Vendor(0.2)
    made = Crew(warehouse, vendor, tmp_path)
    try:
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        vendor.stop()


def sums(dsn: str) -> dict[str, tuple[Any, ...]]:
    with connect(dsn) as connection:
        return {
            d.ticker: (d.rows, d.first, d.last, d.sha256) for d in digests(connection, VN, Interval.M1, None)
        }


def of_one_worker(dsn: str, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """What one worker alone makes of the same market at its end."""
    crew.vendor.delay = 0.0
    every = timedelta(days=1)
    order = WorkOrder(VN, (Interval.M1,), every, every, tickers=TICKERS, source={"name": "vci"}, check=False)
    monkeypatch.setenv(
        "HYPERTAPE_SOURCE_ENDPOINTS", f"vci={crew.vendor.url}"
    )  # sources read these themselves
    monkeypatch.setenv("HYPERTAPE_SOURCE_RATES", "vci=0")
    settings = load_settings(state_dir=crew.directory / "alone", worker_tickers=100)
    end = BASE + timedelta(minutes=crew.rounds)
    rounds: list[Round] = []
    work(
        dsn,
        order,
        settings=settings,
        clock=lambda: end,
        stop=threading.Event(),
        once=True,
        on_round=rounds.append,
    )
    (done,) = rounds
    assert sorted(done.asked) == TICKERS
    assert not done.failures, done.failures
    return sums(dsn)


def statuses(dsn: str) -> Counter[str]:
    with connect(dsn) as connection:
        return Counter(
            dict(connection.execute("select status, count(*) from sync_progress group by 1").fetchall())
        )


def test_four_workers_share_a_market(crew, new_warehouse, monkeypatch):
    """Each series is asked for once a round, none is left out, and the bars are those of one worker alone."""
    for _ in range(4):
        crew.hire()
    said = crew.finish()
    assert [process.returncode for process in crew.processes] == [0, 0, 0, 0], said
    rounds = crew.vendor.by_round()
    assert {max(counter.values()) for counter in rounds.values()} == {1}
    mine = sums(crew.dsn)
    with new_warehouse() as alone:
        assert mine == of_one_worker(alone, crew, monkeypatch)
    with connect(crew.dsn) as connection:
        who = connection.execute(
            "select count(distinct worker_id) from sync_progress where status = 'completed'"
        ).fetchone()
        ended = {state.state for state in workers(connection, everyone=True)}
    assert who is not None
    assert who[0] >= 2
    assert ended == {"ended"}
    print(said, {at: len(counter) for at, counter in sorted(rounds.items())}, statuses(crew.dsn))


def test_a_worker_killed_one_frozen_and_lost_connections_leave_no_hole(crew, new_warehouse, monkeypatch):
    """The killed one's series go on at once (one host), the frozen one's after its lease."""
    crew.vendor.delay, crew.lease = 0.5, LEASE
    for _ in range(4):
        crew.hire()
    took = []
    for number in range(ROUNDS - 1 if THOROUGH else 1):
        killed, units = crew.holder()
        killed.kill()
        killed.wait()
        took.append(("killed", crew.taken_after(units, killed)))
        frozen, units = crew.holder()
        frozen.send_signal(signal.SIGSTOP)
        took.append(("frozen", crew.taken_after(units, frozen)))
        frozen.send_signal(signal.SIGCONT)
        crew.hire()
        if number in (0, 4):
            with connect(crew.dsn, autocommit=True) as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid "
                    "<> pg_backend_pid()"
                )
        time.sleep(STEP if THOROUGH else 0)
    said = crew.finish()
    mine = sums(crew.dsn)
    with new_warehouse() as alone:
        assert mine == of_one_worker(alone, crew, monkeypatch), said
    slowest = max(seconds for _, seconds in took)
    assert slowest < LEASE + LEASE / BEATS_PER_LEASE + PATIENCE, took
    twice = sum(n - 1 for counter in crew.vendor.by_round().values() for n in counter.values())
    ends = Counter(process.returncode for process in crew.processes)
    ends[0] += ends.pop(-signal.SIGTERM, 0)  # told to end before it had begun
    assert ends == {0: len(crew.processes) - len(took) // 2, -signal.SIGKILL: len(took) // 2}, said
    print(
        said,
        took,
        {at: len(c) for at, c in sorted(crew.vendor.by_round().items())},
        statuses(crew.dsn),
        twice,
    )
