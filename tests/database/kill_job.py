"""What the kill test's child does: a sync, one with restated and new bars, and one of another interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps.sync import sync

NOW = utc(2024, 1, 1)
DAYS, MINUTES = 700, 900


def write_trees(root: Path, names: list[str]) -> None:
    """Two CSV trees: `before`, and `after` with a tenth of the bars restated and as many new ones."""
    for tree in ("before", "after"):
        for seed, name in enumerate(names):
            for interval, bars in (("1D", DAYS), ("1m", MINUTES)):
                _write_bars(root / tree / name, interval, bars, seed, later=tree == "after")


def _write_bars(directory: Path, interval: str, bars: int, seed: int, *, later: bool) -> None:
    random = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.01, bars))), 2)
    volume = np.round(random.uniform(0, 1e6, bars))
    unit = "D" if interval == "1D" else "m"
    times = np.datetime64("2022-01-01", unit) + np.arange(bars)
    if later:
        volume[::10] += 1
    else:
        close, volume, times = close[: bars * 9 // 10], volume[: bars * 9 // 10], times[: bars * 9 // 10]
    directory.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{directory.name},{time},{c},{c + 1:.2f},{c - 1:.2f},{c},{v:.0f}"
        for time, c, v in zip(
            times.astype("datetime64[s]" if unit == "m" else "datetime64[D]"), close, volume, strict=True
        )
    ]
    header = "ticker,time,open,high,low,close,volume"
    (directory / f"{interval}.csv").write_text("\n".join([header, *lines]) + "\n")


def work(dsn: str, root: str, tell: Any = None) -> None:
    """Load the days of both trees and the minutes of one, with their rollups; `tell` is sent each step as it begins."""
    settings = Settings(state_dir=Path(root) / "state", batch_size=2)
    for tree, interval in (("before", "1d"), ("after", "1d"), ("after", "1m")):
        sync(
            dsn,
            "crypto",
            interval,
            now=NOW,
            start=utc(2022),
            source={"name": "csv_tree", "directory": f"{root}/{tree}"},
            settings=settings,
            check=False,
            on_step=lambda step, done, total: tell and tell.send((step, done)),
        )
