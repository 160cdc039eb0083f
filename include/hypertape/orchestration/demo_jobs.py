"""Which DAG runs the demo makes: those of the synthetic sample, or one for whatever a CSV tree holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.frame import instant, times_of
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, Window, midnight, utc
from hypertape.settings import load_settings
from hypertape.sources import SourceConfig, open_source
from hypertape.sources.sample import Plan

Pair = tuple[str, Interval]

SAMPLE_PAIRS: tuple[Pair, ...] = (
    ("vn", Interval.H1),
    ("vn", Interval.M1),
    ("vn", Interval.D1),
    ("crypto", Interval.D1),
    ("us", Interval.D1),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One DAG run of the demo."""

    market: str
    interval: Interval
    source: SourceConfig
    end: datetime

    @property
    def dag_id(self) -> str:
        """The DAG's name."""
        return f"bars_{self.market}_{self.interval.value}"

    @property
    def conf(self) -> dict[str, Any]:
        """The DAG's form, filled in."""
        return {
            "source": self.source.name,
            "source_dir": self.source.directory,
            "legacy_scale": self.source.legacy_scale,
        }


def sample_pairs() -> tuple[Pair, ...]:
    """What the demo loads of the sample: of each shipped market something, and the days of the project's own."""
    shipped = {market for market, _ in SAMPLE_PAIRS}
    return (*SAMPLE_PAIRS, *((code, Interval.D1) for code in all_markets() if code not in shipped))


def sample_jobs(plan: Plan) -> list[Job]:
    """The sample's runs, each up to the end of its synthetic bars."""
    return [
        Job(market, interval, SourceConfig("sample"), plan.spans[market, interval].end)
        for market, interval in sample_pairs()
    ]


def csv_jobs(directory: Path) -> list[Job]:
    """A run for every market and interval the CSV tree has, up to the day after its newest bar.

    Raises SourceFileMissing, or BadInput when the tree has no bars of any market.
    """
    if not directory.is_dir():
        raise SourceFileMissing(f"There is no directory {directory}")
    config = SourceConfig("csv_tree", str(directory.absolute()), legacy_scale=True)
    found = [
        (m, i)
        for m in all_markets()
        if (directory / get_market(m).table).is_dir()
        for i in (Interval.D1, Interval.H1, Interval.M1)
    ]
    ends = [(market, interval, _newest(config, market, interval)) for market, interval in found]
    jobs = [Job(market, interval, config, end) for market, interval, end in ends if end is not None]
    if not jobs:
        tables = ", ".join(market.table for market in all_markets().values())
        raise BadInput(f"{directory} has no bars", next_step=f"It must hold one of the directories {tables}.")
    return jobs


def _newest(config: SourceConfig, market: str, interval: Interval) -> datetime | None:
    source, of_market = open_source(config, load_settings()), get_market(market)
    everything = Window(utc(1970), utc(2200))
    tickers = source.tickers(of_market, interval)
    bars = source.fetch(of_market, tickers, interval, everything, now=datetime.now(UTC)).bars
    return midnight((instant(int(times_of(bars).max())) + timedelta(days=1)).date()) if len(bars) else None
