"""The demo's ticks: a short made-up feed into the warehouse, and whether each defect planted in it was found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypertape.settings import Settings
from hypertape.steps.stream import run_stream
from hypertape.stream.feeds import open_feed
from hypertape.stream.feeds.synthetic import SyntheticFeed, found
from hypertape.warehouse.connect import connect

SEED, TICKS = 7, 2000

_EVIDENCE = {
    "gap": "feed_gap: a row after number {0}",
    "duplicate": "ticks: number {0} once",
    "poisoned": "dead_letter: the record of number {0}",
    "late": "bars_1m: the minute of number {0} corrected",
}


@dataclass(frozen=True, slots=True)
class TickFinding:
    """A planted defect of the feed and where the warehouse shows it; `evidence` is empty when it does not."""

    what: str
    symbol: str
    evidence: str

    @property
    def found(self) -> bool:
        """True when there is evidence."""
        return bool(self.evidence)


def run_ticks(dsn: str, settings: Settings, now: datetime) -> list[TickFinding]:
    """Run the feed to its end, about three seconds, and look for what was planted.

    Its quotes are of the ten minutes before `now` (UTC). Only in the main thread: a stream listens to signals. Raises
    the error that the stream ended with.
    """
    running = run_stream(settings, dsn, [_address(now)], ("database",), clock=lambda: now)
    summary, _ = asyncio.run(running)
    if summary.error is not None:
        raise summary.error
    return find_ticks(dsn, now)


def find_ticks(dsn: str, now: datetime) -> list[TickFinding]:
    """Look for what was planted in the feed that ran at `now`."""
    feed = open_feed(_address(now))
    assert isinstance(feed, SyntheticFeed)
    with connect(dsn) as connection:
        shown = found(connection, feed.planted)
    return [
        TickFinding(
            spot.what, spot.symbol, _EVIDENCE[spot.what].format(spot.sequence) if shown[spot.what] else ""
        )
        for spot in feed.planted
    ]


def _address(now: datetime) -> str:
    start = now - timedelta(minutes=10)
    return f"synthetic:{SEED}?ticks={TICKS}&start={start:%Y-%m-%dT%H:%M:00Z}"
