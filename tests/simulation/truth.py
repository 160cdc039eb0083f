"""Holding a warehouse to the simulator's truth, column by column and bit by bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import psycopg
from rollups import BUCKETS, rolled
from story import VN
from vendor import VALUES

from hypertape.digest import SeriesDigest, digest_blocks
from hypertape.frame import Bars, times_of
from hypertape.indicators import enrich
from hypertape.model import AVERAGES, INDICATOR_COLUMNS, STORED_INDICATOR_COLUMNS, Interval
from hypertape.warehouse.read import digests, read_bars

Connection = psycopg.Connection[Any]


def assert_true(connection: Connection, ticker: str, truth: Bars, interval: Interval = Interval.D1) -> None:
    """The public relation holds these bars and no others: values, adjusted close and all 13 indicators."""
    table = read_bars(connection, VN, interval, [ticker])
    assert np.array_equal(times_of(table), truth.time)
    computed = enrich(truth.close, truth.volume)
    expected = {name: getattr(truth, name) for name in (*VALUES, "adjusted_close")}
    for name, answers in (expected | {name: computed[name] for name in INDICATOR_COLUMNS}).items():
        found = table[name].to_numpy(zero_copy_only=False).astype(float)
        differing = np.flatnonzero(_bits(found) != _bits(answers))
        assert len(differing) == 0, f"{ticker} {name} differs at {differing[:5]}: {found[differing[:5]]}"
    _assert_means(computed, truth)


def _assert_means(computed: dict[str, np.ndarray], truth: Bars) -> None:
    """The averages the bits were compared with are the exact means, but for the last digits."""
    close = truth.close.tolist()
    for n in AVERAGES:
        exact = [math.fsum(close[at - n + 1 : at + 1]) / n for at in range(n - 1, len(close))]
        assert np.allclose(computed[f"ma{n}"][n - 1 :], exact, rtol=1e-13, atol=0)
        assert np.isnan(computed[f"ma{n}"][: n - 1]).all()


def assert_rolled_up(connection: Connection, ticker: str, truth: Bars) -> None:
    """Every week, fortnight and month is what plain Python makes of the days."""
    for interval in BUCKETS:
        rows = connection.execute(
            "select time::date, open, high, low, close, volume "
            f"from market_data_{interval} where ticker = %s order by 1",
            (ticker,),
        ).fetchall()
        assert rows == rolled(truth, interval), f"{ticker} {interval}"


def stored_digests(connection: Connection, interval: Interval = Interval.D1) -> dict[str, SeriesDigest]:
    """The digest over every stored column of every series."""
    return {found.ticker: found for found in digests(connection, VN, interval, indicators=True)}


def true_digest(ticker: str, truth: Bars) -> SeriesDigest:
    """The digest the series must have."""
    columns = enrich(truth.close, truth.volume)
    values = [getattr(truth, name) for name in (*VALUES, "adjusted_close")]
    return digest_blocks(
        ticker, [(truth.time, [*values, *(columns[name] for name in STORED_INDICATOR_COLUMNS)])]
    )


def _bits(column: np.ndarray) -> np.ndarray:
    """The bits of each double, with one NaN for all."""
    return np.where(np.isnan(column), np.nan, column).view(np.int64)
