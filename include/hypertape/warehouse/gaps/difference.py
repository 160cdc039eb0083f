"""The difference between what the gap ledger says and what it should say, as rows to write.

The ledger's open entries and the new ones are both runs of sessions. An entry that is the same in both is not touched.
A new run takes over the row of an old one that it overlaps, so that an entry keeps its identity while it grows,
shrinks or changes its reason; what arrived of an old entry becomes a closed one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

ARRIVED, NOT_DUE = "arrived", "not due"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger; `first` and `last` are positions of sessions (`first` after `last`: the
    calendar has none of them any more). `gap_id` None: not stored yet."""

    ticker: str
    first: int
    last: int
    reason: str
    detail: str | None
    attempts: int
    found_run: str
    found_at: datetime
    gap_id: int | None = None
    former_reason: str | None = None
    changed_at: datetime | None = None
    last_checked_at: datetime | None = None
    healed_run: str | None = None
    closed_at: datetime | None = None
    closed_run: str | None = None
    closed_reason: str | None = None
    stored_sessions: int | None = None
    stored_span: tuple[datetime, datetime] | None = None

    @property
    def sessions(self) -> int:
        """How many sessions lie in it; none when the calendar knows them no more."""
        return self.last - self.first + 1

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two open entries say the same. A session that the calendar lost in the middle changes it."""
        sessions = self.sessions if self.stored_sessions is None else self.stored_sessions
        return (self.ticker, self.first, self.last, sessions, self.reason, self.detail, self.attempts)


@dataclass(frozen=True, slots=True)
class Difference:
    """What to write: rows to insert (without id) or to update (with id), and ids of rows that another one absorbed."""

    rows: tuple[Entry, ...]
    absorbed: tuple[int, ...]

    @property
    def opened(self) -> list[Entry]:
        """Open entries that are new."""
        return [
            row
            for row in self.rows
            if row.closed_at is None and row.former_reason is None and row.gap_id is None
        ]

    @property
    def closed(self) -> list[Entry]:
        """What was closed."""
        return [row for row in self.rows if row.closed_at is not None]


def difference(
    old: Sequence[Entry],
    new: Sequence[Entry],
    missing: dict[str, Mask],
    judged: dict[str, Mask],
    *,
    run_id: str,
    now: datetime,
) -> Difference:
    """Compare the open entries `old` with what should be open, `new` (found by `run_id` at `now`).

    `missing` and `judged` say per ticker and session what is missing now and what is due at all.
    """
    same = {entry.key for entry in old} & {entry.key for entry in new}
    stale = [entry for entry in old if entry.key not in same]
    wanted = [entry for entry in new if entry.key not in same]
    by_ticker: dict[str, list[Entry]] = defaultdict(list)
    for entry in stale:
        by_ticker[entry.ticker].append(entry)
    rows, claimed = [], set()
    for entry in wanted:
        heirs = [
            former
            for former in by_ticker[entry.ticker]
            if former.first <= entry.last and entry.first <= former.last
        ]
        heir = _heir(entry, [former for former in heirs if former.gap_id not in claimed])
        if heir is not None:
            claimed.add(heir.gap_id)
        rows.append(_successor(entry, heir, heirs, now))
    absorbed: list[int] = []
    for entry in stale:
        pieces = list(_closed_pieces(entry, missing.get(entry.ticker), judged.get(entry.ticker), run_id, now))
        if entry.gap_id not in claimed:
            if pieces:
                pieces[0] = replace(pieces[0], gap_id=entry.gap_id)
            elif entry.gap_id is not None:
                absorbed.append(entry.gap_id)
        rows += pieces
    return Difference(tuple(rows), tuple(absorbed))


def _heir(entry: Entry, free: Iterable[Entry]) -> Entry | None:
    """The row the entry takes over: one that starts where it does, so that no two rows ever share a start."""
    ordered = sorted(free, key=lambda former: (former.first != entry.first, former.first))
    return ordered[0] if ordered else None


def _successor(entry: Entry, heir: Entry | None, heirs: Sequence[Entry], now: datetime) -> Entry:
    if not heirs:
        return entry
    former = heir or heirs[0]
    oldest = min(heirs, key=lambda one: one.found_at)
    changed = former.reason != entry.reason
    return replace(
        entry,
        gap_id=heir.gap_id if heir else None,
        found_run=oldest.found_run,
        found_at=oldest.found_at,
        former_reason=former.reason if changed else former.former_reason,
        changed_at=now if changed else former.changed_at,
        last_checked_at=former.last_checked_at if entry.attempts else None,
        healed_run=former.healed_run if entry.attempts else None,
    )


def _closed_pieces(
    entry: Entry, missing: Mask | None, judged: Mask | None, run_id: str, now: datetime
) -> Iterator[Entry]:
    """The parts of an old entry that are missing no more."""
    closed = replace(entry, gap_id=None, closed_at=now, closed_run=run_id, closed_reason=NOT_DUE)
    if missing is None or judged is None or entry.first > entry.last:
        yield closed
        return
    span = slice(entry.first, entry.last + 1)
    gone = np.where(missing[span], 0, np.where(judged[span], 1, 2))
    edges = np.flatnonzero(np.append(True, gone[1:] != gone[:-1]))
    for first, end in zip(edges, np.append(edges[1:], len(gone)), strict=True):
        if gone[first]:
            reason = ARRIVED if gone[first] == 1 else NOT_DUE
            yield replace(
                closed, first=entry.first + int(first), last=entry.first + int(end) - 1, closed_reason=reason
            )
