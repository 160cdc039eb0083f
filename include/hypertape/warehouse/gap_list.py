"""Reading the gap ledger, and what healing needs of it: which gaps to ask for, and that they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from hypertape.errors import BadInput
from hypertape.model import Interval, Market, Window
from hypertape.queries import query
from hypertape.warehouse.connect import translate_errors
from hypertape.warehouse.gap_rules import REASONS

Connection = psycopg.Connection[Any]

HEALABLE = ("unknown", "fetch failed", "provider empty", "holiday", "halted")
"""What healing asks for when nobody says otherwise."""

CONFIRMED_ONCE = ("holiday", "halted")
"""Conclusions from what others had: one more answer confirms them, then they rest."""

MAX_ATTEMPTS = 3
"""After so many answers without the bars a gap rests until somebody reopens it."""


@dataclass(frozen=True, slots=True)
class GapFilter:
    """Which entries; None does not count. `start` and `end` (UTC) keep those that overlap `[start, end)`."""

    markets: tuple[str, ...] | None = None
    intervals: tuple[str, ...] | None = None
    tickers: tuple[str, ...] | None = None
    reasons: tuple[str, ...] | None = None
    start: datetime | None = None
    end: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """What the statements take. Raises BadInput for a reason there is not."""
        for reason in self.reasons or ():
            check_reason(reason)
        lists = {name: getattr(self, name) for name in ("markets", "intervals", "tickers", "reasons")}
        return {
            **{name: None if value is None else list(value) for name, value in lists.items()},
            "start": self.start,
            "end": self.end,
        }


@dataclass(frozen=True, slots=True)
class HealableGap:
    """An open gap worth asking for: `sessions` without a bar lie in its window; before `due_from` none is due."""

    ticker: str
    window: Window
    sessions: int
    attempts: int
    due_from: datetime


def check_reason(reason: str) -> str:
    """Return the reason. Raises BadInput with the valid ones."""
    if reason not in REASONS[1:]:
        raise BadInput(f"There is no reason {reason!r}", next_step=f"Reasons: {', '.join(REASONS[1:])}.")
    return reason


def list_gaps(
    connection: Connection, wanted: GapFilter, *, closed: bool = False, most: int | None = None
) -> list[dict[str, Any]]:
    """Entries by market, interval, ticker and time, each with every column of the ledger; open ones, or all."""
    parameters = {**wanted.parameters(), "closed": closed, "most": most}
    with translate_errors(connection), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("gap_list"), parameters).fetchall()


def healable_gaps(
    connection: Connection,
    market: Market,
    interval: Interval,
    *,
    tickers: Sequence[str] | None = None,
    reasons: Sequence[str] = HEALABLE,
    max_attempts: int = MAX_ATTEMPTS,
) -> list[HealableGap]:
    """Open gaps with one of the reasons that were not asked for too often, by ticker and time."""
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "tickers": None if tickers is None else list(tickers),
        "reasons": [check_reason(reason) for reason in reasons],
        "confirmed": list(CONFIRMED_ONCE),
        "max_attempts": max_attempts,
    }
    with translate_errors(connection):
        rows = connection.execute(query("gap_healable"), parameters).fetchall()
    return [HealableGap(ticker, Window(start, end), *rest) for ticker, start, end, *rest in rows]


def count_attempts(
    connection: Connection, market: Market, interval: Interval, run_id: str, now: datetime
) -> int:
    """Count an attempt of every open gap that the run asked for; return how many. A second call changes nothing."""
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "run_id": run_id,
        "reasons": list(HEALABLE),
        "now": now,
    }
    with translate_errors(connection):
        return connection.execute(query("gap_attempted"), parameters).rowcount


def reopen_gaps(connection: Connection, wanted: GapFilter) -> int:
    """Let healing ask again for gaps whose attempts are used up; return how many."""
    with translate_errors(connection):
        return connection.execute(query("gap_reopen"), wanted.parameters()).rowcount
