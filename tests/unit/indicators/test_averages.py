import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indicator_series import bits, prices, random_walk

from hypertape.indicators import moving_averages
from hypertape.indicators.averages import SUM_TREE, windowed_sums
from hypertape.model import AVERAGE_COLUMNS, AVERAGES


def test_every_average_has_its_sum_in_the_tree():
    assert set(AVERAGES) <= {n for n, _, _ in SUM_TREE}


def test_each_sum_of_the_tree_is_made_of_sums_above_it_and_adds_up():
    known = {1}
    for n, newest, oldest in SUM_TREE:
        assert {newest, oldest} <= known
        assert newest + oldest == n
        known.add(n)


@pytest.mark.parametrize("n", AVERAGES)
def test_mean_of_the_last_n_closes(n):
    close = np.arange(1.0, 301.0)
    average = moving_averages(close)[f"ma{n}"]
    assert np.isnan(average[: n - 1]).all()
    assert np.array_equal(average[n - 1 :], close[n - 1 :] - (n - 1) / 2)


@pytest.mark.parametrize("length", [0, 1, 9, 10, 199, 200])
def test_a_series_shorter_than_the_window_has_no_average(length):
    results = moving_averages(np.ones(length))
    counts = {name: int(np.isfinite(values).sum()) for name, values in results.items()}
    assert counts == {f"ma{n}": max(length - n + 1, 0) for n in AVERAGES}
    assert {len(values) for values in results.values()} == {length}


@settings(max_examples=50, deadline=None)
@given(st.lists(prices, min_size=200, max_size=260), st.data())
def test_a_windowed_sum_depends_on_its_own_window_only(closes, data):
    close = np.array(closes)
    at = data.draw(st.integers(0, len(close) - 200))
    whole, alone = windowed_sums(close), windowed_sums(close[at : at + 200].copy())
    for n in AVERAGES:
        assert bits(whole[n][at : at + 1]) == bits(alone[n][:1])


@pytest.mark.parametrize("poison", [np.inf, -np.inf, np.nan, 1e308, np.finfo(float).max])
def test_a_poisoned_close_touches_only_the_windows_that_hold_it(poison):
    close, _ = random_walk(600)
    poisoned = close.copy()
    poisoned[300] = poison
    clean, touched = moving_averages(close), moving_averages(poisoned)
    for n in AVERAGES:
        same = bits(clean[f"ma{n}"]) == bits(touched[f"ma{n}"])
        assert np.flatnonzero(~same).tolist() == list(range(300, 300 + n))


def test_no_drift_over_100_000_bars():
    close, _ = random_walk(100_000)
    results = moving_averages(close)
    for n in AVERAGES:
        ends = range(n, len(close) + 1, 97)
        exact = np.array([math.fsum(close[end - n : end]) / n for end in ends])
        ours = results[f"ma{n}"][[end - 1 for end in ends]]
        assert np.max(np.abs(ours - exact) / exact) < 1e-14


def test_pandas_rolling_agrees():
    close, _ = random_walk(20_000)
    results = moving_averages(close)
    for n, name in zip(AVERAGES, AVERAGE_COLUMNS, strict=True):
        theirs = pd.Series(close).rolling(n).mean().to_numpy()
        np.testing.assert_allclose(results[name], theirs, rtol=1e-11, atol=0.0, equal_nan=True)
