"""Laying incoming bars over stored ones: which rows are new, which changed, which must be written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypertape.errors import SuspectScale
from hypertape.frame import Bars
from hypertape.indicators import LOOKBACK, enrich
from hypertape.model import STORED_INDICATOR_COLUMNS, VALUE_COLUMNS
from hypertape.warehouse.loading.merge import join_bars, merge, writes
from hypertape.warehouse.loading.price_ratio import guard_scale, price_ratio

DAY = 86_400_000_000


def series(positions, base=100.0, **columns):
    """Bars at whole days; every column but adjusted_close is `base` plus the day's number, unless given."""
    days = np.asarray(list(positions), np.int64)
    values = {name: base + days.astype(float) for name in VALUE_COLUMNS}
    values["adjusted_close"] = np.full(len(days), np.nan)
    values |= {name: np.asarray(value, float) for name, value in columns.items()}
    return Bars(days * DAY, *values.values())


def days_of(bars):
    return (bars.time // DAY).tolist()


def masked(merged, mask):
    return days_of(merged.bars.take(mask))


@pytest.mark.parametrize(
    ("stored", "incoming", "whole", "added"),
    [
        pytest.param([], [1, 2, 3], [1, 2, 3], [1, 2, 3], id="nothing stored"),
        pytest.param([1, 2, 3], [], [1, 2, 3], [], id="nothing incoming"),
        pytest.param([1, 2, 3], [1, 2, 3], [1, 2, 3], [], id="the same"),
        pytest.param([1, 2, 3], [4, 5], [1, 2, 3, 4, 5], [4, 5], id="after"),
        pytest.param([4, 5], [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3], id="before"),
        pytest.param([1, 3, 5], [2, 4], [1, 2, 3, 4, 5], [2, 4], id="between"),
        pytest.param([1, 2, 3], [2, 3, 4], [1, 2, 3, 4], [4], id="overlapping"),
        pytest.param([1, 2, 5, 6], [2, 3, 4, 5], [1, 2, 3, 4, 5, 6], [3, 4], id="around a hole"),
        pytest.param([1, 2, 3, 4], [2, 3], [1, 2, 3, 4], [], id="inside"),
    ],
)
def test_bars_are_laid_over_each_other(stored, incoming, whole, added):
    merged = merge(series(stored), series(incoming))
    assert days_of(merged.bars) == whole
    assert masked(merged, merged.added) == added
    assert not merged.changed.any()
    assert merged.touches == bool(added)


@pytest.mark.parametrize("column", VALUE_COLUMNS)
def test_a_difference_in_any_column_is_a_change(column):
    stored = series(range(5), adjusted_close=np.arange(5.0))
    values = {name: getattr(stored, name).copy() for name in VALUE_COLUMNS}
    values[column][3] += 1e-9
    merged = merge(stored, Bars(stored.time, *values.values()))
    assert masked(merged, merged.changed) == [3]
    assert getattr(merged.bars, column)[3] == values[column][3], "the incoming bar wins"


@pytest.mark.parametrize(
    ("old", "new", "kept", "differs"),
    [
        pytest.param(np.nan, np.nan, np.nan, False, id="unknown and unknown"),
        pytest.param(5.0, np.nan, 5.0, False, id="a source that has none leaves the stored one"),
        pytest.param(np.nan, 5.0, 5.0, True, id="the first one arrives"),
        pytest.param(5.0, 6.0, 6.0, True, id="another one"),
        pytest.param(5.0, 5.0, 5.0, False, id="the same one"),
    ],
)
def test_adjusted_closes(old, new, kept, differs):
    merged = merge(series([1], adjusted_close=[old]), series([1], adjusted_close=[new]))
    np.testing.assert_array_equal(merged.bars.adjusted_close, [kept])
    assert merged.changed.tolist() == [differs]


def test_zeros_of_either_sign_are_equal():
    merged = merge(series([1], volume=[-0.0]), series([1], volume=[0.0]))
    assert not merged.touches


@pytest.mark.parametrize(
    ("column", "affected"),
    [
        pytest.param("close", range(50, 50 + LOOKBACK + 1), id="close: all that see it"),
        pytest.param(
            "volume",
            range(50, 50 + LOOKBACK + 1),
            id="volume: as many may be written, the equal ones are not",
        ),
        pytest.param("open", [50], id="open: only itself"),
        pytest.param("high", [50], id="high: only itself"),
        pytest.param("adjusted_close", [50], id="adjusted close: only itself"),
    ],
)
def test_which_rows_may_have_to_be_written(column, affected):
    stored = series(range(400))
    values = {name: getattr(stored, name).copy() for name in VALUE_COLUMNS}
    values[column][50] = 7.0
    merged = merge(stored, Bars(stored.time, *values.values()))
    assert np.flatnonzero(merged.affected).tolist() == list(affected)


@settings(deadline=None)
@given(st.integers(1, 3 * LOOKBACK), st.sets(st.integers(0, 3 * LOOKBACK - 1), max_size=8))
def test_affected_is_every_bar_within_the_lookback_of_a_new_one(length, new):
    new = {position for position in new if position < length}
    old = [position for position in range(length) if position not in new]
    merged = merge(series(old), series(sorted(new)))
    expected = [at for at in range(length) if any(at - LOOKBACK <= one <= at for one in new)]
    assert np.flatnonzero(merged.affected).tolist() == expected


@settings(deadline=None)
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.data())
def test_merging_is_a_dictionary_update(stored_days, incoming_days, data):
    prices = st.sampled_from([1.0, 2.0])
    old = {day: data.draw(prices) for day in sorted(stored_days)}
    new = {day: data.draw(prices) for day in sorted(incoming_days)}
    merged = merge(series(old, close=list(old.values())), series(new, close=list(new.values())))
    assert dict(zip(days_of(merged.bars), merged.bars.close.tolist(), strict=True)) == {**old, **new}
    assert set(masked(merged, merged.added)) == new.keys() - old.keys()


