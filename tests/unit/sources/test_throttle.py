"""Pacing within one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from hypertape.sources._throttle import LocalThrottle


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def throttle(clock: Clock, rate: float | None = 2.0) -> LocalThrottle:
    return LocalThrottle(lambda gate: rate, clock, clock.sleep)


def test_requests_are_evenly_spaced(clock: Clock) -> None:
    turns = throttle(clock)
    for _ in range(4):
        turns.wait("vci")
    assert clock.naps == [0.5, 0.5, 0.5]


def test_time_that_passed_anyway_counts_and_is_not_saved_up(clock: Clock) -> None:
    turns = throttle(clock)
    turns.wait("vci")
    clock.now += 60
    turns.wait("vci")
    turns.wait("vci")
    assert clock.naps == [0.5]


def test_sources_do_not_wait_for_each_other(clock: Clock) -> None:
    turns = throttle(clock)
    turns.wait("vci")
    turns.wait("yahoo")
    assert clock.naps == []


def test_without_a_rate_nobody_waits(clock: Clock) -> None:
    turns = throttle(clock, None)
    for _ in range(3):
        turns.wait("vci")
    assert clock.naps == []


def test_a_pause_holds_everybody(clock: Clock) -> None:
    turns = throttle(clock)
    turns.wait("vci")
    turns.record("vci", False, pause=30.0)
    turns.record("vci", True)
    turns.wait("vci")
    assert clock.naps == [30.0]


def test_a_pause_holds_those_who_wait_already(clock: Clock) -> None:
    def nap(seconds: float) -> None:
        if not clock.naps:
            turns.record("vci", False, pause=30.0)
        clock.sleep(seconds)

    turns = LocalThrottle(lambda gate: 2.0, clock, nap)
    turns.wait("vci")
    turns.wait("vci")
    assert clock.naps == [0.5, 29.5]


def test_threads_share_the_turns() -> None:
    naps: list[float] = []
    turns = LocalThrottle(lambda gate: 10.0, lambda: 0.0, naps.append)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(turns.wait, ["vci"] * 20))
    assert sorted(round(nap, 6) for nap in naps) == [round(n / 10, 6) for n in range(1, 20)]
