"""A week is whole when the calendar's last session of it is there, holidays or not."""

from __future__ import annotations

from datetime import date

import pytest

from hypertape.markets import get_market
from hypertape.steps.announce import whole_weeks

VN = get_market("vn")


def april(*days: int) -> set[date]:
    return {date(2024, 4, day) for day in days}


@pytest.mark.parametrize(
    ("told", "published", "mondays", "reason"),
    [
        ({19}, {15, 16, 17, 19}, {15}, "Thursday the 18th is a holiday, Friday the last session"),
        ({17}, {15, 16, 17}, set(), "Friday is missing"),
        ({19}, {15, 17, 19}, set(), "Tuesday is held"),
        ({16}, {15, 16, 17, 19}, {15}, "restated later: the week again"),
        ({12, 15}, {8, 9, 10, 11, 12, 15}, {8}, "one whole week and the next one's beginning"),
        (set(), {15, 16, 17, 19}, set(), "nothing is told"),
    ],
)
def test_whole_weeks(told: set[int], published: set[int], mondays: set[int], reason: str) -> None:
    found = whole_weeks(VN, sorted(april(*told)), april(*published))
    assert set(found) == april(*mondays), reason