def test_the_rows_to_write_carry_the_indicators_of_the_whole_series():
    random = np.random.default_rng(2)
    whole = series(range(900), close=random.uniform(1, 2, 900), volume=random.uniform(0, 9, 900))
    keep = np.ones(900, bool)
    keep[[400, 401]] = False
    (rows,) = writes([merge(whole.take(keep), whole.take(~keep))])
    assert days_of(rows.bars) == list(range(400, 402 + LOOKBACK))
    assert np.flatnonzero(rows.added).tolist() == [0, 1]
    computed = enrich(whole.close, whole.volume)
    for name in STORED_INDICATOR_COLUMNS:
        np.testing.assert_array_equal(rows.indicators[name], computed[name][400 : 402 + LOOKBACK])


@given(st.lists(st.integers(0, 450), min_size=1, max_size=6), st.integers(1, 3), st.booleans())
@settings(deadline=None, max_examples=30)
def test_series_that_are_written_together_are_those_written_alone(stored_bars, new_bars, restated):
    """Of a series with few bars before it, no average sees those of the series beside it."""
    random = np.random.default_rng(sum(stored_bars) + new_bars)
    merged = []
    for bars in stored_bars:
        close, volume = random.uniform(1, 2, bars + new_bars), random.uniform(0, 9, bars + new_bars)
        whole = series(range(bars + new_bars), close=close, volume=volume)
        later = whole.take(slice(bars, None))
        if restated and bars > 2:
            later = join_bars(series([1], close=[3.0]), later)
        merged.append(merge(whole.take(slice(bars)), later))
    for one, together in zip(merged, writes(merged), strict=True):
        (alone,) = writes([one])
        assert days_of(together.bars) == days_of(alone.bars) == masked(one, one.affected)
        for name in STORED_INDICATOR_COLUMNS:
            np.testing.assert_array_equal(together.indicators[name], alone.indicators[name])


