"""Claims: each unit is somebody's or nobody's, whatever happens to whom."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from hypertape.errors import ClaimLost, DatabaseBusy
from hypertape.warehouse.claims import Worker, bury_dead_neighbours, look, reap, working
from hypertape.warehouse.connect import connect

SHORT = timedelta(seconds=0.5)
UNITS = [f"unit {n:03}" for n in range(60)]


def worker_of(connection: psycopg.Connection[Any], lease: timedelta = timedelta(minutes=5)) -> Worker:
    worker = Worker("test", lease)
    worker.beat(connection)
    return worker


def test_units_are_taken_once_in_the_order_given(connection):
    one, other = worker_of(connection), worker_of(connection)
    assert [claim.unit for claim in one.take(connection, "k", ["c", "a", "b"], most=2)] == ["c", "a"]
    assert [claim.unit for claim in other.take(connection, "k", ["c", "a", "b"])] == ["b"]
    assert other.take(connection, "k", ["a", "b", "c"]) == []
    assert [claim.unit for claim in other.take(connection, "another kind", ["a"])] == ["a"]


def test_who_comes_at_the_same_moment_takes_what_the_other_leaves(warehouse):
    with connect(warehouse) as first, connect(warehouse, autocommit=True) as second:
        one = worker_of(first)
        first.commit()  # its beat, but not yet what it takes
        other = worker_of(second)
        assert [claim.unit for claim in one.take(first, "k", UNITS, most=2)] == UNITS[:2]
        with ThreadPoolExecutor(1) as thread:
            taking = thread.submit(other.take, second, "k", UNITS, most=2)
            wait_until_it_waits(warehouse, second.info.backend_pid)
            first.commit()
            assert [claim.unit for claim in taking.result(20)] == UNITS[2:4]


def wait_until_it_waits(dsn: str, pid: int) -> None:
    with connect(dsn, autocommit=True) as connection:
        until = time.monotonic() + 20
        while not connection.execute("select cardinality(pg_blocking_pids(%s)) > 0", (pid,)).fetchone()[0]:
            assert time.monotonic() < until, "it waits for nobody"
            time.sleep(0.01)


def test_many_workers_share_the_units_without_one_twice(warehouse):
    def work(_: int) -> list[str]:
        with working(warehouse, "test") as worker, connect(warehouse, autocommit=True) as connection:
            mine = []
            while got := worker.take(connection, "k", UNITS, most=3, since=began):
                mine += [claim.unit for claim in got]
                worker.end(connection, got)
        return mine

    with connect(warehouse) as connection:
        (began,) = connection.execute("select clock_timestamp()").fetchone()
    with ThreadPoolExecutor(8) as pool:
        done = Counter(unit for mine in pool.map(work, range(8)) for unit in mine)
    assert done == Counter(UNITS)


def test_what_is_done_stays_done_only_for_who_began_before(connection):
    one, other = worker_of(connection), worker_of(connection)
    (began,) = connection.execute("select clock_timestamp()").fetchone()
    one.end(connection, one.take(connection, "k", ["a"]))
    (later,) = connection.execute("select clock_timestamp()").fetchone()
    assert other.take(connection, "k", ["a"], since=began) == []
    assert [claim.tries for claim in other.take(connection, "k", ["a"], since=later)] == [1]


@pytest.mark.parametrize("how", ["failed", "released"])
def test_what_was_given_back_is_free_at_once_and_what_failed_for_who_began_after(connection, how):
    one, other = worker_of(connection), worker_of(connection)
    (began,) = connection.execute("select clock_timestamp()").fetchone()
    claims = one.take(connection, "k", ["a"])
    ended = (
        one.end(connection, claims, {"a": "no answer"})
        if how == "failed"
        else one.release(connection, claims)
    )
    assert ended == {"a"}
    [unit] = look(connection, "k")
    assert (unit.state, unit.error) == (how, "no answer" if how == "failed" else None)
    if how == "failed":
        assert other.take(connection, "k", ["a"], since=began) == []
        (began,) = connection.execute("select clock_timestamp()").fetchone()
    assert [claim.tries for claim in other.take(connection, "k", ["a"], since=began)] == [2]


def test_a_silent_worker_loses_its_units_and_writes_nothing_more(warehouse):
    with connect(warehouse, autocommit=True) as connection:
        frozen, other = worker_of(connection, SHORT), worker_of(connection, SHORT)
        claims = frozen.take(connection, "k", ["a", "b"])
        other.beat(connection)
        assert other.take(connection, "k", ["a"]) == []
        time.sleep(0.7)
        assert [unit.silent for unit in look(connection, "k", lease=SHORT)] == [True, True]
        other.beat(connection)
        [taken] = other.take(connection, "k", ["a"])
        assert taken.tries == 2
        frozen.beat(connection)  # it wakes: what nobody took is its own again
        with connection.transaction():
            frozen.require(connection, claims[1:])
        with pytest.raises(ClaimLost, match="lost a to another worker"), connection.transaction():
            frozen.require(connection, claims)
        assert frozen.end(connection, claims) == {"b"}
        with connection.transaction():
            other.require(connection, [taken])


def test_a_claim_that_is_required_is_not_taken_before_the_transaction_ends(warehouse):
    """The lease ends in the middle of a load: the unit is passed over until it has written, and nobody waits."""
    with connect(warehouse) as loading, connect(warehouse, autocommit=True) as connection:
        slow, other = worker_of(connection), worker_of(connection, SHORT)
        slow.require(loading, slow.take(connection, "k", ["a"]))
        time.sleep(0.7)
        assert other.take(connection, "k", ["a"]) == []
        slow.beat(connection)  # no beat waits for a load
        slow.leave(connection)
        assert other.take(connection, "k", ["a"]) == []
        loading.commit()
        assert [claim.unit for claim in other.take(connection, "k", ["a"])] == ["a"]


def test_a_worker_that_is_frozen_in_its_transaction_keeps_nobody_waiting(warehouse):
    """Its claims are locked: who takes units passes them over until the server has ended its session."""
    with connect(warehouse) as loading, connect(warehouse, autocommit=True) as connection:
        frozen, other = worker_of(connection, timedelta(seconds=1)), worker_of(connection, SHORT)
        claims = frozen.take(connection, "k", ["a"])
        frozen.require(loading, claims)
        frozen.leave(connection)
        other.beat(connection)
        connection.execute("set lock_timeout = '100ms'")
        assert [claim.unit for claim in other.take(connection, "k", ["a", "b"])] == ["b"]
        time.sleep(1.5)
        assert [claim.unit for claim in other.take(connection, "k", ["a"])] == ["a"]
        with pytest.raises(DatabaseBusy, match="idle-in-transaction"):
            loading.execute("select 1")


def test_what_a_broken_connection_took_is_given_back(connection):
    worker = worker_of(connection)
    worker.take(connection, "k", ["a", "b"])
    worker.take(connection, "other kind", ["a"])
    assert worker.drop(connection, "k") == 2
    assert {unit.state for unit in look(connection, "k")} == {"released"}
    assert {unit.state for unit in look(connection, "other kind")} == {"running"}


def test_a_worker_that_works_beats_by_itself(warehouse):
    with working(warehouse, "test", lease=SHORT) as worker, connect(warehouse, autocommit=True) as connection:
        worker.take(connection, "k", ["a"])
        time.sleep(1.2)
        assert [unit.silent for unit in look(connection, "k", lease=SHORT)] == [False]
    with connect(warehouse, autocommit=True) as connection:
        assert worker_of(connection).take(connection, "k", ["a"])


WORK = """
import sys, time
from hypertape.warehouse.claims import working
from hypertape.warehouse.connect import connect
with working(sys.argv[1], "test") as worker, connect(sys.argv[1], autocommit=True) as connection:
    worker.take(connection, "k", ["a"])
    print("taken", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_of_this_host_is_dead_at_once(warehouse):
    """Its lease of five minutes does not keep the same command from going on."""
    command = [sys.executable, "-c", WORK, warehouse]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        with connect(warehouse, autocommit=True) as connection:
            worker = worker_of(connection)
            assert worker.take(connection, "k", ["a"]) == []
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert [claim.tries for claim in worker.take(connection, "k", ["a"])] == [2]
            assert bury_dead_neighbours(connection) == []


def test_reaping_fails_what_dead_workers_left(connection):
    dead, living = worker_of(connection), worker_of(connection)
    dead.take(connection, "k", ["a"])
    living.take(connection, "k", ["b"])
    dead.leave(connection)
    assert reap(connection) == []  # taken just now: the next one to want it takes it
    assert reap(connection, leases=0) == [("k", "a", dead.worker_id)]
    states = {unit.unit: (unit.state, unit.error) for unit in look(connection, "k")}
    assert states == {"a": ("failed", "Worker timeout"), "b": ("running", None)}


def test_each_is_judged_by_its_own_lease(connection):
    """Silent for a minute: that is nothing for a lease of five, whoever looks."""
    patient, hasty, judge = worker_of(connection), worker_of(connection, SHORT), worker_of(connection, SHORT)
    patient.take(connection, "k", ["a"])
    hasty.take(connection, "k", ["b"])
    connection.execute(
        "update worker_heartbeat set last_heartbeat = last_heartbeat - interval '1 minute' where worker_id <> %s",
        (judge.worker_id,),
    )
    assert {unit.unit: unit.silent for unit in look(connection, "k")} == {"a": False, "b": True}
    assert [claim.unit for claim in judge.take(connection, "k", ["a", "b"])] == ["b"]
    judge.leave(connection)
    assert reap(connection, leases=0) == [("k", "b", judge.worker_id)]


def test_nothing_is_taken_for_a_worker_that_never_beat_for_long(connection):
    """A claim without a heartbeat is nobody's: the lease is the heartbeat's."""
    mute = Worker("test")
    assert mute.take(connection, "k", ["a"])
    assert worker_of(connection).take(connection, "k", ["a"])
