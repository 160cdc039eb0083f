"""A market with a history, the files its source has of one more day, and the run of that day, step by step."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hypertape.calendars import expected_times
from hypertape.frame import Micros, bar_frame
from hypertape.markets import get_market
from hypertape.model import Interval, Window, midnight
from hypertape.settings import Settings
from hypertape.steps import after_load, run_batch
from hypertape.steps.checks import validate
from hypertape.steps.plan import plan
from hypertape.steps.refresh import refresh
from hypertape.steps.restate import resolve_restatements
from hypertape.steps.run_spec import Plan, loaded_spec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars

VN = get_market("vn")
DAY = date(2025, 8, 28)
"""The day that comes new; a Thursday."""
SOURCE = "asking"
_OVERLAP = timedelta(days=20)
"""What a file of the source has before the new day."""
_AT_ONCE = 500_000
"""Bars of one load of the history."""


@dataclass
class Stopwatch:
    """Seconds of each step of one run."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add what the block takes to a step."""
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    @property
    def work(self) -> float:
        """All but what the source was asked for."""
        return sum(seconds for step, seconds in self.seconds.items() if step != SOURCE)


@dataclass(frozen=True)
class Grown:
    """A market's tickers with a history in one interval, and a directory of files that has a day more."""

    dsn: str
    interval: Interval
    tickers: int
    since: date
    files: Path

    @property
    def names(self) -> list[str]:
        """The tickers."""
        return [f"T{number:04d}" for number in range(self.tickers)]

    @property
    def eve(self) -> datetime:
        """The midnight before the new day (UTC)."""
        return midnight(DAY)

    @property
    def evening(self) -> datetime:
        """After the new day's close (UTC)."""
        return midnight(DAY) + timedelta(hours=12)

    def bars_of(self, number: int, times: Micros) -> pa.Table:
        """One ticker's bars: a random walk on ticks of 10, the same at the same times however many are asked for."""
        random = np.random.default_rng(number)
        steps = random.integers(-3, 4, len(times))
        close = 20_000.0 + 1_000 * (number % 20) + 10 * np.cumsum(steps) % 8_000
        open_ = np.append(close[:1], close[:-1])
        open_ = np.where(np.abs(open_ - close) > 1_000, close, open_)
        high, low = np.maximum(open_, close) + 10.0, np.minimum(open_, close) - 10.0
        volume = np.round(random.lognormal(8, 1, len(times)), -1) + 100
        return bar_frame(
            self.names[number],
            times,
            {"open": open_, "high": high, "low": low, "close": close, "volume": volume},
        )

    def make(self, settings: Settings) -> int:
        """Load the history, do what follows a load, write the source's files; return how many bars are stored.

        Every ticker is loaded up to the eve."""
        times = expected_times(VN, self.interval, Window(midnight(self.since), self.evening))
        old = int(np.searchsorted(times, int(self.eve.timestamp()) * 1_000_000))
        recent = int(np.searchsorted(times, int((self.eve - _OVERLAP).timestamp()) * 1_000_000))
        window, step = Window(midnight(self.since), self.eve), max(1, _AT_ONCE // max(old, 1))
        request = LoadRequest(VN, self.interval, "history", "csv_tree", window, self.eve)
        with connect(self.dsn) as connection:
            for first in range(0, self.tickers, step):
                some = [self.bars_of(n, times) for n in range(first, min(first + step, self.tickers))]
                load_bars(
                    connection, pa.concat_tables([t.slice(0, old) for t in some]).combine_chunks(), request
                )
                connection.commit()
                for number, table in enumerate(some, first):
                    _write(self.files / self.names[number], self.interval, table.slice(recent))
        spec = loaded_spec("history", VN.code, self.interval.value, "csv_tree", window)
        done = after_load.after_load(self.dsn, spec, now=self.eve, settings=settings)
        assert done.published.error is None, done.published.error
        with connect(self.dsn, autocommit=True) as connection:
            connection.execute("update series set watermark = %s", (self.eve,))
            connection.execute("vacuum analyze")
        return old * self.tickers

    def run(self, settings: Settings, watch: Stopwatch, now: datetime | None = None) -> Plan:
        """The run of the new day: what the DAG's tasks do, one after the other, in this process."""
        now = now or self.evening
        of, interval, run_id = VN.code, self.interval.value, f"day__{uuid.uuid4().hex[:8]}"
        source = {"name": "csv_tree", "directory": str(self.files)}
        dsn, window = self.dsn, Window(self.eve, now)
        with watch.step("plan"):
            planned = plan(
                dsn, of, interval, run_id=run_id, data_interval=window, exact=False, source=source,
                tickers=self.names, settings=settings, now=now,
            )  # fmt: skip
        spec = planned.spec
        with _asking_apart(watch):
            for batch in planned.batches:
                with watch.step("extract"):
                    landed = run_batch.extract(spec, batch, settings=settings, now=now, dsn=dsn)
                with watch.step("gate"):
                    landed = run_batch.gate(spec, landed, settings=settings, now=now)
                with watch.step("load"):
                    done = run_batch.load(dsn, spec, landed, settings=settings, now=now)
                assert not done.failed, done.failed
            with watch.step("reread"):
                resolve_restatements(dsn, spec, now=now, settings=settings)
        with watch.step("validate"):
            validate(dsn, spec, now=now, settings=settings)
        with watch.step("refresh"):
            refresh(dsn, spec)
        with watch.step("publish"):
            published = after_load.publish(dsn, spec, now=now, settings=settings)
        assert published.error is None, published.error
        return planned


@contextmanager
def _asking_apart(watch: Stopwatch) -> Iterator[None]:
    """Note what the source takes under a step of its own, and not under `extract`."""
    usual = run_batch.ask_sources

    def timed(*given: Any, **named: Any) -> Any:
        before = watch.seconds.get(SOURCE, 0.0)
        with watch.step(SOURCE):
            fetched = usual(*given, **named)
        watch.seconds["extract"] = watch.seconds.get("extract", 0.0) - (watch.seconds[SOURCE] - before)
        return fetched

    run_batch.ask_sources = timed
    try:
        yield
    finally:
        run_batch.ask_sources = usual


def _write(place: Path, interval: Interval, bars: pa.Table) -> None:
    place.mkdir(parents=True, exist_ok=True)
    name = "1D.csv" if interval is Interval.D1 else f"{interval.value}.csv"
    columns = [bars[column].to_pylist() for column in ("open", "high", "low", "close", "volume")]
    times = bars["time"].to_pylist()
    stamps = [f"{at:%Y-%m-%d}" if interval is Interval.D1 else f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in times]
    lines = (f"{bars['ticker'][0]},{','.join(map(str, row))}\n" for row in zip(stamps, *columns, strict=True))
    (place / name).write_text("ticker,time,open,high,low,close,volume\n" + "".join(lines))
