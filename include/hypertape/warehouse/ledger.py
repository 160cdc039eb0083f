"""The small tables beside the bars: sessions, symbols, watermarks, and what a run loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from hypertape.calendars import Session, expected_times, provisional_from, sessions
from hypertape.frame import Micros, instant, micros
from hypertape.model import EXPLAINED, Interval, Market, Window, midnight
from hypertape.queries import query

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class RunLoad:
    """The sum of a run's last attempt per ticker."""

    ticker: str
    status: str
    source: str
    inserted: int
    updated: int
    recomputed: int
    unchanged: int
    quarantined: int
    error: str | None


def register_sessions(connection: Connection, market: Market, found: Sequence[Session]) -> None:
    """Let SQL see the consecutive sessions of a plan; changed hours are corrected, and what is none any more goes."""
    if not found:
        return
    connection.execute(
        query("register_sessions"),
        {
            "market": market.code,
            "sessions": [s.date for s in found],
            "opens_at": [s.opens for s in found],
            "closes_at": [s.closes for s in found],
        },
    )


def register_calendar(connection: Connection, market: Market, window: Window, until: datetime) -> None:
    """Let SQL see the sessions from a day before a window to a day after what can be due at `until`.

    Suites compare bars with these. Whoever plans or validates a window calls this first.
    """
    last = min(window.end, until).astimezone(UTC).date() + timedelta(days=2)
    first = min(window.start.astimezone(UTC).date() - timedelta(days=1), last)
    register_sessions(connection, market, sessions(market, first, last))


def register_symbols(connection: Connection, market: Market, tickers: Iterable[str]) -> None:
    """Add tickers to `symbols`, with what the market's file knows of them."""
    names = sorted(tickers)
    rows = [market.by_ticker.get(ticker) for ticker in names]
    connection.execute(
        query("register_symbols"),
        (
            market.code,
            names,
            [row.name if row else None for row in rows],
            [market.kind_of(ticker) for ticker in names],
            [row.group if row else None for row in rows],
        ),
    )


def database_now(connection: Connection) -> datetime:
    """The present by the database's clock (UTC): the one clock that all hosts share."""
    row = connection.execute(query("database_now")).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now.astimezone(UTC)


def known_tickers(connection: Connection, market: Market) -> set[str]:
    """The tickers of a market that have bars of any interval, or are in `symbols`."""
    return {ticker for (ticker,) in connection.execute(query("known_tickers"), {"market": market.code})}


def resume_points(
    connection: Connection, market: Market, interval: Interval, end: datetime
) -> dict[str, datetime]:
    """Where a run up to `end` continues, per ticker that has a watermark (UTC): at its watermark, but never after the
    first bar it lacks behind its last one, unless the gap ledger excuses it (delisted, halted, not listed).

    So what a source delivers weeks late is asked for by the next ordinary run. Of hours and minutes it is the full hour
    before that bar, after a day the day: tickers that lag a little share their requests.
    """
    parameters = {"market": market.code, "interval": interval.value, "explained": list(EXPLAINED)}
    rows = connection.execute(query("resume_points"), parameters).fetchall()
    if not rows:
        return {}
    grid = expected_times(market, interval, Window(min(min(row[2] for row in rows), end), end))
    return {
        ticker: _resume(market, interval, grid, watermark, last, starts, ends)
        for ticker, watermark, last, starts, ends in rows
    }


def _resume(
    market: Market,
    interval: Interval,
    grid: Micros,
    watermark: datetime,
    last: datetime,
    starts: Sequence[datetime],
    ends: Sequence[datetime],
) -> datetime:
    """Where one ticker continues. `starts` and `ends` are the stretches after its last bar that are excused."""
    lacking = grid[np.searchsorted(grid, micros(last), "right") :]
    for start, end in zip(starts, ends, strict=True):
        lacking = lacking[(lacking < micros(start)) | (lacking >= micros(end))]
    reached = max([watermark, *(end for end in ends if not len(lacking) or micros(end) <= lacking[0])])
    if not len(lacking):
        return reached
    first = instant(int(lacking[0]))
    width = interval.delta
    assert width is not None
    if first + width > watermark or not is_over(market, interval, first, watermark):
        return reached
    return first if interval is Interval.D1 else _shared(first, watermark)


def is_over(market: Market, interval: Interval, opening: datetime, at: datetime) -> bool:
    """True when the bar that opened then was final at an instant."""
    return opening < provisional_from(market, interval, at)


def _shared(first: datetime, watermark: datetime) -> datetime:
    """The hour of an instant, or of one long ago the day."""
    hour = first.replace(minute=0, second=0, microsecond=0)
    return hour if watermark - first < timedelta(days=1) else hour.replace(hour=0)


def series_starts(
    connection: Connection, market: Market, interval: Interval, tickers: Iterable[str]
) -> dict[str, datetime]:
    """The opening of the first stored bar of each of some tickers (UTC); those without any are absent."""
    wanted = set(tickers)
    parameters = {"market": market.code, "interval": interval.value}
    rows = connection.execute(query("series_starts"), parameters).fetchall()
    return {ticker: first for ticker, first in rows if ticker in wanted}


def advance_watermarks(
    connection: Connection, market: Market, interval: Interval, run_id: str, held: Iterable[str] = ()
) -> int:
    """Move the watermark of every ticker the run loaded to the end of its window, but for those that are held; return
    how many moved.

    A watermark never jumps over a hole: a window that starts after it leaves it where it is. It is at most the present
    by the database's clock and moves back to it where it lies in the future; nothing else moves it back.
    """
    parameters = {
        "run_id": run_id,
        "market": market.code,
        "interval": interval.value,
        "history_start": midnight(market.history_start[interval]),
        "held": list(held),
    }
    moved = connection.execute(query("advance_watermarks"), parameters).rowcount
    connection.execute(query("seen_symbols"), (market.code, interval.value))
    return moved


def run_loads(connection: Connection, market: Market, interval: Interval, run_id: str) -> list[RunLoad]:
    """What a run did to each ticker: the status of its last attempt and the sum of its counts."""
    rows = connection.execute(query("run_loads"), (run_id, market.code, interval.value)).fetchall()
    return [RunLoad(*row) for row in rows]
