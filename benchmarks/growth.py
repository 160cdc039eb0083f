"""How each step grows with the market: 30, 300, 3,000 tickers of days and 30, 300 of minutes, on one machine.

The exponent of a step is log(seconds) over log(tickers) between two sizes: 1 is in step with the data, 0 does not
depend on it. A daily run, the plan of a backfill of everything, the data of the Markets page, and the memory of the
process that runs. Each size has a database and a process of its own.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from benchmarks.api import _client as asked
from benchmarks.api import _serving as serving
from benchmarks.child import output_of
from benchmarks.copy_run import peak_mb
from benchmarks.day import VN, Grown, Stopwatch
from benchmarks.result import Result
from benchmarks.server import warehouse

from hypertape.model import Interval, midnight
from hypertape.settings import Settings, load_settings
from hypertape.steps.backfill_plan import plan_backfill
from hypertape.steps.backfill_request import BackfillRequest
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect

SIZES: Mapping[Interval, tuple[date, tuple[int, ...]]] = {
    Interval.D1: (date(2023, 9, 4), (30, 300, 3_000)),
    Interval.M1: (date(2025, 7, 28), (30, 300)),
}
"""Since when there are bars, and of how many tickers: two years of days, a month of minutes."""

MOST = 1.1
"""The exponent that no step may exceed: a tenth is what measuring takes for itself."""

_PAGES = ("/overview", "/series?limit=100", "/findings?limit=100")
_NOTICED = 0.05
"""Seconds below which a step's growth is noise."""


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure every size (quick: without the largest of days), in databases of their own beside `dsn`."""
    results: list[Result] = []
    for interval, (since, sizes) in SIZES.items():
        wanted = sizes[:2] if quick else sizes
        results += _told(interval, {tickers: _measured(dsn, interval, since, tickers) for tickers in wanted})
    return results


def _told(interval: Interval, figures: Mapping[int, Mapping[str, float]]) -> list[Result]:
    return [
        result
        for step in next(iter(figures.values()))
        for result in _of_step(interval, step, {tickers: each[step] for tickers, each in figures.items()})
    ]


def _of_step(interval: Interval, step: str, values: Mapping[int, float]) -> Iterator[Result]:
    unit = "MB" if "memory" in step else "s"
    for (few, before), (many, after) in pairwise(values.items()):
        exponent = math.log(max(after, 1e-9) / max(before, 1e-9)) / math.log(many / few)
        shown = " → ".join(f"{value:.3g}" for value in (before, after))
        label = f"{interval.value} {step}, {few} → {many} tickers: {shown} {unit}, exponent {exponent:.2f}"
        judged = unit == "s" and after >= _NOTICED
        ratio = MOST / exponent if judged and exponent > 0 else math.inf
        yield Result(
            f"{label} ({MOST} vs it)", after, unit, ratio if judged else None, 1.0 if judged else None
        )


def _measured(dsn: str, interval: Interval, since: date, tickers: int) -> dict[str, float]:
    """Seconds of each step at one size, and the peak memory of the process that ran."""
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory, warehouse(dsn) as made:
        place = Path(directory)
        market = Grown(made, interval, tickers, since, place / "files")
        market.make(load_settings(state_dir=place / "state"))
        words = [made, interval.value, str(tickers), since.isoformat(), directory]
        told: dict[str, float] = json.loads(output_of([sys.executable, "-m", "benchmarks.growth", *words]))
        with connect(made) as connection:
            key = api_keys.create(connection, "growth", "read", now=datetime.now(UTC))
            connection.commit()
        with serving(made) as server:
            pages = {f"page {path}": float(np.median(asked(server, key, path, 5))) for path in _PAGES}
    return {**told, **pages}


def _work(market: Grown, settings: Settings) -> dict[str, float]:
    """A daily run and a plan of everything in this process."""
    watch = Stopwatch()
    market.run(settings, watch)
    request = BackfillRequest(
        tickers=market.names,
        start=midnight(market.since),
        end=market.eve,
        source={"name": "csv_tree", "directory": str(market.files)},
    )
    started = perf_counter()
    plan_backfill(
        market.dsn, VN.code, market.interval.value, request, run_id="growth", now=market.evening, settings=settings
    )  # fmt: skip
    planned = perf_counter() - started
    return {
        "daily run, task work": watch.work,
        **{f"  {step}": seconds for step, seconds in watch.seconds.items()},
        "plan of a backfill": planned,
        "memory of the run": peak_mb(),
    }


def main(dsn: str, interval: str, tickers: str, since: str, directory: str) -> None:
    """Print the figures of one size as JSON."""
    place = Path(directory)
    import hypertape.quality.checkpoint  # noqa: F401 - its seconds are no step's

    market = Grown(dsn, Interval(interval), int(tickers), date.fromisoformat(since), place / "files")
    json.dump(_work(market, load_settings(state_dir=place / "state")), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
