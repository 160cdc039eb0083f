"""The span of time a run is about."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hypertape.markets import get_market
from hypertape.model import Interval
from hypertape.orchestration.timetable import data_span, timetable

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("market", "interval", "span", "reason"),
    [
        (
            "vn",
            Interval.D1,
            8 * HOUR + 30 * MINUTE,
            "from midnight of the session to the run after its close",
        ),
        ("us", Interval.D1, 21 * HOUR + 30 * MINUTE, "from midnight of the session, summer or winter"),
        (
            "crypto",
            Interval.D1,
            24 * HOUR + 10 * MINUTE,
            "the day that ended at midnight, not the one just begun",
        ),
        ("crypto", Interval.H1, 65 * MINUTE, "the hour that was not finished at the tick before"),
        ("crypto", Interval.M1, 15 * MINUTE, "ticks are on the grid: exactly the quarter"),
        ("us", Interval.H1, 95 * MINUTE, "the bar of :30 that was open at the tick before, from the hour on"),
    ],
)
def test_span(market: str, interval: Interval, span: timedelta, reason: str) -> None:
    assert data_span(get_market(market), interval) == span, reason


def test_a_first_unpausing_waits_for_the_next_tick() -> None:
    made = timetable(get_market("vn"), Interval.D1)
    assert made.run_immediately == timedelta(0)
    assert made.expression == "30 8 * * 1-5"
