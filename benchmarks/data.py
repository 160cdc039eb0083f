"""Made-up bars for benchmarks, shaped like real ones: prices on a tick that often repeat, volumes in whole lots.

Measured on real minutes of three stocks of Ho Chi Minh City: half of the closes are the one before, three moves of four
are of one tick, seven opens of ten are the close before, a high is the body's top in three minutes of four. A walk of
free prices compresses worse by half, and so measures another table than users have.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa

from hypertape.frame import Micros, bar_frame, micros

CENT = 0.01
DONG = 50.0
"""A tick of Vietnamese stocks: prices are in whole dong there, and the load refuses what cannot be."""

_MOVES, _CHANCES = np.array([0, 1, 2, 3, 4, 5]), [0.5, 0.37, 0.08, 0.03, 0.01, 0.01]
_LOT = 100
_LOWEST = 400
"""Ticks."""


class Loaded(Protocol):
    """What a load says of one ticker."""

    inserted: int
    updated: int
    unchanged: int
    refused: object


def walks(
    series: int, bars: int, start: datetime, step: timedelta, seed: int = 7, *, tick: float = CENT
) -> pa.Table:
    """`series` tickers of `bars` bars each, as a normalised bar frame; prices are whole numbers of `tick`."""
    times = micros(start) + np.arange(bars) * int(step / timedelta(microseconds=1))
    return pa.concat_tables(
        [walk(f"T{number:04d}", times, seed + number, tick=tick) for number in range(series)]
    ).combine_chunks()


def require_loaded(done: Iterable[Loaded], rows: int) -> None:
    """A figure of a load that has left something out is none. Raises AssertionError with what was refused."""
    results = list(done)
    refused = [str(result.refused) for result in results if result.refused]
    stored = sum(result.inserted + result.updated + result.unchanged for result in results)
    assert stored == rows, f"{stored} bars of {rows} were loaded; refused: {refused[:1]}"


def walk(ticker: str, times: Micros, seed: int, *, tick: float = CENT) -> pa.Table:
    """One ticker with a bar at each of some times (µs)."""
    random, bars = np.random.default_rng(seed), len(times)
    moves = random.choice(_MOVES, bars, p=_CHANCES) * random.choice([-1, 1], bars)
    close = _LOWEST + seed % 97 + np.abs(np.cumsum(moves))
    open_ = np.append(close[:1], close[:-1]) + np.where(
        random.random(bars) < 0.7, 0, random.integers(-1, 2, bars)
    )
    high = np.maximum(open_, close) + (random.random(bars) < 0.25)
    low = np.minimum(open_, close) - (random.random(bars) < 0.25)
    volume = _LOT * np.ceil(random.lognormal(4.9, 1.2, bars))
    # a quotient, not a product: 4 × 0.01 is not the double that 0.04 reads as
    ticks = {"open": open_, "high": high, "low": low, "close": close}
    prices = {name: _priced(values, tick) for name, values in ticks.items()}
    return bar_frame(ticker, times, {**prices, "volume": volume})


def _priced(ticks: np.ndarray, tick: float) -> np.ndarray:
    return ticks * tick if tick >= 1 else ticks / round(1 / tick)
