"""The gap ledger: every session without a bar, with the reason, once.

`note_gaps` holds the series of a run (or all) against the calendar, asks `rules` why what is missing is missing,
and writes the difference to the ledger (`difference`). It is a function of what is stored: bars, loads, quarantine and
calendar; so it does not matter how often or in which order it is called. What it looked at is remembered per series
(`gap_judged`), and the next call closes the hole up to there, so that a ledger kept up run by run is the one that a
look at everything would write.

A daily bar is due for every session. Of hours and minutes one bar is due per session, and inside it those that the
series ordinarily has: not everything trades in every minute, and what is left out is learned (`holes`, `inside`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from hypertape.calendars import expected_times
from hypertape.calendars.exceptions import days_of
from hypertape.errors import BadInput
from hypertape.frame import instant, micros
from hypertape.model import Interval, Market, Window
from hypertape.queries import query
from hypertape.warehouse.gaps.difference import Difference, Entry, difference
from hypertape.warehouse.gaps.evidence import Notes, gather, look_elsewhere
from hypertape.warehouse.gaps.grid import Grid, Series, Span, entry_span, read_present, read_series
from hypertape.warehouse.gaps.inside import HoleLedger
from hypertape.warehouse.gaps.rules import (
    CONFIRMED_ONCE,
    DELISTED,
    EMPTY,
    FAILED,
    HALTED,
    HOLIDAY,
    NOT_LISTED,
    REASONS,
    UNKNOWN,
    Mask,
    classify,
    runs_of,
)
from hypertape.warehouse.gaps.spans import hulls, spans_to_judge, still_kept
from hypertape.warehouse.ledger import database_now
from hypertape.warehouse.locks import lock_name

Connection = psycopg.Connection[Any]

_CONFIRMED_ONCE = tuple(map(REASONS.index, CONFIRMED_ONCE))
_NEVER_ASKED_AGAIN = (NOT_LISTED, DELISTED)
_UNEXPLAINED = (EMPTY, UNKNOWN)
_UNLISTED = "before its first bar, answered once: not listed yet, or a cut answer"


@dataclass(frozen=True, slots=True)
class GapCounts:
    """What a look at the ledger did: entries opened, closed and changed; and the sessions now open, by reason.

    `refused` of those that are `fetch failed` were fetched: their rows broke a rule and wait in quarantine.
    """

    opened: int
    closed: int
    changed: int
    open: Mapping[str, int]
    refused: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def note_gaps(
    connection: Connection,
    market: Market,
    interval: Interval,
    window: Window | None,
    now: datetime,
    run_id: str,
    *,
    tickers: Sequence[str] | None = None,
) -> GapCounts:
    """Bring the ledger of (market, interval) up to date, in one transaction, and count what that changed.

    Looked at are `tickers`, since they were first asked for or began; without them those that run `run_id` loaded,
    each over the window it asked for, and of a run without loads all known ones. `window` limits that; a session that
    has not closed at `now` (UTC) is never missing. Every open entry is judged again, whatever the window: what others
    did may change its reason. Raises BadInput for a derived interval, and what `translate_errors` raises.
    """
    if not interval.is_stored:
        raise BadInput(f"{interval.value} is rolled up", next_step=f"Look at {interval.base.value}.")
    with connection.transaction():
        lock_name(connection, f"gaps/{market.code}/{interval.value}")
        now = min(now, database_now(connection))
        series = read_series(connection, market, interval)
        spans = spans_to_judge(connection, market, interval, series, window, now, run_id, tickers)
        ledger = _Ledger(connection, market, interval, series, spans, now)
        found = ledger.difference(run_id)
        holes = None
        if interval is not Interval.D1:
            holes = HoleLedger(connection, ledger.grid, series, ledger.spans, ledger.hulls)
            holes.close(run_id, now)
        ledger.write(found)
        if holes:
            holes.write(run_id, now)
    return ledger.counts(found, holes)


class _Ledger:
    """One look at the ledger: the matrix of what is missing, why, and what that means for the stored entries."""

    def __init__(
        self,
        connection: Connection,
        market: Market,
        interval: Interval,
        series: Mapping[str, Series],
        spans: Mapping[str, Span],
        now: datetime,
    ) -> None:
        self.connection, self.market, self.interval, self.now = connection, market, interval, now
        self.spans = still_kept(spans, market, interval, now)
        reached = hulls(series, self.spans)
        self.hulls = still_kept(reached, market, interval, now)
        self.tickers = list(self.hulls)
        self.row_of = {ticker: row for row, ticker in enumerate(self.tickers)}
        self.series = series
        self.grid = _grid(market, interval, list(reached.values()), now)
        self.old = self._stored()
        self.judged = self._judged()
        self.missing, self.attempts = self._missing()

    def _stored(self) -> list[Entry]:
        names = {"market": self.market.code, "interval": self.interval.value}
        rows = self.connection.execute(query("gap_open_entries"), names).fetchall()
        return [_entry(self.grid, *row) for row in rows]

    def _judged(self) -> Mask:
        judged = np.zeros((len(self.tickers), len(self.grid)), np.bool_)
        for row, hull in enumerate(self.hulls.values()):
            judged[row, self.grid.positions(hull)] = True
        return judged

    def _missing(self) -> tuple[Mask, npt.NDArray[np.int64]]:
        """What is missing: as the ledger says, but where the bars were read again."""
        missing = np.zeros(self.judged.shape, np.bool_)
        attempts = np.zeros(self.judged.shape, np.int64)
        for entry in self.old:
            if entry.ticker in self.row_of:
                cells = (self.row_of[entry.ticker], slice(entry.first, entry.last + 1))
                missing[cells] = True
                attempts[cells] = entry.attempts
        read = {ticker: self.grid.positions(span) for ticker, span in self.spans.items()}
        present = read_present(self.connection, self.grid, read)
        for ticker, part in read.items():
            missing[self.row_of[ticker], part] = ~present[ticker][part]
        return missing & self.judged, attempts

    def difference(self, run_id: str) -> Difference:
        """What is to be written, in the name of `run_id`."""
        facts, about, notes = gather(self.connection, self.grid, self.tickers, self.series, self.missing)
        elsewhere = look_elsewhere(self.connection, self.grid, self.tickers, facts)
        self.codes, self.refused = classify(facts, elsewhere), facts.refused
        said = np.where(np.isin(self.codes, (*_NEVER_ASKED_AGAIN, HOLIDAY, *_UNEXPLAINED)), 0, about)
        said[(self.codes == HALTED) & ~facts.known_halt] = 0
        said[(self.codes == EMPTY) & facts.early] = notes.number(_UNLISTED)
        return difference(
            self.old,
            self._entries(said, notes, run_id),
            {ticker: self.missing[row] for ticker, row in self.row_of.items()},
            {ticker: self.judged[row] for ticker, row in self.row_of.items()},
            run_id=run_id,
            now=self.now,
        )

    def _entries(self, said: npt.NDArray[np.int32], notes: Notes, run_id: str) -> list[Entry]:
        attempts = np.where(np.isin(self.codes, _NEVER_ASKED_AGAIN), 0, self.attempts)
        attempts = np.where(np.isin(self.codes, _CONFIRMED_ONCE), np.minimum(attempts, 1), attempts)
        keys = (said.astype(np.int64) * 1_000 + np.minimum(attempts, 999)) * 8 + self.codes
        keys[self.codes == 0] = 0
        return [
            Entry(
                self.tickers[row],
                first,
                last,
                REASONS[self.codes[row, first]],
                notes.texts[said[row, first]],
                int(attempts[row, first]),
                run_id,
                self.now,
            )
            for row, first, last in runs_of(keys).tolist()
        ]

    def write(self, found: Difference) -> None:
        """Write the difference, and note what was judged."""
        if found.absorbed:
            self.connection.execute(query("gap_absorb"), (list(found.absorbed),))
        fresh = [(row.ticker, *self._columns(row)) for row in found.rows if row.gap_id is None]
        known = [(row.gap_id, *self._columns(row)) for row in found.rows if row.gap_id is not None]
        if known:
            self.connection.execute(
                query("gap_update"), [list(column) for column in zip(*known, strict=True)]
            )
        if fresh:
            names = (self.market.code, self.interval.value)
            columns = [list(column) for column in zip(*fresh, strict=True)]
            self.connection.execute(query("gap_insert"), (*names, *columns))
        moved = [
            (ticker, instant(hull[0]), instant(hull[1]))
            for ticker, hull in self.hulls.items()
            if ticker in self.spans
        ]
        if moved:
            names = (self.market.code, self.interval.value)
            columns = [list(column) for column in zip(*moved, strict=True)]
            self.connection.execute(query("gap_judged"), (*names, *columns))

    def _columns(self, row: Entry) -> tuple[object, ...]:
        bars, sessions = 0, max(row.sessions, 0)
        span = row.stored_span
        if sessions:
            span = entry_span(self.grid, row.first, row.last)
            bars = sessions
            if self.interval is not Interval.D1:
                bars = len(expected_times(self.market, self.interval, Window(*span)))
        assert span is not None
        return (
            *span, bars, sessions, row.reason, row.detail, row.attempts, row.found_run, row.found_at, row.former_reason,
            row.changed_at, row.last_checked_at, row.healed_run, row.closed_at, row.closed_run, row.closed_reason,
        )  # fmt: skip

    def counts(self, found: Difference, holes: HoleLedger | None) -> GapCounts:
        """Say what was found, holes inside sessions included."""
        sessions = Counter({REASONS[c]: n for c, n in Counter(self.codes[self.codes > 0].tolist()).items()})
        sessions += holes.open_sessions if holes else Counter()
        changed = [row for row in found.rows if row.closed_at is None and row.changed_at == self.now]
        return GapCounts(
            len(found.opened) + sum(row.gap_id is None for row in (holes.rows if holes else ())),
            len(found.closed) + len(holes.gone if holes else ()),
            len(changed) + sum(row.gap_id is not None for row in (holes.rows if holes else ())),
            {reason: sessions[reason] for reason in REASONS if sessions[reason]},
            int((self.refused & (self.codes == FAILED)).sum()),
        )


def _grid(market: Market, interval: Interval, judged: Sequence[Span], now: datetime) -> Grid:
    """The sessions from the earliest to the latest judged instant that have closed at `now`."""
    if not judged:
        today = now.date()
        return Grid.of(market, interval, days_of(market, today, today))
    first = instant(min(hull[0] for hull in judged)).date() - timedelta(days=1)
    end = instant(min(max(hull[1] for hull in judged), micros(now))).date() + timedelta(days=2)
    found = days_of(market, first, max(first, end))
    closed = int(np.searchsorted(found.closes, micros(now), "right"))
    return Grid.of(market, interval, found.between(0, closed))


def _entry(
    grid: Grid, gap_id: int, ticker: str, start: datetime, end: datetime, sessions: int, *rest: Any
) -> Entry:
    reason, detail, attempts, found_run, found_at, former, changed_at, checked_at, healed_run = rest
    first, last = grid.touched((micros(start), micros(end)))
    return Entry(
        ticker, first, last, reason, detail, attempts, found_run, found_at, gap_id, former, changed_at, checked_at,
        healed_run, stored_sessions=sessions, stored_span=(start, end),
    )  # fmt: skip
