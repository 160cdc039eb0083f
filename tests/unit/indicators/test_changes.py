import numpy as np
import pytest

from hypertape.indicators import enrich
from hypertape.indicators.changes import change
from hypertape.indicators.scores import score

NOTHING = float("nan")


@pytest.mark.parametrize(
    ("before", "value", "percent", "reason"),
    [
        (100.0, 110.0, 10.0, "up"),
        (100.0, 75.0, -25.0, "down"),
        (100.0, 100.0, 0.0, "unchanged"),
        (100.0, 0.0, -100.0, "to nothing"),
        (0.0, 5.0, NOTHING, "no percent of zero"),
        (-0.0, 5.0, NOTHING, "nor of minus zero"),
        (-4.0, 5.0, NOTHING, "nor of a negative value"),
        (NOTHING, 5.0, NOTHING, "the first bar has no previous one"),
        (0.3, 0.1, (0.1 - 0.3) / 0.3 * 100, "rounded in the documented order"),
    ],
)
def test_change(before, value, percent, reason):
    result = change(np.array([value]), np.array([before]))
    assert np.array_equal(result, [percent], equal_nan=True), reason


@pytest.mark.parametrize(
    ("average", "close", "percent", "reason"),
    [
        (200.0, 210.0, 5.0, "above"),
        (200.0, 150.0, -25.0, "below"),
        (0.0, 5.0, NOTHING, "an average of zero has no percent"),
        (0.0, 0.0, NOTHING, "also when the close is zero"),
        (NOTHING, 5.0, NOTHING, "no average yet"),
        (-4.0, -5.0, 25.0, "a negative average counts (spreads go below zero)"),
        (0.3, 0.1, (0.1 - 0.3) / 0.3 * 100, "rounded in the documented order"),
    ],
)
def test_score(average, close, percent, reason):
    assert np.array_equal(score(np.array([close]), np.array([average])), [percent], equal_nan=True), reason


def test_money_and_previous_bar():
    result = enrich(np.array([10.0, 12.0, 11.0]), np.array([5.0, 0.0, 7.0]))
    assert np.array_equal(result["total_money_changed"], [NOTHING, 0.0, -7.0], equal_nan=True)
    assert np.array_equal(result["previous_close"], [NOTHING, 10.0, 12.0], equal_nan=True)
    assert np.array_equal(result["previous_volume"], [NOTHING, 5.0, 0.0], equal_nan=True)
    assert np.array_equal(result["volume_changed"], [NOTHING, -100.0, NOTHING], equal_nan=True)


def test_money_counts_where_the_percent_does_not():
    result = enrich(np.array([0.0, 12.0]), np.array([0.0, 3.0]))
    assert result["total_money_changed"][1] == 36.0
    assert np.isnan(result["close_changed"][1])
