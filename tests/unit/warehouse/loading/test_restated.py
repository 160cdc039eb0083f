"""Telling a restatement from a slip, on arrays: how bars moved, what differs, what splits explain."""

from __future__ import annotations

import numpy as np
import pytest

from hypertape.frame import Bars
from hypertape.warehouse.loading.merge import differing, move_of
from hypertape.warehouse.loading.price_ratio import Split, explained

DAY = 86_400_000_000


def bars(closes, *, start=0, adjusted=None):
    close = np.array(closes, np.float64)
    times = (np.arange(len(close)) + start) * DAY
    vendor = np.full(len(close), np.nan) if adjusted is None else np.array(adjusted, np.float64)
    return Bars(times, close, close, close, close, np.full(len(close), 5.0), vendor)


@pytest.mark.parametrize(
    ("former", "restated", "direction", "ratio"),
    [
        (bars([2, 4]), bars([1, 2]), "down", 0.5),
        (bars([2, 4]), bars([3, 6]), "up", 1.5),
        (bars([2, 4]), bars([3, 2]), "mixed", 1.0),
        (bars([2, 4], adjusted=[2, 4]), bars([2, 4], adjusted=[1, 2]), "down", 0.5),
        (bars([2, 4]), bars([2, 4], adjusted=[1, 2]), "mixed", None),
    ],
    ids=["down", "up", "both ways", "only the adjusted close", "an adjusted close that was not there"],
)
def test_how_bars_moved(former, restated, direction, ratio):
    found = move_of(former, restated)
    assert (found.direction, found.ratio) == (direction, ratio)


@pytest.mark.parametrize(
    ("stored", "fetched", "expected"),
    [
        (bars([1, 2, 3]), bars([1, 2, 3]), (0, 3)),
        (bars([1, 2, 3]), bars([1, 2.1, 3]), (1, 3)),
        (bars([1, 2, 3]), bars([1, 2 * (1 + 1e-8), 3]), (0, 3)),
        (bars([1, 2, 3]), bars([2.5, 3], start=1), (1, 2)),
        (bars([1, 2, 3]), bars([9], start=7), (0, 0)),
        (bars([1, 2], adjusted=[1, 2]), bars([1, 2]), (0, 2)),
        (bars([1, 2]), bars([1, 2], adjusted=[1, 1]), (2, 2)),
    ],
    ids=["equal", "one", "noise", "overlapping", "apart", "left out", "brought"],
)
def test_which_bars_differ(stored, fetched, expected):
    assert differing(stored, fetched) == expected


@pytest.mark.parametrize(
    ("incoming", "splits", "answer"),
    [
        (bars([1.0] * 10), [Split(10 * DAY, 100.0)], True),
        (bars([1.0] * 10), [Split(10 * DAY, 10.0), Split(11 * DAY, 10.0)], True),
        (bars([1.0] * 10), [Split(10 * DAY, 2.0)], False),
        (bars([1.0] * 10), [Split(10 * DAY, 0.01)], False),
        (bars([1.0] * 10), [Split(0, 100.0)], False),
        (bars([1.0] * 5, start=10), [Split(10 * DAY, 100.0)], True),
    ],
    ids=["one split", "two splits", "too small", "the other way", "before all bars", "new bars after it"],
)
def test_what_splits_explain(incoming, splits, answer):
    assert explained(bars([100.0] * 10), incoming, splits) is answer
