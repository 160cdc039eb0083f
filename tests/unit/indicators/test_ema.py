import numpy as np
import pandas as pd
import pytest
from indicator_series import random_walk

from hypertape.errors import BadInput
from hypertape.indicators import COLUMNS, requested
from hypertape.indicators.ema import RunningEma, ema


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
    assert requested()["ema"].compute is ema
    assert not [name for name in COLUMNS if name.startswith("ema")]


@pytest.mark.parametrize("n", [1, 2, 12, 50, 51, 200])
@pytest.mark.parametrize("sizes", [[100], [1] * 100, [49, 1, 50], [0, 12, 0, 88], [11, 1, 88]])
def test_pieces_have_the_bits_of_the_whole(n: int, sizes: list[int]) -> None:
    close = np.random.default_rng(3).normal(100, 5, 100)
    running, at, parts = RunningEma(n), 0, []
    for size in sizes:
        parts.append(running.follow(close[at : at + size]))
        at += size
    assert np.concatenate(parts).tobytes() == ema(close, n).tobytes()


def test_a_long_series_is_not_kept() -> None:
    """Nothing is kept of a series but what its next value needs."""
    running = RunningEma(12)
    for _ in range(40):
        running.follow(np.full(25_000, 7.0))
    assert len(running._first) == 12
    assert running.follow(np.array([7.0]))[0] == 7.0
