"""All 13 indicator columns against pandas groupby-rolling, and whether their bits depend on the window.

`python -m benchmarks.indicators [--quick]`
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from benchmarks.result import Result, median_seconds, table

from hypertape.indicators import LOOKBACK, Floats, enrich, enrich_many
from hypertape.model import AVERAGE_COLUMNS, AVERAGES, INDICATOR_COLUMNS

BAR = 5.0
"""SPEC 14: times pandas groupby-rolling."""

SHAPES = {"daily": (500, 5_000), "minute": (100, 100_000)}
QUICK = 10
"""`--quick` takes a tenth of the series."""


@dataclass(frozen=True)
class Input:
    """Series one after the other, as the bar frame holds them: ticker text, close, volume."""

    ticker: pa.Array
    close: Floats
    volume: Floats

    @classmethod
    def make(cls, series: int, bars: int) -> Input:
        random = np.random.default_rng(1)
        steps = random.normal(0.0, 0.01, (series, bars)).cumsum(axis=1)
        close = np.round(5e4 * np.exp(steps), 2).ravel()
        names = pa.array([f"T{k:03}" for k in range(series)])
        ticker = names.take(pa.array(np.repeat(np.arange(series), bars)))
        return cls(ticker, close, random.integers(0, 10**6, series * bars).astype(np.float64))

    def ours(self) -> dict[str, Floats]:
        ends = pc.run_end_encode(self.ticker).run_ends.to_pylist()
        return enrich_many(self.close, self.volume, [0, *ends])

    def frame(self) -> pd.DataFrame:
        ticker = self.ticker.to_pandas().astype("str")
        return pd.DataFrame({"ticker": ticker, "close": self.close, "volume": self.volume})


def with_pandas(frame: pd.DataFrame) -> dict[str, Any]:
    """The same columns as one would write them in pandas; rows are sorted by ticker, so groups come back in order."""
    groups = frame.groupby("ticker", sort=False)
    close, volume = frame["close"], frame["volume"]
    previous_close, previous_volume = groups["close"].shift(1), groups["volume"].shift(1)
    result: dict[str, Any] = {}
    for n in AVERAGES:
        average = groups["close"].rolling(n).mean().to_numpy()
        result[f"ma{n}"] = average
        result[f"ma{n}_score"] = (close - average) / average * 100
    result["close_changed"] = ((close - previous_close) / previous_close * 100).where(previous_close > 0)
    result["volume_changed"] = ((volume - previous_volume) / previous_volume * 100).where(previous_volume > 0)
    result["total_money_changed"] = (close - previous_close) * volume
    return result


def check_equal(ours: dict[str, Floats], theirs: dict[str, Any]) -> None:
    """A benchmark of two different answers would mean nothing."""
    for name in INDICATOR_COLUMNS:
        np.testing.assert_allclose(ours[name], np.asarray(theirs[name]), rtol=1e-9, atol=1e-7, err_msg=name)


def run(*, quick: bool = False, repeat: int = 3) -> list[Result]:
    results = []
    for name, (series, bars) in SHAPES.items():
        series = max(series // QUICK, 1) if quick else series
        results += speed(name, Input.make(series, bars), series, repeat)
    return [*results, *window_independence()]


def speed(name: str, data: Input, series: int, repeat: int) -> list[Result]:
    frame, rows = data.frame(), len(data.close)
    check_equal(data.ours(), with_pandas(frame))
    ours, theirs = median_seconds(data.ours, lambda: with_pandas(frame), repeat=repeat)
    work = f"13 indicators, {rows:,} {name} rows in {series} series"
    return [
        Result(work, rows / ours / 1e6, "M rows/s", theirs / ours, BAR),
        Result(f"{work}: pandas groupby-rolling", rows / theirs / 1e6, "M rows/s"),
    ]


def window_independence(bars: int = 100_000, window: int = 500) -> list[Result]:
    """Share of averages whose bits differ between a full run and runs over windows with lookback."""
    data = Input.make(1, bars)
    full = enrich(data.close, data.volume)
    rolled = {f"ma{n}": pd.Series(data.close).rolling(n).mean().to_numpy() for n in AVERAGES}
    ours = theirs = total = 0
    for start in range(LOOKBACK, bars - window, 10 * window):
        close = data.close[start - LOOKBACK : start + window]
        part = enrich(close, data.volume[start - LOOKBACK : start + window])
        for n, name in zip(AVERAGES, AVERAGE_COLUMNS, strict=True):
            again = pd.Series(close).rolling(n).mean().to_numpy()
            ours += int((part[name][LOOKBACK:] != full[name][start : start + window]).sum())
            theirs += int((again[LOOKBACK:] != rolled[name][start : start + window]).sum())
            total += window
    return [
        Result("averages whose bits depend on the window", 100 * ours / total, "%", float(ours == 0), 1.0),
        Result("averages whose bits depend on the window: pandas rolling", 100 * theirs / total, "%"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the series")
    results = run(quick=parser.parse_args().quick)
    print(table(results))
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
