"""What is missing inside sessions, and what a series leaves out by habit."""

from __future__ import annotations

import numpy as np
import pytest

from hypertape.warehouse.gaps.holes import Habit, Hole, Openings, find_holes, learn

HOUR = 3_600_000_000
DAY = 24 * HOUR


def market(sessions: int, hours: int = 24) -> Openings:
    """Sessions of so many hours, a day apart; 24 of them never close."""
    firsts = np.arange(sessions, dtype=np.int64) * DAY
    times = (firsts[:, None] + np.arange(hours, dtype=np.int64)[None, :] * HOUR).ravel()
    return Openings.of(times, firsts, firsts + (hours - 1) * HOUR)


def without(due: Openings, *lost: int) -> np.ndarray:
    present = np.ones(len(due.times), bool)
    present[list(lost)] = False
    return present


def holes(
    due: Openings, present: np.ndarray, habit: Habit | None = None, *, joined: bool = False
) -> list[tuple[int, int]]:
    there = due.times[present]
    bounds = (int(there[0]), int(there[-1])) if len(there) else (0, -1)
    found = find_holes(due, present, habit or learn(due, present), bounds, joined=joined)
    return [(int(np.searchsorted(due.times, hole.first)), hole.bars) for hole in found]


@pytest.mark.parametrize(
    ("lost", "expected", "why"),
    [
        (range(30, 41), [(30, 11)], "eleven hours of the middle one of three days: less than half a session"),
        ((30,), [(30, 1)], "a market that never closes misses even one bar"),
        (range(20, 28), [(20, 8)], "a hole over midnight is one"),
        ((30, 32), [(30, 1), (32, 1)], "two holes with a bar between"),
        (range(24, 48), [], "a whole session without a bar is an entry of its own"),
        ((0, 1, 71), [], "before the first and after the last bar nothing is known"),
    ],
)
def test_holes_of_three_days_of_hours(lost: range, expected: list[tuple[int, int]], why: str) -> None:
    due = market(3)
    assert holes(due, without(due, *lost), joined=True) == expected, why


def test_a_hole_ends_with_its_session_where_the_market_closes() -> None:
    due = market(10, hours=6)
    assert holes(due, without(due, 10, 11, 12, 13)) == [(10, 2), (12, 2)]


def test_what_is_often_missing_is_a_habit_and_a_longer_stretch_is_a_hole() -> None:
    due = market(40, hours=6)
    quiet = [session * 6 + 3 for session in range(0, 40, 4)]  # one hour in ten of forty sessions
    present = without(due, *quiet)
    assert learn(due, present) == Habit(2)
    assert holes(due, present) == []
    assert holes(due, without(due, *quiet, 61, 62, 63)) == [(61, 3)]


def test_a_mark_that_a_vendor_never_has_is_not_missed() -> None:
    due = market(10, hours=6)
    present = without(due, *range(0, 60, 6))
    assert learn(due, present).unusual == (0,)
    assert holes(due, present) == []
    assert holes(due, without(due, *range(0, 60, 6), 27)) == [(27, 1)]


def test_a_block_that_happened_once_or_thrice_is_no_habit() -> None:
    due = market(60)
    blocks = [at for start in (100, 500, 900) for at in range(start, start + 11)]
    assert [bars for _, bars in holes(due, without(due, *blocks), joined=True)] == [11, 11, 11]


def test_of_few_sessions_nothing_is_learned_but_marks_that_were_never_there() -> None:
    due = market(3)
    present = without(due, *(day * 24 + 5 for day in range(3)), 30, 31)
    assert learn(due, present) == Habit(0, (5 * HOUR,))
    assert holes(due, present, joined=True) == [(30, 2)]


def test_nothing_there_is_no_hole() -> None:
    due = market(3)
    assert holes(due, np.zeros(72, bool)) == []
    assert learn(due, np.zeros(72, bool)) == Habit()


def test_a_hole_names_its_openings() -> None:
    due = market(2)
    (hole,) = find_holes(due, without(due, 5, 6), Habit(), (0, int(due.times[-1])), joined=True)
    assert hole == Hole(5 * HOUR, 6 * HOUR, 2, 1)
