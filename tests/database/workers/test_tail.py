"""A worker's tail: while it is under way the worker goes on, and no series is left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from lab import D1, VN

from hypertape.errors import DatabaseBusy
from hypertape.model import utc
from hypertape.settings import Settings, load_settings
from hypertape.steps import after_load
from hypertape.steps.after_load import publish, specs_of
from hypertape.steps.sync import sync
from hypertape.steps.tail import KIND
from hypertape.steps.work_order import Round, WorkOrder
from hypertape.steps.worker import work
from hypertape.stores.processes import beside
from hypertape.warehouse import rollups
from hypertape.warehouse.claims import Worker, look, working
from hypertape.warehouse.connect import connect
from hypertape.warehouse.progress import SERIES, series_due

BARS = """ticker,time,open,high,low,close,volume
{0},2025-01-02,1000,1100,900,1050,1000
{0},2025-01-03,1050,1200,1000,1150,1500
"""
TICKERS = ["AAA", "BBB"]
UNITS = [f"vn/1d/{ticker}" for ticker in TICKERS]
LEASE, EVERY = 2.0, 1.0
PATIENCE = 10.0
"""Seconds that a loaded machine may take on top; nobody else takes the work before."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for ticker in TICKERS:
        (tmp_path / "csv" / ticker).mkdir(parents=True)
        (tmp_path / "csv" / ticker / "1D.csv").write_text(BARS.format(ticker))
    return load_settings(
        state_dir=tmp_path / "state", source="csv_tree", source_dir=tmp_path / "csv", worker_lease=LEASE, worker_fresh=0
    )  # fmt: skip


@contextmanager
def at_work(dsn: str, settings: Settings, every: float = 3600) -> Iterator[list[Round]]:
    """A worker in a thread; the rounds that it has told of."""
    rounds, stop, width = list[Round](), threading.Event(), timedelta(seconds=every)
    order = WorkOrder(VN, (D1,), width, width, check=False)
    thread = threading.Thread(
        target=lambda: work(
            dsn, order, settings=settings, clock=lambda: utc(2025, 2, 1), stop=stop, on_round=rounds.append
        )
    )
    thread.start()
    try:
        yield rounds
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def another(dsn: str) -> AbstractContextManager[Worker]:
    """Another worker, alive, with the same lease."""
    return working(dsn, "test", lease=timedelta(seconds=LEASE))


def seconds_until(true: Callable[[], bool], most: float = 30) -> float:
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + most, "it does not come"
        time.sleep(0.02)
    return time.monotonic() - began


def is_in_its_tail(connection: psycopg.Connection[object]) -> bool:
    """True when somebody wants to refresh rollups."""
    waiting = connection.execute("select from worker_heartbeat where worker_type = %s", (rollups.KIND,))
    return waiting.rowcount == 1


def is_done(connection: psycopg.Connection[object], unit: str) -> bool:
    return [found.state for found in look(connection, SERIES, [unit])] == ["done"]


def test_the_units_of_the_dead_are_taken_while_the_tail_is_under_way(warehouse: str, settings: Settings):
    """The only worker waits in its tail for another one's refresh: nobody else would come."""
    with connect(warehouse, autocommit=True) as connection:
        with (
            another(warehouse) as other,
            at_work(warehouse, settings) as rounds,
        ):
            claims = other.take(connection, rollups.KIND, [VN.relation(D1)])
            seconds_until(lambda: is_in_its_tail(connection))
            dead = Worker("worker")
            dead.beat(connection)
            assert dead.take(connection, SERIES, UNITS[:1])
            dead.leave(connection)
            took = seconds_until(lambda: is_done(connection, UNITS[0]))
            assert rounds == [], "the tail is under way still"
            assert took < LEASE + PATIENCE
            assert other.release(connection, claims)
            seconds_until(lambda: len(rounds) == 2)
        assert [sorted(done.asked) for done in rounds] == [TICKERS, TICKERS[:1]]
        assert rounds[1].reclaimed == TICKERS[:1]


def test_what_is_loaded_during_a_tail_is_followed_by_one_tail_together(warehouse: str, settings: Settings):
    """Rounds that are shorter than a tail do not queue up; told to stop, the worker ends what it has loaded."""
    with connect(warehouse, autocommit=True) as connection:
        with (
            another(warehouse) as other,
            at_work(warehouse, settings, EVERY) as rounds,
        ):
            claims = other.take(connection, rollups.KIND, [VN.relation(D1)])
            seconds_until(lambda: is_in_its_tail(connection))
            time.sleep(3 * EVERY)
            assert other.release(connection, claims)
        first, second, *more = rounds
        assert sorted(first.asked) == TICKERS
        assert len(second.asked) >= 4, "two rounds at least"
        assert len(more) <= 1
        assert connection.execute("select count(*) from rollup_pending").fetchone() == (0,)


