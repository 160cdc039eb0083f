"""Refreshing the candles exactly where ticks came, and proving them equal to their ticks.

A batch of ticks notes where it lies in `tick_pending`, in its own transaction. A refresh takes the notes that are
there, brings every level from the finest to the widest up to date over their buckets, and only then removes them: a
level that fails stops the levels above it, and the next refresh finds the notes again. Nothing before
`tick_state.dropped_before` is touched (`hypertape.refresh_tick_rollup`). One refresher works at a time, by a lease
that ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from hypertape.errors import HypertapeError
from hypertape.model import TIMEFRAMES, Window, utc
from hypertape.queries import query
from hypertape.warehouse.rollups import merge_windows

Connection = psycopg.Connection[Any]

LEASE = timedelta(minutes=3)
"""A refresher that is silent for so long has died; each call covers a day at most and is far shorter."""

_ORIGIN = utc(2000, 1, 3)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RefreshedCandles:
    """One refreshed range of one level: whole buckets, half-open, UTC."""

    timeframe: str
    window: Window


@dataclass(frozen=True, slots=True)
class CandleCheck:
    """One level compared with a recomputation from its ticks. `sample` holds (symbol_id, open_time) of differing
    buckets."""

    timeframe: str
    buckets: int
    differing: int
    sample: tuple[tuple[int, datetime], ...]


def refresh_candles(connection: Connection, holder: str) -> list[RefreshedCandles] | None:
    """Refresh every level over the noted ranges; return what was refreshed, None while somebody else is at it.

    `connection` is in autocommit mode: a refresh cannot run inside a transaction. `holder` names the caller. Raises
    what `translate_errors` raises; the notes stay then.
    """
    done: list[RefreshedCandles] = []
    with _lease(connection, holder) as held:
        if not held:
            return None
        notes = connection.execute(query("stream_pending_ticks")).fetchall()
        for timeframe in TIMEFRAMES:
            for window in _windows(timeframe, [(first, last) for _, first, last in notes]):
                _extend(connection, holder)
                connection.execute(
                    query("stream_refresh_rollup"), (f"bars.ohlc_{timeframe}", window.start, window.end)
                )
                done.append(RefreshedCandles(timeframe, window))
        connection.execute(query("stream_forget_pending"), ([note_id for note_id, _, _ in notes],))
    return done


def note_window(connection: Connection, window: Window) -> None:
    """Ask the next refresh for this range too."""
    connection.execute(query("stream_note_window"), (window.start, window.end))


def pending_notes(connection: Connection) -> tuple[int, datetime | None]:
    """How many ranges wait for their refresh, and since when."""
    row = connection.execute(query("stream_pending_count")).fetchone()
    assert row is not None
    return row[0], row[1]


def check_candles(
    connection: Connection, window: Window, timeframes: Iterable[str] = tuple(TIMEFRAMES)
) -> list[CandleCheck]:
    """Compare every bucket that begins in a window with its ticks, as far as raw ticks cover it."""
    return [_check(connection, timeframe, window) for timeframe in timeframes]


def buckets(timeframe: str, first: datetime, last: datetime) -> Window:
    """The whole buckets that hold the ticks from `first` to `last` (inclusive)."""
    width = TIMEFRAMES[timeframe]
    start = _ORIGIN + (first - _ORIGIN) // width * width
    return Window(start, _ORIGIN + (last - _ORIGIN) // width * width + width)


def _windows(timeframe: str, spans: Iterable[tuple[datetime, datetime]]) -> Iterator[Window]:
    """The ranges to refresh, none longer than a day: each call is short, and the lease is kept between them."""
    for window in merge_windows(buckets(timeframe, first, last) for first, last in spans):
        start = window.start
        while start < window.end:
            end = min(_ORIGIN + ((start - _ORIGIN) // _DAY + 1) * _DAY, window.end)
            yield Window(start, end)
            start = end


@contextmanager
def _lease(connection: Connection, holder: str) -> Iterator[bool]:
    held = _extend(connection, holder)
    try:
        yield held
    finally:
        if held and not connection.closed and not connection.broken:
            connection.execute(query("stream_release_refresh"), (holder,))


def _extend(connection: Connection, holder: str) -> bool:
    parameters = {"holder": holder, "lease": LEASE}
    return connection.execute(query("stream_lease_refresh"), parameters).rowcount == 1


def _check(connection: Connection, timeframe: str, window: Window) -> CandleCheck:
    statement = query("stream_check_rollup").format(
        rollup=sql.Identifier("bars", f"ohlc_{timeframe}"), width=sql.Literal(TIMEFRAMES[timeframe])
    )
    rows = connection.execute(statement, {"start": window.start, "end": window.end}).fetchall()
    if not rows:
        raise HypertapeError("The comparison of candles answered nothing", next_step="This is a defect.")
    sample = tuple((symbol, time) for _, _, symbol, time in rows if symbol is not None)
    return CandleCheck(timeframe, rows[0][0], rows[0][1], sample)
