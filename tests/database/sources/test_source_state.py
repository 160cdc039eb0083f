"""Turns and circuits of the sources, shared by connections, by processes, and told by `hypertape source`."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest
from lab import new_ticker, query, value

from hypertape.errors import CircuitOpen
from hypertape.settings import Settings
from hypertape.sources import Reply, rate_of
from hypertape.sources._http import VendorClient
from hypertape.warehouse.source_state import DatabaseThrottle, reset_sources, source_states

STEP = 0.05
JOB = Path(__file__).parents[1] / "turns_job.py"


@pytest.fixture
def name():
    return new_ticker("vendor")


@pytest.fixture
def naps():
    return []


@pytest.fixture
def throttle(common_warehouse, naps):
    with DatabaseThrottle(common_warehouse, lambda gate: 1 / STEP, 3, 60.0, naps.append) as throttle:
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
    second, seconds, *_ = throttle.reserve(name)
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
        seconds = other.reserve(name).seconds
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


# waiters


class Waiter:
    """A worker in a thread of its own, with a connection of its own, that sleeps until it is woken."""

    def __init__(self, dsn, name, rate=0.2, pause=60.0):
        self.name, self.naps, self.asleep, self.awake = name, [], Event(), Event()
        self.throttle = DatabaseThrottle(dsn, lambda gate: rate, 3, pause, self.sleep)
        self.outcome = None
        self.thread = Thread(target=self.work, daemon=True)
        self.thread.start()
        assert self.asleep.wait(20), "it has to wait: somebody has the turn before"

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.asleep.set()
        assert self.awake.wait(20)

    def work(self):
        with self.throttle:
            try:
                self.outcome = self.throttle.wait(self.name)
            except CircuitOpen as error:
                self.outcome = error

    def wake(self):
        self.awake.set()
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.outcome


@pytest.fixture
def waiter(common_warehouse, common, name):
    def make(**others):
        return Waiter(common_warehouse, name, **others)

    with DatabaseThrottle(common_warehouse, failures=3, rate=lambda gate: 0.2) as first:
        first.reserve(name)
    return make


def test_a_retry_after_holds_those_who_wait_already(waiter, throttle, common, name):
    """They take new turns after the hold, one after the other: not all at once when it ends."""
    waiters = [waiter() for _ in range(3)]
    throttle.record(name, False, pause=100.0, reason="HTTP status 429")
    assert all(isinstance(one.wake(), datetime) for one in waiters)
    assert [len(one.naps) for one in waiters] == [2, 2, 2]
    assert [round(one.naps[1] / 5) * 5 for one in waiters] == [100, 105, 110]
    assert state_of(common, name).failures == 1


def test_who_waits_while_a_circuit_opens_does_not_go(waiter, throttle, common, name):
    waiting = waiter()
    fail(throttle, name, 3)
    outcome = waiting.wake()
    assert isinstance(outcome, CircuitOpen)
    assert "failed 3 times in a row" in str(outcome)
    assert state_of(common, name).state == "open"


def test_who_waits_goes_when_the_circuit_has_closed_again(waiter, throttle, common, name):
    waiting = waiter()
    fail(throttle, name, 3)
    throttle.record(name, True)
    assert isinstance(waiting.wake(), datetime)


def test_who_waits_leaves_a_trial_to_the_one_that_makes_it(waiter, throttle, common, name):
    waiting = waiter()
    fail(throttle, name, 3)
    long_ago(common, name)
    throttle.wait(name)
    assert isinstance(waiting.wake(), CircuitOpen)
    assert state_of(common, name).state == "half-open"


def test_the_one_that_tries_waits_for_its_turn_and_goes(waiter, throttle, common, name):
    fail(throttle, name, 3, pause=30.0)
    long_ago(common, name)
    trial = waiter()
    assert isinstance(trial.wake(), datetime)
    assert 25 < trial.naps[0] <= 30


def test_a_late_success_does_not_close_a_circuit(waiter, throttle, common, name):
    begun = waiter().wake()
    fail(throttle, name, 3)
    throttle.record(name, True, begun=begun)
    assert (state_of(common, name).state, state_of(common, name).failures) == ("open", 3)
    long_ago(common, name, seconds=61)
    begun -= timedelta(seconds=61)
    trial = throttle.wait(name)
    throttle.record(name, True, begun=begun)
    assert state_of(common, name).state == "half-open", "nor while another one tries"
    throttle.record(name, True, begun=trial)
    assert state_of(common, name).state == "closed"


def test_a_late_failure_does_not_end_a_trial(waiter, throttle, common, name):
    begun = waiter().wake() - timedelta(seconds=61)
    fail(throttle, name, 3)
    long_ago(common, name, seconds=61)
    trial = throttle.wait(name)
    throttle.record(name, False, begun=begun, reason="a timeout")
    assert state_of(common, name).state == "half-open"
    throttle.record(name, True, begun=trial)
    assert state_of(common, name).state == "closed"


def test_a_request_tells_when_it_began(throttle, common, name):
    """The client's own line: while its request is under way the others' failures open the circuit."""

    def send():
        fail(throttle, name, 3)
        return Reply(200, b"")

    VendorClient(name, throttle=throttle).ask("GET /", send)
    assert state_of(common, name).state == "open"


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
def test_a_rate_is_the_settings_or_the_vendors(rates, gate, rate):
    assert rate_of(gate, Settings(source_rates=rates).rates) == rate