def test_of_a_market_one_tail_is_under_way_at_a_time(warehouse: str, settings: Settings):
    """The other workers load on meanwhile; who is told to stop waits for its turn."""
    with (
        connect(warehouse, autocommit=True) as connection,
        another(warehouse) as other,
    ):
        claims = other.take(connection, KIND, ["vn/1d"])
        with at_work(warehouse, settings, EVERY) as rounds:
            time.sleep(4 * EVERY)
            seconds_until(lambda: all(is_done(connection, unit) for unit in UNITS))
            assert rounds == []
            assert other.release(connection, claims)
        assert sum(len(done.asked) for done in rounds) >= 4, "two rounds at least"
        assert len(rounds) <= 3
        left = connection.execute("select state from claim where kind = %s", (KIND,)).fetchall()
        assert left == [("released",)]


def test_who_waits_longest_is_first_and_what_was_begun_before_all(connection: psycopg.Connection[object]):
    """Where a round is too short for all series, the same ones would be left out in each."""
    worker = Worker("worker")
    worker.beat(connection)
    for ticker in ("DDD", "BBB", "CCC"):
        worker.end(connection, worker.take(connection, SERIES, [f"vn/1d/{ticker}"]))
    worker.take(connection, SERIES, ["vn/1d/CCC"])
    later = utc(2100)
    found = series_due(connection, VN, D1, ["AAA", "BBB", "CCC", "DDD"], since=later, fresh=later)
    assert list(found.items()) == [("CCC", "running"), ("AAA", "due"), ("DDD", "due"), ("BBB", "due")]


def test_a_series_that_a_dead_worker_held_for_long_is_asked_for_in_the_same_round(
    warehouse: str, settings: Settings
):
    """Two leases after it was taken it counts as failed: but first whoever is there may take it."""
    with connect(warehouse, autocommit=True) as connection:
        dead = Worker("worker")
        dead.beat(connection)
        assert dead.take(connection, SERIES, UNITS)
        connection.execute("update claim set taken_at = taken_at - interval '1 hour'")
        dead.leave(connection)
        with at_work(warehouse, settings) as rounds:
            seconds_until(lambda: bool(rounds))
    assert sorted(rounds[0].reclaimed) == TICKERS
    assert rounds[0].failures == {}


def test_who_is_frozen_while_it_publishes_lets_go_after_its_lease(
    warehouse: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """It holds the rows of series that loads write: without a bound every other worker would wait for it."""
    now, frozen, woken = utc(2025, 2, 1), threading.Event(), threading.Event()
    sync(warehouse, "vn", "1d", now=now, settings=settings, run_id="first", check=False)
    (spec,) = specs_of(warehouse, "first", now=now)
    moving = after_load.advance_watermarks

    def stands_still(*given: object, **more: object) -> int:
        moved = moving(*given, **more)  # type: ignore[arg-type]
        frozen.set()
        woken.wait(60)
        return moved

    monkeypatch.setattr(after_load, "advance_watermarks", stands_still)
    publishing = beside(lambda: publish(warehouse, spec, now=now, settings=settings))
    assert frozen.wait(30)
    with connect(warehouse, autocommit=True) as connection:
        began = time.monotonic()
        assert connection.execute("update series set last_time = last_time").rowcount == len(TICKERS)
        took = time.monotonic() - began
    woken.set()
    with pytest.raises(DatabaseBusy, match="idle-in-transaction"):
        publishing.result(30)
    print(f"let go after {took:.2f} s, lease {LEASE}")
    assert took < LEASE + PATIENCE


def test_who_died_in_a_statement_lets_go_long_before_it_ends(warehouse: str):
    """Its load waits for a lock of somebody's tail, say: the server looks every second whether it is still there."""
    with connect(warehouse, autocommit=True) as connection:
        job = subprocess.Popen([sys.executable, "-c", DIES, warehouse], stdout=subprocess.PIPE, text=True)
        assert job.stdout is not None
        assert job.stdout.readline() == "holds\n"
        seconds_until(lambda: is_asleep(connection))
        job.kill()
        job.wait()
        job.stdout.close()
        with working(warehouse, "test") as other:
            took = seconds_until(lambda: bool(other.take(connection, SERIES, UNITS[:1])))
    print(f"taken after {took:.2f} s")
    assert took < 6, (
        "the statement would have taken a minute, and ten seconds pass between two looks of another setting"
    )


DIES = f"""
import sys
from datetime import timedelta
from hypertape.warehouse.claims import working
from hypertape.warehouse.connect import connect
lease = timedelta(seconds={LEASE})
with working(sys.argv[1], "worker", lease=lease) as worker, connect(sys.argv[1]) as loading:
    with connect(sys.argv[1], autocommit=True) as connection:
        claims = worker.take(connection, "series", ["{UNITS[0]}"])
    worker.require(loading, claims)
    print("holds", flush=True)
    loading.execute("select pg_sleep(60)")
"""


def is_asleep(connection: psycopg.Connection[object]) -> bool:
    asleep = "select from pg_stat_activity where query like '%pg_sleep(60)%' and wait_event = 'PgSleep'"
    return connection.execute(asleep).rowcount == 1
