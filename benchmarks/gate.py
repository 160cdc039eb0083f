"""The gate on clean, shuffled and slightly broken frames.

`python -m benchmarks.gate [--quick]`
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pyarrow as pa
from benchmarks.result import Result, median_seconds, table

from hypertape.frame import bar_frame
from hypertape.markets import get_market
from hypertape.model import Interval, utc
from hypertape.quality.gate import Gated, gate

FLOOR = 5.0
"""Million clean rows a second the gate has to keep, so that it never shows beside the load."""

SERIES, BARS, DAY = 500, 5_000, 86_400_000_000


def clean_frame(series: int, bars: int) -> pa.Table:
    low = np.random.default_rng(1).uniform(10.0, 20.0, series * bars)
    tickers = np.repeat([f"T{k:03}" for k in range(series)], bars)
    times = np.tile(DAY * np.arange(10_957, 10_957 + bars), series)
    return bar_frame(
        tickers, times, {"open": low, "high": low + 1, "low": low, "close": low + 0.5, "volume": low}
    )


def broken_frame(frame: pa.Table, every: int = 100) -> pa.Table:
    volume = frame["volume"].to_numpy().copy()
    volume[::every] = -1.0
    return frame.set_column(frame.schema.get_field_index("volume"), "volume", pa.array(volume))


def run(*, quick: bool = False, repeat: int = 3) -> list[Result]:
    clean = clean_frame(SERIES // 10 if quick else SERIES, BARS)
    order = np.random.default_rng(2).permutation(len(clean))
    frames = {
        "clean": clean,
        "1 % of the rows refused": broken_frame(clean),
        "unsorted": clean.take(pa.array(order)),
    }
    seconds = median_seconds(*(lambda frame=frame: judged(frame) for frame in frames.values()), repeat=repeat)
    results = []
    for (name, frame), taken in zip(frames.items(), seconds, strict=True):
        rate = len(frame) / taken / 1e6
        bar = 1.0 if name == "clean" else None
        results.append(
            Result(f"gate, {len(frame):,} rows, {name}", rate, "M rows/s", bar and rate / FLOOR, bar)
        )
    return results


def judged(frame: pa.Table) -> Gated:
    return gate(frame, get_market("crypto"), Interval.D1, now=utc(2026))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    results = run(quick=parser.parse_args().quick)
    print(table(results))
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
