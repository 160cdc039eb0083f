"""Short answers: what the calendar expects, and what it forgives."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from hypertape.calendars import expected_times
from hypertape.frame import bar_frame, empty_frame
from hypertape.markets import get_market
from hypertape.model import PRICE_COLUMNS, Interval, Window, utc
from hypertape.sources import completeness

VN = get_market("vn")
WEEK = Window(utc(2025, 6, 2), utc(2025, 6, 9))  # Monday to Monday: five sessions
LATER = utc(2025, 7, 1)


def frame(interval: Interval, keep: slice, ticker: str = "VIC"):  # type: ignore[no-untyped-def]
    times = expected_times(VN, interval, WEEK)[keep]
    return bar_frame(ticker, times, dict.fromkeys((*PRICE_COLUMNS, "volume"), [1.0] * len(times)))


@pytest.mark.parametrize(
    ("interval", "keep", "short"),
    [
        (Interval.D1, slice(None), {}),
        (Interval.D1, slice(0, 4), {"VIC": (5, 4)}),
        (Interval.D1, slice(0, 5, 2), {"VIC": (5, 3)}),
        (Interval.H1, slice(None), {}),
        (Interval.H1, slice(0, None, 2), {}),  # thin, but every session has bars
        (Interval.H1, slice(0, None, 5), {"VIC": (25, 5)}),
        (Interval.H1, slice(0, 20), {"VIC": (25, 20)}),  # Friday is missing
    ],
)
def test_an_answer_is_held_against_the_calendar(
    interval: Interval, keep: slice, short: dict[str, tuple[int, int]]
) -> None:
    assert completeness(VN, interval, WEEK, frame(interval, keep), LATER) == short


def test_a_ticker_without_bars_is_short_when_it_was_asked_for() -> None:
    assert completeness(VN, Interval.D1, WEEK, empty_frame(), LATER, ["VIC", "VCB"]) == {
        "VIC": (5, 0),
        "VCB": (5, 0),
    }
    assert completeness(VN, Interval.D1, WEEK, empty_frame(), LATER) == {}


@pytest.mark.parametrize(
    ("now", "short"),
    [
        (utc(2025, 6, 5, 12), {}),  # Thursday's session has closed, Friday's has not begun
        (utc(2025, 6, 6, 3), {}),  # Friday's bar is still open
        (utc(2025, 6, 6, 12), {"VIC": (5, 4)}),
        (utc(2025, 6, 1), {}),
    ],
)
def test_bars_that_are_not_final_are_not_missed(now: datetime, short: dict[str, tuple[int, int]]) -> None:
    assert completeness(VN, Interval.D1, WEEK, frame(Interval.D1, slice(0, 4)), now, ["VIC"]) == short


def test_nothing_is_expected_before_the_markets_history() -> None:
    start = VN.history_start[Interval.D1]
    before = Window(utc(1990), utc(start.year, start.month, start.day))

    assert completeness(VN, Interval.D1, before, empty_frame(), LATER, ["VIC"]) == {}


def test_several_tickers_are_told_apart() -> None:
    import pyarrow as pa

    bars = pa.concat_tables([frame(Interval.D1, slice(0, 4)), frame(Interval.D1, slice(None), "VCB")])

    assert completeness(VN, Interval.D1, WEEK, bars, LATER + timedelta(days=9), ["VCB", "VIC"]) == {
        "VIC": (5, 4)
    }
