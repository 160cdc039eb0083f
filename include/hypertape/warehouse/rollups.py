"""Refreshing rollups over exactly what changed, and proving them equal to their bars.

A load notes the ranges it changed in `rollup_pending`, in its own transaction, so a kill between the two loses nothing:
the next refresh finds the note. Refreshing itself cannot run inside a transaction on TimescaleDB, so no lock can be
held meanwhile: a claim keeps the refreshes of one relation serial, on one connection.
"""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
from psycopg import sql

from hypertape.errors import ClaimLost, DatabaseBusy
from hypertape.model import Interval, Market, Window, utc
from hypertape.queries import query
from hypertape.warehouse.claims import LEASE, Claim, Worker, working
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.stored import relation

Connection = psycopg.Connection[Any]
Note = tuple[int, datetime, datetime]
"""A load's number, the first and the last bar that it changed."""

KIND = "rollups"
"""Of the claims; a unit is the relation of the bars."""

_STANDS_ON = {Interval.M15: Interval.M5, Interval.M30: Interval.M15, Interval.W2: Interval.W1}
"""The rollups that are built from a finer rollup (migration 0004); the others are built from bars."""

ABANDONED = timedelta(minutes=10)
"""What waits for its refresh for so long was left by a run that died: whoever comes next refreshes it."""

_PATIENCE_SECONDS, _AGAIN_SECONDS = 600.0, 0.5
"""How long another refresh of the same rollup is waited for, and how often it is asked whether it is over."""

_REFUSED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

_LOG = logging.getLogger(__name__)

_MOST_RANGES = 64
"""More separate ranges than this are joined over their smallest gaps: each refresh has a fixed cost."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One refreshed range of one rollup: whole buckets, half-open, UTC."""

    interval: Interval
    window: Window


@dataclass(frozen=True, slots=True)
class RollupCheck:
    """One refreshed range compared with its stored bars. `sample` holds (ticker, time) of differing buckets."""

    interval: Interval
    window: Window
    buckets: int
    differing: int
    sample: tuple[tuple[str, datetime], ...]


def derived(interval: Interval) -> tuple[Interval, ...]:
    """The rollups that stand on a stored interval, each after those it is built from."""
    return tuple(other for other in Interval if other.base is interval and not other.is_stored)


def refresh_pending(
    dsn: str, market: Market, interval: Interval, *, lease: timedelta = LEASE
) -> list[Refreshed]:
    """Refresh every rollup of a stored interval over the ranges noted by loads; return what was refreshed.

    One at a time does it: who comes meanwhile waits until its own ranges are refreshed, by whomever. A worker that is
    silent for the lease has lost it to the next. Raises what `connect` and the warehouse raise; notes of ranges that
    were not refreshed stay.
    """
    with connect(dsn, autocommit=True) as connection:
        if not _pending(connection, market, interval):
            return []
        with working(dsn, KIND, lease=lease, trace=False) as worker:
            while _pending(connection, market, interval):
                if claims := worker.take(connection, KIND, [market.relation(interval)]):
                    with suppress(ClaimLost):
                        return _refresh_noted(connection, market, interval, worker, claims)
                clock.sleep(_AGAIN_SECONDS)
    return []


def _pending(connection: Connection, market: Market, interval: Interval) -> list[Note]:
    return connection.execute(query("pending_ranges"), (market.code, interval.value)).fetchall()


def _refresh_noted(
    connection: Connection, market: Market, interval: Interval, worker: Worker, claims: Sequence[Claim]
) -> list[Refreshed]:
    """Refresh what is noted, then remove the notes, if the claim is still held: else another one does it again."""
    notes, done = _pending(connection, market, interval), list[Refreshed]()
    for level in derived(interval):
        for window in merge_windows(buckets(level, start, last) for _, start, last in notes):
            _refresh(connection, market, level, window)
            done.append(Refreshed(level, window))
    with connection.transaction():
        worker.require(connection, claims)
        connection.execute(query("forget_pending"), ([load_id for load_id, _, _ in notes],))
        worker.end(connection, claims)
    return done


def waiting_scopes(connection: Connection, age: timedelta) -> list[tuple[str, str]]:
    """The markets and intervals of which ranges wait for their refresh for longer than `age` (the database's clock)."""
    return [(row[0], row[1]) for row in connection.execute(query("waiting_scopes"), {"age": age})]


