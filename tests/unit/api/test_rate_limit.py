"""The limit of requests, on a clock of the test's own."""

from __future__ import annotations

import pytest

from hypertape.api.rate_limit import RateLimit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_let_through_and_then_the_rate(clock: Clock) -> None:
    buckets = RateLimit(2.0, 3, tick=clock)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a") == pytest.approx(0.5), "a token comes back every half second"
    clock.now = 0.5
    assert buckets.take("a") == 0
    assert buckets.take("a") == pytest.approx(0.5), "a refusal takes nothing"


def test_a_bucket_holds_no_more_than_its_burst(clock: Clock) -> None:
    buckets = RateLimit(2.0, 3, tick=clock)
    clock.now = 1e6
    assert [buckets.take("a") == 0 for _ in range(4)] == [True, True, True, False]


def test_callers_do_not_share(clock: Clock) -> None:
    buckets = RateLimit(1.0, 1, tick=clock)
    assert (buckets.take("a"), buckets.take("b")) == (0, 0)
    assert buckets.take("a") > 0


def test_a_charge_may_leave_a_debt_but_not_a_boundless_one(clock: Clock) -> None:
    buckets = RateLimit(1.0, 5, tick=clock)
    for _ in range(100):
        buckets.charge("a", 10)
    assert buckets.take("a") == pytest.approx(6)
    clock.now = 6.0
    assert buckets.take("a") == 0


def test_the_longest_unseen_is_forgotten(clock: Clock) -> None:
    buckets = RateLimit(1.0, 1, most=2, tick=clock)
    for caller in "abc":
        buckets.take(caller)
    assert buckets.take("a") == 0, "forgotten, so it starts afresh"
    assert buckets.take("c") > 0
