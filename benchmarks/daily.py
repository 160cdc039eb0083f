"""A day's run of 300 tickers: each step's task work with one new bar each and with nothing new, and the whole command.

What reading the source's files takes is told apart. The command runs in a process of its own, so its imports count.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from benchmarks.child import output_of
from benchmarks.day import SOURCE, VN, Grown, Stopwatch
from benchmarks.result import Result

from hypertape.model import Interval, Window, midnight
from hypertape.settings import Settings, load_settings
from hypertape.steps.checks import validate
from hypertape.steps.run_spec import loaded_spec

SINCE = date(2015, 1, 5)
MOST, MOST_CHECKS, MOST_OF_ALL = 10.0, 5.0, 60.0
"""Seconds that the task work of a day's run, its suite, and the suite of a whole history may take."""


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure a market of 300 tickers (quick: 50) with ten years of days (quick: two)."""
    tickers, since = (50, date(2023, 9, 4)) if quick else (300, SINCE)
    with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory:
        place = Path(directory)
        settings = load_settings(state_dir=place / "state")
        market = Grown(dsn, Interval.D1, tickers, since, place / "files")
        stored = market.make(settings)
        results = []
        for what in ("one new bar each", "nothing new"):
            watch = Stopwatch()
            market.run(settings, watch)
            results += _told(f"daily run of {tickers} tickers, {stored:,} bars stored, {what}", watch)
        results.append(_whole(market, settings, stored))
        seconds = _command(market, place)
    return [*results, Result("the same, nothing new: `hypertape sync`, its imports included", seconds, "s")]


def _told(label: str, watch: Stopwatch) -> list[Result]:
    checks = watch.seconds["validate"]
    parts = ", ".join(f"{step} {1000 * seconds:.0f}" for step, seconds in watch.seconds.items())
    return [
        Result(f"{label}: task work (limit {MOST:g} s vs it)", watch.work, "s", MOST / watch.work, 1.0),
        Result(f"  its suite (limit {MOST_CHECKS:g} s vs it)", checks, "s", MOST_CHECKS / checks, 1.0),
        Result(f"  in ms: {parts} ({SOURCE}: not in the sum)", 1000 * watch.work, "ms"),
    ]


def _whole(market: Grown, settings: Settings, stored: int) -> Result:
    """The suite over everything that is stored."""
    window = Window(midnight(market.since), market.evening)
    spec = loaded_spec("whole", VN.code, market.interval.value, "csv_tree", window)
    started = time.perf_counter()
    validate(market.dsn, spec, now=market.evening, settings=settings)
    taken = time.perf_counter() - started
    label = f"suite of the whole history, {stored:,} bars (limit {MOST_OF_ALL:g} s vs it)"
    return Result(label, taken, "s", MOST_OF_ALL / taken, 1.0)


def _command(market: Grown, place: Path) -> float:
    words = ["sync", "--market", VN.code, "--interval", market.interval.value, "--source", "csv_tree"]
    words += ["--source-dir", str(market.files), "--end-date", market.evening.isoformat()]
    environment = {"HYPERTAPE_DATABASE_URL": market.dsn, "HYPERTAPE_STATE_DIR": str(place / "own")}
    started = time.perf_counter()
    output_of([sys.executable, "-m", "hypertape.cli", *words], environment)
    return time.perf_counter() - started
