"""Two frames held against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertape.frame import bar_frame, micros
from hypertape.model import VALUE_COLUMNS, utc
from hypertape.quality.reconciliation import PRESENCE, Tolerance, compare, difference

DAY = 86_400_000_000
START = micros(utc(2025, 6, 2))
COLUMNS = (PRESENCE, "open", "high", "low", "close", "volume")


def frame(ticker="AAA", days=5, first=0, **columns):
    times = START + np.arange(first, first + days) * DAY
    values = {name: np.full(days, 100.0) for name in VALUE_COLUMNS} | {
        name: np.array(column, float) for name, column in columns.items()
    }
    return bar_frame(ticker, times, values)


def told(found):
    return {name: (one.compared, one.disagree) for name, one in found.items()}


def test_equal_frames_agree():
    found = compare(frame(), frame(), Tolerance())
    assert told(found) == dict.fromkeys(COLUMNS, (5, 0))
    assert all(one.sample == [] for one in found.values())


@pytest.mark.parametrize(
    ("there", "disagree", "why"),
    [
        (100.5, 0, "half a percent of the larger one is just within"),
        (100.6, 5, "beyond"),
        (99.5, 0, "the same below"),
        (99.4, 5, "beyond below"),
        (0.0, 5, "a zero is far from anything"),
        (float("nan"), 5, "and so is nothing"),
        (100_000.0, 5, "thousands"),
    ],
)
def test_a_price_agrees_within_its_tolerance(there, disagree, why):
    found = compare(frame(), frame(close=[there] * 5), Tolerance(0.005))
    assert found["close"].disagree == disagree, why
    assert found["open"].disagree == 0


def test_volume_has_a_tolerance_of_its_own_and_may_be_left_out():
    other = frame(volume=[104.0] * 5)
    assert compare(frame(), other, Tolerance(volume=0.05))["volume"].disagree == 0
    assert compare(frame(), other, Tolerance(volume=0.01))["volume"].disagree == 5
    assert "volume" not in compare(frame(), other, Tolerance(volume=None))


def test_the_sample_has_the_worst_with_both_values():
    found = compare(frame(days=30), frame(days=30, close=100.0 + np.arange(30)), Tolerance(0.01))["close"]
    assert (found.compared, found.disagree, len(found.sample)) == (30, 28, 10)
    assert found.sample[0] == {
        "ticker": "AAA", "time": "2025-07-01T00:00:00+00:00", "here": 100.0, "there": 129.0,
        "difference": pytest.approx(29 / 129),
    }  # fmt: skip
    assert found.largest == pytest.approx(29 / 129)


def test_bars_of_one_side_only_are_counted_apart():
    found = compare(frame(days=5), frame(days=5, first=2), Tolerance())
    assert told(found)[PRESENCE] == (7, 4)
    assert told(found)["close"] == (3, 0)
    assert [(one["time"][:10], one["only"]) for one in found[PRESENCE].sample] == [
        ("2025-06-02", "here"), ("2025-06-03", "here"), ("2025-06-07", "there"), ("2025-06-08", "there"),
    ]  # fmt: skip


def test_tickers_are_never_mixed_and_one_may_be_missing():
    import pyarrow as pa

    here = pa.concat_tables([frame("AAA"), frame("BBB", close=[5.0] * 5)])
    there = pa.concat_tables([frame("BBB", close=[5.0] * 5), frame("CCC")])
    found = compare(here, there, Tolerance())
    assert told(found)["close"] == (5, 0)
    assert told(found)[PRESENCE] == (15, 10)


def test_a_repeated_key_counts_once_with_its_last_row():
    import pyarrow as pa

    there = pa.concat_tables([frame(close=[1.0] * 5), frame()])
    assert told(compare(frame(), there, Tolerance()))["close"] == (5, 0)


def test_nothing_compares_to_nothing():
    empty = frame(days=0)
    assert told(compare(empty, empty, Tolerance())) == dict.fromkeys(COLUMNS, (0, 0))


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1))
def test_it_does_not_matter_who_is_asked_first(pairs):
    here, there = (np.array(side) for side in zip(*pairs, strict=True))
    apart = difference(here, there)
    assert np.array_equal(apart, difference(there, here))
    assert ((apart == 0) == (here == there)).all()
