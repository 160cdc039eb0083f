"""A DAG's tasks and workers share rounds: each series is asked for once, whoever comes first.

At length, with 300 tickers and the suite: test_workers_at_length.py.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from crew import BASE, VN, Crew, Vendor, sums

from hypertape.model import Interval, Window, midnight
from hypertape.settings import Settings, load_settings
from hypertape.steps.batch_tasks import extract_or_raise, load_or_raise
from hypertape.steps.plan import plan
from hypertape.steps.run_batch import gate
from hypertape.steps.work_order import WorkOrder
from hypertape.steps.worker import work
from hypertape.stores.processes import beside
from hypertape.warehouse.claims import Worker, look, working
from hypertape.warehouse.connect import connect
from hypertape.warehouse.progress import SERIES

TICKERS = ["T0", "T1", "T2", "T3"]
NOW = BASE + timedelta(minutes=10)
DAY = timedelta(days=1)


@dataclass
class Market:
    """A warehouse, a vendor, and both ways to load: `run` as a DAG's tasks do it, `worker` as `hypertape worker`.

    `run` returns how many tickers it loaded, `worker` those it asked for.
    """

    dsn: str
    vendor: Vendor
    settings: Settings
    runs: int = 0

    def run(self, tickers: list[str], *, exact: bool = False, shared: bool = True) -> int:
        self.runs += 1
        how = {"settings": self.settings, "now": NOW}
        window = Window(midnight(NOW.date()), NOW)
        planned = plan(
            self.dsn, "vn", "1m", run_id=f"run-{self.runs}", data_interval=window, exact=exact, tickers=tickers,
            source={"name": "vci"}, shared=shared, **how,
        )  # fmt: skip
        done = 0
        for batch in planned.batches:
            task = f"a/run-{self.runs}/{batch.index}/1"
            landed = extract_or_raise(self.dsn, planned.spec, batch, task=task, **how)
            done += load_or_raise(self.dsn, planned.spec, gate(planned.spec, landed, **how), **how).tickers
        return done

    def worker(self, tickers: list[str], *, check: bool = True) -> list[str]:
        order = WorkOrder(VN, (Interval.M1,), DAY, DAY, tickers=tickers, source={"name": "vci"}, check=check)
        asked: list[str] = []
        work(
            self.dsn, order, settings=self.settings, clock=lambda: NOW, stop=threading.Event(), once=True,
            on_round=lambda done: asked.extend(done.asked),
        )  # fmt: skip
        return sorted(asked)

    def loads(self) -> Counter[tuple[str, str]]:
        with connect(self.dsn) as connection:
            return Counter(connection.execute("select ticker, status from load").fetchall())

    def units(self) -> list[str]:
        return [f"vn/1m/{ticker}" for ticker in TICKERS]


@pytest.fixture
def market(warehouse: str, tmp_path: Path) -> Iterator[Market]:
    vendor = Vendor(TICKERS, 0.0)
    settings = load_settings(
        state_dir=tmp_path, worker_every=86400, worker_idle_every=86400, worker_fresh=0, worker_lease=2,
        source_endpoints=f"vci={vendor.url}", source_rates="vci=0",
    )  # fmt: skip
    yield Market(warehouse, vendor, settings)
    vendor.stop()


def test_what_one_of_them_asked_for_the_other_leaves(market: Market):
    assert market.worker(TICKERS[:2]) == TICKERS[:2]
    assert market.run(TICKERS) == 2
    assert market.worker(TICKERS) == []
    assert market.vendor.asks() == Counter(TICKERS)
    skipped = {(ticker, "skipped"): 1 for ticker in TICKERS[:2]}
    assert market.loads() == Counter({(ticker, "loaded"): 1 for ticker in TICKERS} | skipped)
    with connect(market.dsn) as connection:
        rows = connection.execute(
            "select worker_id, status, count(*) from sync_progress where worker_id like 'runs of %' "
            "group by 1, 2 order by 2"
        ).fetchall()
        traces = connection.execute("select from worker_heartbeat where worker_type = 'task'").rowcount
    assert rows == [("runs of vn 1m", "completed", 2), ("runs of vn 1m", "skipped", 2)]
    assert traces == 0


@pytest.mark.parametrize("how", [{"exact": True}, {"shared": False}], ids=["a window of its own", "by hand"])
def test_who_wants_it_asked_for_has_it_asked_for(market: Market, how: dict[str, bool]):
    assert market.worker(TICKERS) == TICKERS
    assert market.run(TICKERS, **how) == 4
    assert market.vendor.asks() == Counter(TICKERS * 2)


def test_what_a_worker_loaded_too_little_of_or_failed_at_is_asked_for(market: Market):
    """T0 was ended in the round without a load, T1 failed: the run has a window to fill."""
    with working(market.dsn, "test") as other, connect(market.dsn, autocommit=True) as connection:
        first, second = other.take(connection, SERIES, market.units()[:2])
        other.end(connection, [first, second], {second.unit: "no"})
    assert market.run(TICKERS) == 4


def test_what_a_worker_will_not_check_is_asked_for(market: Market):
    """It publishes nothing and moves no watermark: if the run left it, nobody would."""
    assert market.worker(TICKERS, check=False) == TICKERS
    assert market.run(TICKERS) == 4
    with connect(market.dsn) as connection:
        runs = connection.execute(
            "select distinct run_id from load where run_id like 'unchecked_%'"
        ).fetchall()
    assert [run.split("__")[0] for (run,) in runs] == ["unchecked_worker"]


@pytest.mark.parametrize(
    "otherwise",
    ["source = 'yahoo'", "asked_seconds = null, calls = null"],
    ids=["of another source", "replayed"],
)
def test_what_was_asked_of_nobody_else_is_asked_for(market: Market, otherwise: str):
    assert market.worker(TICKERS) == TICKERS
    with connect(market.dsn, autocommit=True) as connection:
        connection.execute(f"update load set {otherwise}".encode())
    assert market.run(TICKERS) == 4


def test_an_answer_outlives_a_note_that_fails(market: Market, caplog: pytest.LogCaptureFixture):
    """The notes of a task have no table while the vendor answers: its bars are loaded all the same."""

    def rename(old: str, new: str) -> None:
        with connect(market.dsn, autocommit=True) as connection:
            connection.execute(f"alter table {old} rename to {new}".encode())

    def fault(_: object) -> None:
        market.vendor.fault = before
        rename("sync_progress", "sync_progress_away")
        return before(_) if before else None

    before, market.vendor.fault = market.vendor.fault, fault
    assert market.run(TICKERS) == 4
    rename("sync_progress_away", "sync_progress")
    assert "How its series ended was not noted" in caplog.text
    assert market.loads() == Counter({(ticker, "loaded"): 1 for ticker in TICKERS})


def states(connection: psycopg.Connection[object], market: Market) -> list[str]:
    return [found.state for found in look(connection, SERIES, market.units())]


def test_what_a_worker_asks_for_just_now_is_waited_for(market: Market):
    """The others are asked for meanwhile: nobody waits while holding what somebody else may wait for."""
    with (
        working(market.dsn, "test", lease=timedelta(seconds=2)) as other,
        connect(market.dsn, autocommit=True) as connection,
    ):
        (held,) = other.take(connection, SERIES, market.units()[:1])
        run = beside(lambda: market.run(TICKERS))
        until = time.monotonic() + 30
        while states(connection, market) != ["running", "done", "done", "done"] and time.monotonic() < until:
            time.sleep(0.02)
        assert states(connection, market) == ["running", "done", "done", "done"]
        assert market.vendor.asks() == Counter(TICKERS[1:])
        other.release(connection, [held])
        assert run.result(30) == 4
    assert market.vendor.asks() == Counter(TICKERS)


def test_who_lives_and_ends_nothing_is_not_waited_for_for_ever(market: Market):
    with (
        working(market.dsn, "test", lease=timedelta(seconds=60)) as other,
        connect(market.dsn, autocommit=True) as connection,
    ):
        other.take(connection, SERIES, market.units()[:1])
        assert market.run(TICKERS) == 4


def test_what_the_dead_held_is_asked_for_at_once(market: Market):
    with connect(market.dsn, autocommit=True) as connection:
        dead = Worker("worker")
        dead.beat(connection)
        dead.take(connection, SERIES, market.units())
        dead.leave(connection)
    began = time.monotonic()
    assert market.run(TICKERS) == 4
    assert time.monotonic() - began < 20


@pytest.mark.thorough  # in every run: the laws above, and four workers without an executor (test_workers.py)
def test_four_workers_and_an_executor_of_two_share_a_market(warehouse: str, tmp_path: Path, new_warehouse):
    crew = Crew(warehouse, tmp_path, [f"T{n:03}" for n in range(24)], step=4.0, rounds=3, at_once=2)
    try:
        crew.schedule()
        for _ in range(4):
            crew.hire()
        said = crew.finish()
        mine, rounds = sums(crew.dsn), crew.vendor.by_round(crew.step)
        with new_warehouse() as alone:
            assert mine == crew.sums_of_one_worker(alone)
    finally:
        crew.end()
    assert {max(counter.values()) for counter in rounds.values()} == {1}, said
    assert [process.returncode for process in crew.processes] == [0] * 6, said
    with connect(warehouse) as connection:
        who = dict(
            connection.execute(
                "select worker_id like 'runs of %', count(*) from sync_progress where status = 'completed' group by 1"
            ).fetchall()
        )
    assert set(who) == {True, False}, "both loaded some"
