"""Made-up bars for benchmarks: random walks on a tick of 0.01, shaped like minutes or days of real tickers."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from hypertape.frame import bar_frame, micros


def walks(series: int, bars: int, start: datetime, step: timedelta, seed: int = 7) -> pa.Table:
    """`series` tickers of `bars` bars each, as a normalised bar frame."""
    return pa.concat_tables(
        [_walk(f"T{number:04d}", bars, start, step, seed + number) for number in range(series)]
    ).combine_chunks()


def _walk(ticker: str, bars: int, start: datetime, step: timedelta, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    time = micros(start) + np.arange(bars) * int(step / timedelta(microseconds=1))
    close = np.round(50 + np.abs(np.cumsum(random.integers(-3, 4, bars) / 100)), 2)
    open_ = np.round(np.append(close[:1], close[:-1]), 2)
    high = np.round(np.maximum(open_, close) + random.integers(0, 4, bars) / 100, 2)
    low = np.round(np.minimum(open_, close) - random.integers(0, 4, bars) / 100, 2)
    volume = np.round(random.lognormal(8, 1, bars), -1)
    return bar_frame(
        ticker, time, {"open": open_, "high": high, "low": low, "close": close, "volume": volume}
    )
