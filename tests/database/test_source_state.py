"""Turns and circuits of the sources, shared by connections, by processes, and told by `hypertape source`."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from lab import new_ticker, query, value

from hypertape.errors import CircuitOpen
from hypertape.sources import rate_of
from hypertape.warehouse.source_state import DatabaseThrottle, reset_sources, source_states

STEP = 0.05
JOB = Path(__file__).with_name("turns_job.py")


@pytest.fixture
def name():
    return new_ticker("vendor")


@pytest.fixture
def naps():
    return []


@pytest.fixture
def throttle(common_warehouse, naps):
    with DatabaseThrottle(common_warehouse, 3, 60.0, lambda gate: 1 / STEP, naps.append) as throttle:
        yield throttle


def state_of(common, name):
    (state,) = source_states(common, 60.0, name)
    return state


def fail(throttle, name, times, **others):
    for _ in range(times):
        throttle.record(name, False, reason="HTTP status 500", **others)


def long_ago(common, name, seconds=3600):
    """Let time pass for a source that is left alone."""
    common.execute(
        "update source_state set opened_at = opened_at - make_interval(secs => %s), "
        "probed_at = probed_at - make_interval(secs => %s) where source = %s",
        (seconds, seconds, name),
    )


# turns


def test_turns_are_evenly_spaced_and_waited_for(throttle, naps, name):
    turns = [throttle.reserve(name)[0] for _ in range(5)]
    throttle.wait(name)
    assert [later - earlier for earlier, later in pairwise(turns)] == [timedelta(seconds=STEP)] * 4
    assert len(naps) == 1
    assert 0 < naps[0] <= 5 * STEP


def test_a_source_nobody_asked_for_long_saves_no_turns(throttle, common, name):
    first = throttle.reserve(name)[0]
    common.execute(
        "update source_state set next_turn = next_turn - interval '1 day' where source = %s", (name,)
    )
    second, seconds = throttle.reserve(name)
    assert second > first - timedelta(seconds=1), "it is now's turn, not yesterday's"
    assert seconds < STEP


def test_a_source_without_a_rate_never_waits(common_warehouse, naps, name):
    with DatabaseThrottle(common_warehouse, rate=lambda gate: None, sleep=naps.append) as throttle:
        for _ in range(5):
            throttle.wait(name)
    assert naps == []


def test_retry_after_holds_everybody(common_warehouse, throttle, name):
    throttle.record(name, False, pause=40.0, reason="HTTP status 429")
    with DatabaseThrottle(common_warehouse, rate=lambda gate: 1.0) as other:
        _, seconds = other.reserve(name)
    assert 38 < seconds <= 40


def test_nothing_is_held_while_waiting(common_warehouse, common, name):
    seen = []

    def look(seconds):
        seen.append(
            query(common, "select state from pg_stat_activity where application_name = 'hypertape sources' "
                  "and datname = current_database()")
        )  # fmt: skip
        seen.append(query(common, "select count(*) from pg_locks where locktype = 'relation' and relation = "
                          "'source_state'::regclass"))  # fmt: skip

    with DatabaseThrottle(common_warehouse, rate=lambda gate: 0.01, sleep=look) as throttle:
        throttle.wait(name)
        throttle.wait(name)
    assert ("idle",) in seen[0]
    assert ("idle in transaction",) not in seen[0]
    assert seen[1] == [(0,)]


def test_a_lost_connection_costs_one_new_one(throttle, common, name):
    throttle.reserve(name)
    query(common, "select pg_terminate_backend(pid) from pg_stat_activity "
          "where application_name = 'hypertape sources' and datname = current_database()")  # fmt: skip
    assert throttle.reserve(name)[1] <= STEP


def job(dsn, name, turns, pause=60.0):
    words = [sys.executable, str(JOB), dsn, name, str(1 / STEP), str(pause), str(turns)]
    worker = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert worker.stdout.readline() == "ready\n", worker.stderr.read()
    return worker


def outcome(workers):
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return [worker.communicate(timeout=60)[0].splitlines() for worker in workers]


def test_two_processes_share_one_rate(common_warehouse, name):
    workers = [job(common_warehouse, name, 60) for _ in range(2)]
    each = outcome(workers)
    assert [len(lines) for lines in each] == [60, 60]
    turns = sorted(datetime.fromisoformat(line) for lines in each for line in lines)
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert min(gaps) >= timedelta(seconds=STEP), "no two turns are closer than the rate allows"
    assert turns[-1] - turns[0] >= timedelta(seconds=119 * STEP)


def test_of_two_processes_exactly_one_tries_a_source_that_was_left_alone(
    common_warehouse, throttle, common, name
):
    fail(throttle, name, 3)
    long_ago(common, name)
    each = outcome([job(common_warehouse, name, 5) for _ in range(2)])
    let_through = [line for lines in each for line in lines if not line.startswith("open")]
    assert len(let_through) == 1
    assert state_of(common, name).state == "half-open"


# circuits


def test_a_circuit_opens_after_so_many_failures_in_a_row(throttle, common, name):
    fail(throttle, name, 2)
    throttle.record(name, True)
    fail(throttle, name, 2)
    throttle.reserve(name)
    fail(throttle, name, 1)
    with pytest.raises(
        CircuitOpen, match=r"failed 3 times in a row \(HTTP status 500\) and is left alone for another"
    ):
        throttle.wait(name)
    state = state_of(common, name)
    assert (state.state, state.failures) == ("open", 3)
    assert 50 < state.seconds_to_trial <= 60


def test_one_tries_and_its_success_closes_it(throttle, common, name):
    fail(throttle, name, 3)
    long_ago(common, name)
    throttle.reserve(name)
    with pytest.raises(CircuitOpen):
        throttle.reserve(name)
    throttle.record(name, True)
    throttle.reserve(name)
    throttle.reserve(name)
    assert (state_of(common, name).state, state_of(common, name).failures) == ("closed", 0)


def test_one_tries_and_its_failure_opens_it_again_at_once(throttle, common, name):
    fail(throttle, name, 3)
    long_ago(common, name)
    throttle.reserve(name)
    fail(throttle, name, 1)
    with pytest.raises(CircuitOpen, match="failed 4 times"):
        throttle.reserve(name)
    assert state_of(common, name).seconds_to_trial > 50


def test_a_trial_that_never_reports_is_taken_for_lost(throttle, common, name):
    fail(throttle, name, 3)
    long_ago(common, name)
    throttle.reserve(name)
    long_ago(common, name)
    throttle.reserve(name)
    with pytest.raises(CircuitOpen):
        throttle.reserve(name)


def test_a_straggler_of_an_open_circuit_does_not_prolong_it(throttle, common, name):
    fail(throttle, name, 3)
    long_ago(common, name, seconds=30)
    fail(throttle, name, 1)
    assert state_of(common, name).seconds_to_trial <= 30


def test_one_failure_may_be_enough(common_warehouse, name):
    with DatabaseThrottle(common_warehouse, failures=1, rate=lambda gate: None) as hasty:
        fail(hasty, name, 1)
        with pytest.raises(CircuitOpen):
            hasty.reserve(name)


def test_a_reset_frees_a_source_at_once(throttle, common, name):
    fail(throttle, name, 3, pause=100.0)
    assert reset_sources(common, [name, "nobody"]) == [name]
    assert throttle.reserve(name)[1] == 0
    assert value(common, "select state from source_state where source = %s", name) == "closed"


# rates


@pytest.mark.parametrize(
    ("rates", "gate", "rate"),
    [
        ("", "vci", 2.0),
        ("vci=0.5", "vci", 0.5),
        ("vci=0", "vci", None),
        ("vci=1", "vci@127.0.0.1:80", 1.0),
        ("ccxt=3, ccxt:kraken=1", "ccxt:kraken", 1.0),
        ("ccxt=3,ccxt:kraken=1", "ccxt:binance", 3.0),
        ("", "csv_tree", None),
        ("", "nobody", None),
    ],
)
def test_a_rate_is_the_settings_or_the_vendors(monkeypatch, rates, gate, rate):
    monkeypatch.setenv("HYPERTAPE_SOURCE_RATES", rates)
    assert rate_of(gate) == rate
