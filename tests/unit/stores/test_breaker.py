from __future__ import annotations

from datetime import timedelta

import pytest

from hypertape.model import utc
from hypertape.stores.breaker import Breaker, State

NOW = utc(2025, 6, 30, 12)
PAUSE = timedelta(seconds=30)
TICK = timedelta(microseconds=1)


def opened() -> Breaker:
    breaker = Breaker(failures=2, pause=PAUSE)
    breaker.failed(NOW)
    breaker.failed(NOW)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(failures=2, pause=PAUSE)
    breaker.failed(NOW)
    breaker.succeeded()
    breaker.failed(NOW)
    assert (breaker.state, breaker.allows(NOW)) == (State.CLOSED, True)
    breaker.failed(NOW)
    assert (breaker.state, breaker.allows(NOW)) == (State.OPEN, False)


@pytest.mark.parametrize(
    ("later", "allowed"),
    [(PAUSE - TICK, False), (PAUSE, True)],
    ids=["a moment too early", "after the pause"],
)
def test_it_stays_open_for_its_pause(later: timedelta, allowed: bool) -> None:
    assert opened().allows(NOW + later) is allowed


def test_half_open_lets_one_caller_try() -> None:
    breaker = opened()
    assert [breaker.allows(NOW + PAUSE) for _ in range(3)] == [True, False, False]
    assert breaker.state is State.HALF_OPEN


def test_a_good_trial_closes_it() -> None:
    breaker = opened()
    assert breaker.allows(NOW + PAUSE)
    breaker.succeeded()
    breaker.failed(NOW + PAUSE)
    assert breaker.allows(NOW + PAUSE), "it counts from the beginning again"


def test_a_bad_trial_opens_it_for_another_pause() -> None:
    breaker = opened()
    assert breaker.allows(NOW + PAUSE)
    breaker.failed(NOW + PAUSE)
    assert not breaker.allows(NOW + 2 * PAUSE - TICK)
    assert breaker.allows(NOW + 2 * PAUSE)


def test_a_trial_that_never_reports_does_not_close_the_door_for_ever() -> None:
    breaker = opened()
    assert breaker.allows(NOW + PAUSE)
    assert breaker.allows(NOW + 2 * PAUSE)