def test_nothing_to_write():
    (rows,) = writes([merge(series(range(300)), series(range(100, 200)))])
    assert len(rows.bars) == 0
    assert not any(map(len, rows.indicators.values()))


def test_joining_parts():
    assert days_of(join_bars(series([1]), Bars.empty(), series([2, 3]))) == [1, 2, 3]
    assert len(join_bars(Bars.empty(), Bars.empty())) == 0
    assert join_bars(one := series([1])) is one


# scale


def flat(positions, price):
    return series(positions, close=[price] * len(list(positions)))


@pytest.mark.parametrize(
    ("factor", "suspect"),
    [
        (0.000_5, False), (0.001, True), (0.0011, True), (0.005, False), (0.01, True), (0.0159, True),
        (0.02, False), (0.1, False), (0.5, False), (1.0, False), (10.0, False), (50.0, False), (63.0, True),
        (100.0, True), (159.0, True), (170.0, False), (500.0, False), (700.0, True), (1000.0, True), (2000.0, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "incoming",
    [range(100, 130), range(-30, 0), range(20, 40), [100]],
    ids=["after", "before", "over", "one bar"],
)
def test_which_ratios_are_suspect(factor, suspect, incoming):
    stored = flat(range(100), 10.0)
    if suspect:
        with pytest.raises(
            SuspectScale, match=r"about ×.* of the stored neighbours, close to ×.*--legacy-scale"
        ):
            guard_scale(stored, flat(incoming, 10.0 * factor))
    else:
        guard_scale(stored, flat(incoming, 10.0 * factor))


@pytest.mark.parametrize(
    ("stored", "incoming"),
    [
        pytest.param(Bars.empty(), flat(range(5), 1000.0), id="nothing stored"),
        pytest.param(flat(range(5), 1.0), Bars.empty(), id="nothing incoming"),
        pytest.param(
            flat(range(5), 1.0), flat(range(100, 105), 1000.0), id="a quarter later is no neighbour"
        ),
        pytest.param(flat(range(100, 105), 1.0), flat(range(5), 1000.0), id="nor a quarter earlier"),
        pytest.param(flat(range(5), 0.0), flat(range(5, 9), 1000.0), id="a price of zero has no ratio"),
        pytest.param(
            join_bars(flat([90], 1.0), flat(range(400, 430), 1000.0)),
            flat(range(91, 95), 1.0),
            id="far ones behind it",
        ),
    ],
)
def test_what_cannot_be_compared_is_not_refused(stored, incoming):
    guard_scale(stored, incoming)


prices = st.floats(0.01, 1e6) | st.sampled_from([1.0, 62.5, 100.0, 160.0, 1000.0])


@given(st.lists(prices, min_size=1, max_size=8), st.lists(prices, min_size=1, max_size=8), st.booleans())
def test_what_is_settled_without_medians_is_what_they_say(stored, incoming, same_times):
    """The guard asks the medians only where least and greatest closes leave it open."""
    held = series(range(len(stored)), close=stored)
    start = 0 if same_times else len(stored)
    came = series(range(start, start + len(incoming)), close=incoming)
    ratio = price_ratio(held, came)
    if any(scale / 1.6 < ratio < scale * 1.6 for scale in (1000.0, 100.0, 0.01, 0.001)):
        with pytest.raises(SuspectScale):
            guard_scale(held, came)
    else:
        guard_scale(held, came)


def test_the_nearer_side_is_compared():
    stored = join_bars(flat(range(10), 1000.0), flat(range(30, 40), 1.0))
    guard_scale(stored, flat(range(27, 29), 1.0))
    with pytest.raises(SuspectScale):
        guard_scale(stored, flat(range(11, 13), 1.0))


def test_one_wild_bar_does_not_hide_behind_the_median_nor_cost_the_frame():
    stored = flat(range(100), 10.0)
    wild = flat(range(100, 130), 10.0)
    wild.close[4] = 10_000.0
    guard_scale(stored, wild)
