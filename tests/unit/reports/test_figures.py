"""The reports' pictures: one place a day, one shade a month."""

from __future__ import annotations

from datetime import date

import pytest

from hypertape.reports.figures import BAR_HEIGHT, BAR_STEP, SMALLEST, bars_by_day, months_between, shade


def test_every_day_has_its_place_and_its_height() -> None:
    counts = {date(2024, 1, 1): 4, date(2024, 1, 3): 2, date(2024, 1, 4): 0, date(2023, 12, 1): 99}

    figure = bars_by_day(counts, date(2024, 1, 1), date(2024, 1, 4), label="rows by day", kind="bad")

    assert figure.width == 4 * BAR_STEP
    assert [bar.tip for bar in figure.bars] == ["2024-01-01: 4", "2024-01-03: 2"]
    assert [bar.height for bar in figure.bars] == [BAR_HEIGHT, BAR_HEIGHT / 2]
    assert [bar.y + bar.height for bar in figure.bars] == [BAR_HEIGHT, BAR_HEIGHT]
    assert [bar.x // BAR_STEP for bar in figure.bars] == [0, 2]


def test_a_lonely_count_beside_a_huge_one_stays_visible() -> None:
    first, last = date(2024, 1, 1), date(2024, 1, 2)

    figure = bars_by_day({first: 1_000_000, last: 1}, first, last, label="", kind="bad")

    assert min(bar.height for bar in figure.bars) == SMALLEST


def test_months_span_years() -> None:
    assert months_between(date(2023, 11, 30), date(2024, 2, 1)) == [
        date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (None, "none"),
        (0.0, "h0"),
        (0.01, "h1"),
        (0.5, "h1"),
        (0.79, "h2"),
        (0.9, "h3"),
        (0.96, "h4"),
        (0.999, "h4"),
        (1.0, "h5"),
    ],
)
def test_only_a_complete_month_is_shaded_complete(ratio: float | None, expected: str) -> None:
    assert shade(ratio) == expected
