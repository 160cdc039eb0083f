"""What a worker is told to do, and what comes of a round of it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape.errors import BadInput, HypertapeError
from hypertape.model import Interval, Market
from hypertape.settings import Settings
from hypertape.steps.failures import Failure
from hypertape.steps.plan import SourceWish, choose_tickers, resolve_source
from hypertape.steps.run_spec import Batch, Counts, RunSpec
from hypertape.warehouse.symbology import present_names

Connection = psycopg.Connection[Any]


def round_begin(at: datetime, width: timedelta) -> datetime:
    """When the round of an instant of the database's clock began: the same for all that work."""
    return at - timedelta(seconds=at.timestamp() % width.total_seconds())


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` equal parts of the tickers, by a hash that is the same everywhere. `index` begins at 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `1/4`. Raises BadInput."""
        index, _, count = text.partition("/")
        if index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count):
            return cls(int(index), int(count))
        raise BadInput(f"{text!r} is no shard", next_step="Write 1/4, 2/4, 3/4 or 4/4 for four of them.")

    def holds(self, ticker: str) -> bool:
        """True for the tickers of this part."""
        return zlib.crc32(ticker.encode()) % self.count == self.index - 1


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What a worker works on: the series of one market, of these intervals in this order.

    `tickers` and those of `groups` add up; without any, all that the source lists. `check=False` leaves the suite out,
    and with it watermarks and publishing.
    """

    market: Market
    intervals: tuple[Interval, ...]
    every: timedelta
    idle_every: timedelta
    tickers: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    shard: Shard | None = None
    source: SourceWish | None = None
    check: bool = True

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.groups or ()) - set(self.market.groups)):
            raise BadInput(
                f"{self.market.code} has no group {', '.join(unknown)}",
                next_step=f"Groups: {', '.join(self.market.groups)}.",
            )

    def series(self, interval: Interval, settings: Settings) -> list[str]:
        """The tickers of the worker's part."""
        config = resolve_source(self.market, self.source, settings)
        named = dict.fromkeys(self.tickers or ())
        named |= dict.fromkeys(t.ticker for t in self.market.tickers if t.group in (self.groups or ()))
        chosen = choose_tickers(self.market, interval, config, tuple(named), settings)
        return [ticker for ticker in chosen if self.shard is None or self.shard.holds(ticker)]

    def present_series(self, connection: Connection, interval: Interval, settings: Settings) -> list[str]:
        """The same by the names that they have now."""
        return list(present_names(connection, self.market, self.series(interval, settings)))


@dataclass(slots=True)
class Round:
    """What one worker did in one round of an interval. `reclaimed` were taken from workers that had died.

    `lost` were taken from this one, which had been silent for too long; `error` is what the tail ended with.
    """

    market: Market
    interval: Interval
    run_id: str
    begun: datetime
    asked: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    reclaimed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    failures: dict[str, Failure] = field(default_factory=dict)
    error: HypertapeError | None = None
    spec: RunSpec | None = None
    batches: list[Batch] = field(default_factory=list)
