import numpy as np
import pandas as pd
import pytest
from indicator_series import random_walk

from hypertape.errors import BadInput
from hypertape.indicators import COLUMNS, ON_REQUEST
from hypertape.indicators.ema import ema


def test_seed_is_the_simple_mean_and_the_rest_follows_the_recursion():
    result = ema(np.array([1.0, 2.0, 3.0, 10.0, 0.0]), 3)
    assert np.array_equal(result, [np.nan, np.nan, 2.0, 6.0, 3.0], equal_nan=True)


@pytest.mark.parametrize(("length", "values"), [(0, 0), (2, 0), (3, 1), (4, 2)])
def test_values_start_on_bar_n(length, values):
    result = ema(np.ones(length), 3)
    assert len(result) == length
    assert np.isfinite(result).sum() == values


def test_ema_of_one_bar_is_the_close():
    close = np.array([3.0, 1.0, 4.0])
    assert np.array_equal(ema(close, 1), close)


def test_pandas_ewm_agrees_when_started_from_the_same_seed():
    close, _ = random_walk(5_000)
    n = 26
    seeded = np.concatenate([[close[:n].mean()], close[n:]])
    theirs = pd.Series(seeded).ewm(span=n, adjust=False).mean().to_numpy()
    np.testing.assert_allclose(ema(close, n)[n - 1 :], theirs, rtol=1e-12)


@pytest.mark.parametrize("n", [0, -1])
def test_a_length_below_one_is_refused(n):
    with pytest.raises(BadInput, match="Ask for a length of 1 or more"):
        ema(np.ones(3), n)


def test_ema_is_offered_on_request_and_never_stored():
    assert ON_REQUEST["ema"].compute is ema
    assert not [name for name in COLUMNS if name.startswith("ema")]
