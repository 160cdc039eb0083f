"""Made-up files of a whole market: random walks with days missing, for what only shows at that size."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from lab import VN

from hypertape import calendars
from hypertape.frame import Micros
from hypertape.model import Interval, Window, midnight

FIRST, LAST = date(2015, 1, 5), date(2025, 8, 25)
MISSING = 0.004
"""Share of days that a file leaves out, one here and one there: nearly three thousand gaps of a whole market."""


def write_market(root: Path, tickers: int, days: int) -> int:
    """Write daily files under `root`, in VND, the newest `days` sessions up to LAST; return their rows."""
    window = Window(midnight(FIRST), midnight(LAST))
    times = calendars.expected_times(VN, Interval.D1, window)[-days:]
    names = [f"T{number:03}" for number in range(tickers)]
    return sum(_write(root / VN.table / name, times, seed) for seed, name in enumerate(names))


def _write(directory: Path, times: Micros, seed: int) -> int:
    chance = np.random.default_rng(seed)
    first = 0 if seed % 3 else int(chance.integers(0, len(times) // 2))  # a third is listed later
    kept = times[first:][chance.random(len(times) - first) >= MISSING]
    close = np.round(20_000 * np.exp(np.cumsum(chance.normal(0, 0.015, len(kept)))) + 3_000, -1)
    opened = np.round(close * chance.uniform(0.99, 1.01, len(kept)), -1)
    table = pa.table(
        {
            "ticker": [directory.name] * len(kept),
            "time": pa.array(kept).cast(pa.timestamp("us")).cast(pa.date32()),
            "open": opened,
            "high": np.maximum(opened, close) + 50,
            "low": np.minimum(opened, close) - 50,
            "close": close,
            "volume": chance.integers(1_000, 900_000, len(kept)),
        }
    )
    directory.mkdir(parents=True)
    pyarrow.csv.write_csv(table, directory / "1D.csv")
    return len(kept)
