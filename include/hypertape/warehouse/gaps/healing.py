"""Reading the gap ledger, and what healing needs of it: which gaps to ask for, and that they were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from hypertape.errors import BadInput
from hypertape.model import EXPLAINED, HEAL_ATTEMPTS, HEALABLE, Interval, Market, Window
from hypertape.queries import query
from hypertape.warehouse.gaps.rules import CONFIRMED_ONCE, REASONS

Connection = psycopg.Connection[Any]


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
    """Entries by market, interval, ticker and time, each with every column of the ledger; open ones, or all.

    `rests` tells those that healing asks for no more.
    """
    limits = {"once": list(CONFIRMED_ONCE), "attempts_limit": HEAL_ATTEMPTS}
    parameters = {**wanted.parameters(), **limits, "closed": closed, "most": most}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("gap_list"), parameters).fetchall()


def healable_gaps(
    connection: Connection,
    market: Market,
    interval: Interval,
    *,
    tickers: Sequence[str] | None = None,
    reasons: Sequence[str] = HEALABLE,
    max_attempts: int = HEAL_ATTEMPTS,
) -> list[HealableGap]:
    """Open gaps with one of the reasons that were not asked for too often, by ticker and time."""
    parameters = _healing(market, interval, tickers, reasons, max_attempts)
    rows = connection.execute(query("gap_healable"), parameters).fetchall()
    return [HealableGap(ticker, Window(start, end), *rest) for ticker, start, end, *rest in rows]


def count_resting(
    connection: Connection,
    market: Market,
    interval: Interval,
    *,
    tickers: Sequence[str] | None = None,
    reasons: Sequence[str] = HEALABLE,
    max_attempts: int = HEAL_ATTEMPTS,
) -> int:
    """How many open gaps that nothing explains are not among the healable ones: they were answered often enough."""
    parameters = _healing(market, interval, tickers, reasons, max_attempts) | {"explained": list(EXPLAINED)}
    row = connection.execute(query("gap_resting"), parameters).fetchone()
    assert row is not None
    return int(row[0])


def _healing(
    market: Market, interval: Interval, tickers: Sequence[str] | None, reasons: Sequence[str], most: int
) -> dict[str, Any]:
    return {
        "market": market.code,
        "interval": interval.value,
        "tickers": None if tickers is None else list(tickers),
        "reasons": [check_reason(reason) for reason in reasons],
        "once": list(CONFIRMED_ONCE),
        "most": most,
    }


def count_attempts(
    connection: Connection, market: Market, interval: Interval, run_id: str, now: datetime
) -> int:
    """Count an attempt of every open gap about which the run was answered; return how many it asked for.

    A second call changes nothing.
    """
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "run_id": run_id,
        "reasons": list(HEALABLE),
        "now": now,
    }
    return connection.execute(query("gap_attempted"), parameters).rowcount


def sessions_line(open_sessions: Mapping[str, int], refused: int) -> str:
    """Open sessions by reason in words; those whose rows were refused are told apart from those nobody could fetch."""
    told = dict.fromkeys(open_sessions, "") | {"fetch failed": f" ({refused} refused)" if refused else ""}
    return ", ".join(f"{sessions} {reason}{told[reason]}" for reason, sessions in open_sessions.items())


def resting_line(resting: int) -> str:
    """What a plan or a list says of gaps that rest; nothing when none does."""
    if not resting:
        return ""
    gaps = "1 gap rests" if resting == 1 else f"{resting} gaps rest"
    return f"{gaps}: asked for often enough, and not again until `hypertape gaps reopen`."


def reopen_gaps(connection: Connection, wanted: GapFilter) -> int:
    """Let healing ask again for gaps whose attempts are used up; return how many."""
    return connection.execute(query("gap_reopen"), wanted.parameters()).rowcount
