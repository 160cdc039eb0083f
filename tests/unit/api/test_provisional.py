"""Which bars of an answer may still change."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from hypertape.api.bar_query import read_query
from hypertape.api.bar_statements import Stored
from hypertape.api.provisional import marks, open_from
from hypertape.frame import micros
from hypertape.model import utc

FRIDAY, SATURDAY, MONDAY = utc(2024, 3, 8), utc(2024, 3, 9), utc(2024, 3, 11)
OPEN, OVER = timedelta(hours=4), timedelta(hours=12)
"""Of a day in Ho Chi Minh City: 11:00 and 19:00 there."""


def series(last: datetime, provisional: datetime | None = None) -> Stored:
    return Stored("vn", "A", utc(2020), last, 1, None, None, provisional)


@pytest.mark.parametrize(
    ("interval", "opening", "last", "noted", "now", "told"),
    [
        ("1D", FRIDAY, FRIDAY, FRIDAY, FRIDAY + OPEN, True),
        ("1D", FRIDAY, FRIDAY, None, FRIDAY + OVER, False),
        ("1D", FRIDAY, FRIDAY, FRIDAY, FRIDAY + OVER, True),  # over, and not read again since
        ("1D", utc(2024, 3, 7), FRIDAY, FRIDAY, FRIDAY + OPEN, False),  # the day before
        ("1W", utc(2024, 3, 4), utc(2024, 3, 6), None, utc(2024, 3, 6) + OVER, True),  # two sessions are to come
        ("1W", utc(2024, 3, 4), FRIDAY, FRIDAY, SATURDAY, True),  # it holds a day that may change
        ("1W", utc(2024, 3, 4), FRIDAY, None, SATURDAY, False),  # its last session is over, though not its days
        ("1W", utc(2024, 3, 4), FRIDAY, None, MONDAY + OPEN, False),
        ("1M", utc(2024, 3, 1), FRIDAY, None, SATURDAY, True),
        ("1M", utc(2024, 2, 1), utc(2024, 2, 29), None, FRIDAY + OPEN, False),
        ("5m", FRIDAY + OPEN, FRIDAY + OPEN, None, FRIDAY + OPEN + timedelta(minutes=3), True),
        ("5m", FRIDAY + OPEN, FRIDAY + OPEN, None, FRIDAY + OPEN + timedelta(minutes=5), False),
        ("4h", FRIDAY + OPEN, FRIDAY + OPEN, None, FRIDAY + OPEN + timedelta(minutes=150), True),
        ("4h", FRIDAY, FRIDAY + timedelta(hours=3), None, FRIDAY + OPEN, False),
    ],
)  # fmt: skip
def test_a_bar_is_provisional_while_what_it_is_made_of_may_come_or_change(
    interval: str, opening: datetime, last: datetime, noted: datetime | None, now: datetime, told: bool
) -> None:
    query = read_query(interval=interval, mode="vn")
    openings = open_from(query, [series(last, noted)], now)
    found = marks(query, np.array([micros(utc(2020)), micros(opening)]), openings.get(("vn", "A")))
    assert (found is not None) is told
    assert found is None or found.tolist() == [False, True]


def test_what_is_published_or_pinned_is_final() -> None:
    stored = [series(FRIDAY, FRIDAY)]
    assert open_from(read_query(state="published"), stored, FRIDAY + OVER) == {}
    assert open_from(read_query(pin="p"), stored, FRIDAY + OPEN) == {}
