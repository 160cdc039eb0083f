"""The small tables beside the bars: sessions, symbols, watermarks, and what a run loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from hypertape.calendars import Session, sessions
from hypertape.model import Interval, Market, Window, midnight
from hypertape.queries import query
from hypertape.warehouse.connect import translate_errors

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
    """Let SQL see the calendar's sessions of a plan; changed hours are corrected."""
    if not found:
        return
    with translate_errors(connection):
        connection.execute(
            query("register_sessions"),
            (market.code, [s.date for s in found], [s.opens for s in found], [s.closes for s in found]),
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
    with translate_errors(connection):
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


def watermarks(connection: Connection, market: Market, interval: Interval) -> dict[str, datetime]:
    """Per ticker, the end of the last window that was loaded and validated, or known to be empty for good (UTC)."""
    with translate_errors(connection):
        rows = connection.execute(query("watermarks"), (market.code, interval.value)).fetchall()
    return dict(rows)


def series_starts(
    connection: Connection, market: Market, interval: Interval, tickers: Iterable[str]
) -> dict[str, datetime]:
    """The opening of the first stored bar of each of some tickers (UTC); those without any are absent."""
    wanted = set(tickers)
    parameters = {"market": market.code, "interval": interval.value}
    with translate_errors(connection):
        rows = connection.execute(query("series_starts"), parameters).fetchall()
    return {ticker: first for ticker, first in rows if ticker in wanted}


def advance_watermarks(connection: Connection, market: Market, interval: Interval, run_id: str) -> int:
    """Move the watermark of every ticker the run loaded to the end of its window; return how many moved.

    A watermark never moves back and never jumps over a hole: a window that starts after it leaves it where it is.
    """
    parameters = {
        "run_id": run_id,
        "market": market.code,
        "interval": interval.value,
        "history_start": midnight(market.history_start[interval]),
    }
    with translate_errors(connection):
        moved = connection.execute(query("advance_watermarks"), parameters).rowcount
        connection.execute(query("seen_symbols"), (market.code, interval.value))
    return moved


def run_loads(connection: Connection, market: Market, interval: Interval, run_id: str) -> list[RunLoad]:
    """What a run did to each ticker: the status of its last attempt and the sum of its counts."""
    with translate_errors(connection):
        rows = connection.execute(query("run_loads"), (run_id, market.code, interval.value)).fetchall()
    return [RunLoad(*row) for row in rows]