def check_rollups(
    connection: Connection, market: Market, refreshed: Iterable[Refreshed]
) -> list[RollupCheck]:
    """Compare refreshed ranges with a recomputation from the stored bars, bucket by bucket.

    Where the finer rollup that a rollup stands on is among them, it is compared over the same buckets, and the wider
    one is recomputed from it: what equals a recomputation from the bars may stand for them, and is five times shorter.
    Prices must be equal, volumes to 1e-12 relative (adding doubles in another order may move the last bit).
    """
    windows: dict[Interval, list[Window]] = {}
    for entry in refreshed:
        windows.setdefault(entry.interval, []).append(entry.window)
    levels = [level for level in Interval if level in windows]
    basis = {level: _STANDS_ON[level] if _STANDS_ON.get(level) in windows else level.base for level in levels}
    for level in reversed(levels):  # a finer one is compared wherever it stands for others
        if basis[level] in windows:
            windows[basis[level]] += windows[level]
    return [
        _check(connection, market, Refreshed(level, window), basis[level])
        for level in levels
        for window in merge_windows(windows[level], most=len(windows[level]))
    ]


def buckets(interval: Interval, first: datetime, last: datetime) -> Window:
    """The whole buckets of a rollup that hold the bars from `first` to `last` (inclusive)."""
    start, end = _bucket(interval, first), _bucket(interval, last)
    return Window(start, _next_month(end) if interval.delta is None else end + interval.delta)


def merge_windows(windows: Iterable[Window], most: int = _MOST_RANGES) -> list[Window]:
    """Join windows that touch; when more than `most` are left, join over the smallest gaps."""
    merged: list[Window] = []
    for window in sorted(windows, key=lambda w: w.start):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    if len(merged) <= most:
        return merged
    gaps = sorted(b.start - a.end for a, b in pairwise(merged))
    return _join_gaps(merged, gaps[len(merged) - most - 1])


def _join_gaps(windows: Sequence[Window], widest: timedelta) -> list[Window]:
    joined = [windows[0]]
    for window in windows[1:]:
        if window.start - joined[-1].end <= widest:
            joined[-1] = Window(joined[-1].start, window.end)
        else:
            joined.append(window)
    return joined


def _refresh(
    connection: Connection, market: Market, level: Interval, window: Window, by: str = "refresh_rollup"
) -> None:
    """Refresh a range of a rollup. Where somebody else refreshes it at this moment, wait for that and refresh then.

    TimescaleDB refuses the second of two refreshes of one rollup, and runs policies of its own: each from the moment
    the schema is applied, and every hour or so, so that one can meet any load.
    """
    target, deadline = f"bars.{market.relation(level)}", clock.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.execute(query(by), (target, window.start, window.end))
            return
        except DatabaseBusy as error:
            if not isinstance(error.__cause__, _REFUSED) or clock.monotonic() > deadline:
                raise
            _LOG.info("%s is refreshed by somebody else, trying again: %s", target, error.what)
            clock.sleep(_AGAIN_SECONDS)


def rebuild(connection: Connection, market: Market, level: Interval, window: Window) -> None:
    """Compute whole buckets of a rollup anew, also where no changed bar is known; `connection` is in autocommit.

    What the rollup stands on is rebuilt first.
    """
    if (finer := _STANDS_ON.get(level)) is not None:
        rebuild(connection, market, finer, window)
    _refresh(connection, market, level, window, "rebuild_rollup")


def _check(connection: Connection, market: Market, entry: Refreshed, basis: Interval) -> RollupCheck:
    statement = query("check_rollup").format(
        bars=relation(market, basis),
        rollup=relation(market, entry.interval),
        bucket=_bucket_sql(entry.interval),
    )
    parameters = {"start": entry.window.start, "end": entry.window.end}
    rows = connection.execute(statement, parameters).fetchall()
    counted, differing = rows[0][0], rows[0][1]
    sample = tuple((ticker, time) for _, _, ticker, time in rows if ticker is not None)
    return RollupCheck(entry.interval, entry.window, counted, differing, sample)


def _bucket_sql(interval: Interval) -> sql.Composable:
    """The bucket of a bar by other means than the rollup's own, so that the check does not repeat its mistakes."""
    if interval.delta is None:
        return sql.SQL("date_trunc('month', time, 'UTC')")
    return sql.SQL("date_bin({}, time, timestamptz '2000-01-03 00:00:00+00')").format(
        sql.Literal(interval.delta)
    )


def _bucket(interval: Interval, instant: datetime) -> datetime:
    instant = instant.astimezone(UTC)
    if interval.delta is None:
        return utc(instant.year, instant.month)
    origin = utc(2000, 1, 3)
    return origin + (instant - origin) // interval.delta * interval.delta


def _next_month(month: datetime) -> datetime:
    return utc(month.year + month.month // 12, month.month % 12 + 1)
