"""What travels through a load: the request, each ticker on its way, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from hypertape.calendars import bar_ends
from hypertape.errors import SuspectScale, UnknownTicker
from hypertape.frame import Bars, Micros, instant, micros
from hypertape.model import Interval, Market, Window
from hypertape.warehouse.loading.merge import Merged, Writes
from hypertape.warehouse.loading.stored import SeriesState

_LONG_CLOSED = timedelta(days=7)
"""A bar that opened longer ago has ended: no need to ask the calendar, which is slow to build."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is loaded beside the bars: where it comes from and what its source said.

    `rejects` (REJECT_SCHEMA) go to quarantine; `fetched` counts the source's rows per ticker before the gate; `now`
    (UTC) decides which bars are still open. `tickers` are those that were asked for: one without a row gets its line in
    `load` too. `windows` holds the windows of tickers that own another one than `window`. `answered_until` says how far
    a ticker's answer reaches, where that is not the whole window. `served_by` names the source of the tickers that
    another one than `source` served.

    `keep_stored`: a bar that is stored and final stays as it is; incoming ones of its time count as unchanged.
    `keep_others`: so do the final bars of others where `served_by` names a source that only stands in for `source`.
    `accept_scale`: prices may be ×1000 or ÷100 of the stored ones. `reason` says why the load was made. `watch`: final
    bars that change become a suspected restatement (`restatement`). `rereads`: the confirmed restatements this load
    ends, each ticker's, marked in its transaction.
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
    answered_until: Mapping[str, datetime] = field(default_factory=dict)
    attempt: int = 1
    tickers: Sequence[str] = ()
    windows: Mapping[str, Window] = field(default_factory=dict)
    served_by: Mapping[str, str] = field(default_factory=dict)
    keep_stored: bool = False
    keep_others: bool = False
    accept_scale: bool = False
    reason: str | None = None
    watch: bool = False
    rereads: Mapping[str, int] = field(default_factory=dict)

    def window_of(self, ticker: str) -> Window:
        """The window that a ticker was asked for."""
        return self.windows.get(ticker, self.window)

    def source_of(self, ticker: str) -> str:
        """The source that served a ticker."""
        return self.served_by.get(ticker, self.source)

    def by_another(self, ticker: str) -> bool:
        """True where another source than the one that was to be asked served a ticker."""
        return self.source_of(ticker) != self.source


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one ticker's load did. `first_changed` and `last_changed` (UTC) span the bars whose prices changed.

    `restated` of the updated bars were final: their former values are in `bar_revision`. `flagged` of the bars written
    are stored as delivered although they break a rule (`bar_flag`).
    """

    ticker: str
    load_id: int
    inserted: int = 0
    updated: int = 0
    recomputed: int = 0
    unchanged: int = 0
    quarantined: int = 0
    flagged: int = 0
    first_changed: datetime | None = None
    last_changed: datetime | None = None
    refused: SuspectScale | UnknownTicker | None = None
    restated: int = 0


@dataclass(slots=True, eq=False)
class SeriesLoad:
    """One ticker on its way through a load: what came in, what it makes of the series, what is to be written.

    `fresh` are the incoming bars that count (all, unless stored ones are kept). `restated` are the final bars that
    change (new values), `former` the same bars as they are stored. `finalised` (µs) is the bar that was open and
    becomes final with the values it has. `outdated`: the newest incoming bar was still open, but the series knows it as
    final, or knows a later one: the answer of a run that was overtaken. That bar does not count.

    `first_left_at` (µs) is set where another source stands in for the one that was to be asked: the newest bar which
    that one gave; `kept` are then the final bars of others that the answer has too. Of a whole history read again,
    `readable` counts the stored bars that it should hold and `unread` those it does not.
    """

    ticker: str
    incoming: Bars
    fresh: Bars = field(default_factory=Bars.empty)
    merged: Merged | None = None
    writes: Writes | None = None
    restated: Bars = field(default_factory=Bars.empty)
    former: Bars = field(default_factory=Bars.empty)
    finalised: int | None = None
    outdated: bool = False
    refused: SuspectScale | UnknownTicker | None = None
    load_id: int = 0
    first_left_at: int | None = None
    kept: Bars = field(default_factory=Bars.empty)
    unread: int = 0
    readable: int = 0

    @property
    def stands_in(self) -> bool:
        """True where the answer is of a source that stands in for the one the series is of."""
        return self.first_left_at is not None

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
        """The opening (µs) of the incoming bar that had not ended at `now`, if there is one that counts."""
        if len(self.incoming) == 0 or self.outdated:
            return None
        newest = self.incoming.time[-1:]
        if newest[0] < micros(request.now - _LONG_CLOSED):
            return None
        ends = bar_ends(request.market, request.interval, newest)
        return int(newest[0]) if ends[0] > micros(request.now) else None

    def choose_fresh(
        self, request: LoadRequest, stored: Bars, state: SeriesState | None, own: Micros | None = None
    ) -> None:
        """Decide which incoming bars count. `own`: where the source stands in, the stored bars that are its own.

        A stand-in's adjusted closes are left out: the first source, which has none, could never replace them.
        """
        self.fresh = self.incoming
        open_bar = self.open_bar(request)
        if open_bar is not None and state is not None and open_bar != state.provisional:
            self.outdated = open_bar <= state.last
        if self.outdated:
            self.fresh = self.fresh.take(slice(0, -1))
        final = np.ones(len(stored), bool) if state is None else stored.time != state.provisional
        if own is not None:
            self.fresh = replace(self.fresh, adjusted_close=np.full(len(self.fresh), np.nan))
            others = final & ~np.isin(stored.time, own)
            self.kept = stored.take(others & np.isin(stored.time, self.incoming.time))
            final = final if request.keep_stored else others
        if request.keep_stored or (own is not None and request.keep_others):
            self.fresh = self.fresh.take(~np.isin(self.fresh.time, stored.time[final]))

    def next_open(self, request: LoadRequest, state: SeriesState | None) -> int | None:
        """The series' open bar (µs) after this load: the incoming one, or the former one if it did not come again."""
        open_bar = self.open_bar(request)
        if open_bar is None and state is not None and state.provisional not in self.incoming.time:
            return state.provisional
        return open_bar

    def note_restated(self, stored: Bars, state: SeriesState | None) -> None:
        """Note which final bars change, and what they were. An open bar has no former value worth keeping."""
        assert self.writes is not None
        changed = self.writes.changed
        if state is not None and state.provisional is not None:
            changed = changed & (self.writes.bars.time != state.provisional)
        if changed.any():
            self.restated = self.writes.bars.take(changed)
            self.former = stored.take(np.searchsorted(stored.time, self.restated.time))

    def note_finalised(self, request: LoadRequest, state: SeriesState | None) -> None:
        """Note the bar that was open and that this load leaves final as it is."""
        if self.refused or len(self.incoming) == 0 or state is None or state.provisional is None:
            return
        moved = self.writes is not None and state.provisional in self.writes.bars.time[self.writes.changed]
        if not moved and self.next_open(request, state) != state.provisional:
            self.finalised = state.provisional
