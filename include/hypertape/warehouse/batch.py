"""What travels through a load: the request, each ticker on its way, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from hypertape.calendars import bar_ends
from hypertape.errors import SuspectScale
from hypertape.frame import Bars, instant, micros
from hypertape.model import Interval, Market, Window
from hypertape.warehouse.merge import Merged, Writes


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is loaded beside the bars: where it comes from and what its source said.

    `rejects` (REJECT_SCHEMA) go to quarantine; `fetched` counts the source's rows per ticker before the gate; `now`
    (UTC) decides which bars are still open. `tickers` are those that were asked for: one without a row gets its line in
    `load` too. `served_by` names the source of the tickers that another one than `source` served.
    """

    market: Market
    interval: Interval
    run_id: str
    source: str
    window: Window
    now: datetime
    rejects: pa.Table | None = None
    fetched: Mapping[str, int] = field(default_factory=dict)
    duplicates: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # bars expected, missing
    attempt: int = 1
    tickers: Sequence[str] = ()
    served_by: Mapping[str, str] = field(default_factory=dict)

    def source_of(self, ticker: str) -> str:
        """The source that served a ticker."""
        return self.served_by.get(ticker, self.source)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one ticker's load did. `first_changed` and `last_changed` (UTC) span the bars whose prices changed."""

    ticker: str
    load_id: int
    inserted: int = 0
    updated: int = 0
    recomputed: int = 0
    unchanged: int = 0
    quarantined: int = 0
    first_changed: datetime | None = None
    last_changed: datetime | None = None
    refused: SuspectScale | None = None


@dataclass(slots=True)
class SeriesLoad:
    """One ticker on its way through a load: what came in, what it makes of the series, what is to be written."""

    ticker: str
    incoming: Bars
    merged: Merged | None = None
    writes: Writes | None = None
    refused: SuspectScale | None = None
    load_id: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """First and last incoming opening (µs)."""
        return int(self.incoming.time[0]), int(self.incoming.time[-1])

    @property
    def changed_span(self) -> tuple[datetime, datetime] | None:
        """First and last bar whose prices this load adds or changes; None when there is none."""
        if self.writes is None:
            return None
        times = self.writes.bars.time[self.writes.added | self.writes.changed]
        return (instant(int(times[0])), instant(int(times[-1]))) if len(times) else None

    @property
    def last_written(self) -> datetime | None:
        """The last row this load writes: later than the changed span where only indicators change."""
        if self.writes is None or len(self.writes.bars) == 0:
            return None
        return instant(int(self.writes.bars.time[-1]))

    def open_bar(self, request: LoadRequest) -> int | None:
        """The opening (µs) of the incoming bar that had not ended at `now`, if there is one."""
        if len(self.incoming) == 0:
            return None
        newest = self.incoming.time[-1:]
        ends = bar_ends(request.market, request.interval, newest)
        return int(newest[0]) if ends[0] > micros(request.now) else None
