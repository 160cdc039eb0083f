"""kill -9 in the middle of the work, again and again: afterwards everything is as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from contextlib import contextmanager

import pytest
from kill_job import work, write_trees
from lab import CRYPTO, D1, M1, fingerprint, query, value

from hypertape.warehouse.connect import connect
from hypertape.warehouse.rollups import Refreshed, buckets, check_rollups, derived
from thorough import examples

ROUNDS = examples(4, 10)
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["kill_job", "pandas", "exchange_calendars"])


@pytest.fixture(scope="module")
def undisturbed(new_warehouse, tmp_path_factory):
    """What the work leaves when nobody disturbs it, and how long it takes."""
    root = tmp_path_factory.mktemp("undisturbed")
    write_trees(root, names := ["A", "B", "C"])
    for _ in ("a first child that waits for its imports", "the one that is timed"):
        with new_warehouse() as dsn:
            begun = time.perf_counter()
            steps = finish(dsn, root)
            seconds = time.perf_counter() - begun
            expected = held(dsn, names)
    return root, names, seconds, steps, expected


@contextmanager
def started(dsn, root):
    """A child at work, with the pipe it tells its steps through."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(target=work, args=(dsn, str(root), theirs))
    child.start()
    theirs.close()
    try:
        yield child, ours
    finally:
        child.join(120)
        ours.close()


def kill(child):
    """End the child at once; return whether it was still at work."""
    child.kill()
    child.join(30)
    return child.exitcode == -signal.SIGKILL


def held(dsn, names):
    """Everything the warehouse holds of bars and rollups, whoever loaded it and in how many runs."""
    with connect(dsn, autocommit=True) as connection:
        assert value(connection, "select count(*) from rollup_pending") == 0
        bars = [fingerprint(connection, name, interval=interval) for name in names for interval in (D1, M1)]
        levels = [level for interval in (D1, M1) for level in derived(interval)]
        rollups = [
            query(connection, f"select * from {CRYPTO.relation(level)} order by 1, 2") for level in levels
        ]
        assert all(rollups)
        for interval in (D1, M1):
            (span,) = query(
                connection,
                "select min(first_time), max(last_time) from series where interval = %s",
                interval.value,
            )
            whole = [Refreshed(level, buckets(level, *span)) for level in derived(interval)]
            assert [check.differing for check in check_rollups(connection, CRYPTO, whole)] == [0, 0, 0]
        return bars, rollups


def finish(dsn, root):
    """Let the work run to its end; return of how many steps it told."""
    with started(dsn, root) as (child, told):
        child.join(120)
        assert child.exitcode == 0
        count = 0
        while told.poll():
            try:
                told.recv()
            except EOFError:
                break
            count += 1
    return count


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_killed_anywhere(warehouse, undisturbed, seed):
    """The moment: after a random number of the steps that the work tells of, and a random part of a step more."""
    root, names, seconds, steps, expected = undisturbed
    moment = random.Random(seed)
    with started(warehouse, root) as (child, told):
        for _ in range(steps * 3 * seed // (4 * ROUNDS)):
            assert told.poll(60)
            told.recv()
        time.sleep(moment.uniform(0, 2 * seconds / steps))
        assert kill(child), "it was still at work"
    finish(warehouse, root)
    assert held(warehouse, names) == expected


@pytest.mark.parametrize("seed", range(examples(1, 3)))
def test_killed_while_rollups_are_refreshed(warehouse, undisturbed, seed):
    """Between the load's commit and the end of the refresh the notes survive; the next refresh finds them."""
    root, names, _, _, expected = undisturbed
    with started(warehouse, root) as (child, told):
        refreshes = 0
        while refreshes <= seed:
            assert told.poll(60)
            refreshes += told.recv() == ("refresh rollups", 0)
        time.sleep(random.Random(seed).uniform(0, 0.05))
        assert kill(child), "it was still at work"
    with connect(warehouse, autocommit=True) as connection:
        loaded = value(connection, "select count(*) from load where status = 'loaded'")
    assert loaded > 0
    finish(warehouse, root)
    assert held(warehouse, names) == expected


def test_a_load_killed_before_its_commit_leaves_no_trace(warehouse, undisturbed):
    root, *_ = undisturbed
    with connect(warehouse) as blocker:
        blocker.execute("lock table rollup_pending in exclusive mode")  # the load's last but one table
        with started(warehouse, root) as (child, _):
            with connect(warehouse, autocommit=True) as watcher:
                waiting = (
                    "select count(*) from pg_stat_activity "
                    "where wait_event_type = 'Lock' and datname = current_database()"
                )
                for _ in range(600):
                    if value(watcher, waiting):
                        break
                    time.sleep(0.05)
                assert value(watcher, waiting) == 1
            assert kill(child)
        blocker.rollback()
    with connect(warehouse, autocommit=True) as connection:
        for table in ("bars.crypto_data_1d", "load", "series", "rollup_pending", "bar_revision"):
            assert value(connection, f"select count(*) from {table}") == 0, table
