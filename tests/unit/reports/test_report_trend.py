"""Which way a check's findings go."""

from __future__ import annotations

import pytest

from hypertape.reports.trend import _tendency


@pytest.mark.parametrize(
    ("counts", "tendency"),
    [
        ([], "–"),
        ([3], "–"),
        ([0, 0, 1], "rising"),
        ([5, 4, 3, 0], "falling"),
        ([2, 0, 0, 2], "steady"),
        ([1, 9, 1], "steady"),
    ],
)
def test_the_newer_half_is_held_against_the_older_one(counts: list[int], tendency: str) -> None:
    assert _tendency(counts) == tendency
