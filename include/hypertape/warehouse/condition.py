"""The condition of a session of a series, in four words, as the ledgers know it; no bar is read for it.

available: its bars are there. degraded: they are, and something is wrong with them. pending: they may still come.
missing: they are not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from hypertape import calendars
from hypertape.model import Interval, Market
from hypertape.queries import query

Connection = psycopg.Connection[Any]

AVAILABLE, DEGRADED, PENDING, MISSING = "available", "degraded", "pending", "missing"
CONDITIONS = (AVAILABLE, DEGRADED, PENDING, MISSING)


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of one session of one ticker, and why it is not available."""

    session: date
    ticker: str
    condition: str
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "session": self.session.isoformat(), "reasons": list(self.reasons)}


def conditions(
    connection: Connection,
    market: Market,
    interval: Interval,
    start: date,
    end: date,
    *,
    now: datetime,
    tickers: Sequence[str] | None = None,
) -> list[Condition]:
    """The conditions of every session from `start` to `end` (dates, both included) of every ticker that has bars."""
    found = calendars.sessions(market, start, end + timedelta(days=1))
    wanted = [session for session in found if session.opens <= now]
    fresh = _may_still_come(market, now)
    named = {
        "market": market.code,
        "interval": interval.value,
        "tickers": None if tickers is None else list(tickers),
        "days": [session.date for session in wanted],
        "opens": [session.opens for session in wanted],
        "closes": [session.closes for session in wanted],
        "now": now,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_condition(row, fresh) for row in cursor.execute(query("condition"), named)]


def _may_still_come(market: Market, now: datetime) -> date:
    """The first session that a vendor may still be late with: as many as the market allows."""
    last = calendars.last_closed_session(market, now)
    if last is None:
        return now.date()
    allowed = market.freshness_sessions
    recent = calendars.sessions(
        market, last.date - timedelta(days=30 + 2 * allowed), last.date + timedelta(days=1)
    )
    return recent[-allowed].date if 0 < allowed <= len(recent) else last.date + timedelta(days=1)


def _condition(row: Mapping[str, Any], fresh: date) -> Condition:
    session, ticker = row["day"], row["ticker"]
    if row["before_first"]:
        return Condition(session, ticker, MISSING, ("before the ticker's first bar",))
    if row["after_last"] and (row["running"] or session >= fresh):
        why = "the session is not over" if row["running"] else "within what its market allows to be late"
        return Condition(session, ticker, PENDING, (why,))
    if row["after_last"] or row["gaps"]:
        return Condition(session, ticker, MISSING, tuple(row["gaps"] or ("after the ticker's last bar",)))
    reasons = [
        *(f"flagged: {rule}" for rule in row["flags"] or ()),
        *(f"refused rows: {rule}" for rule in row["refused"] or ()),
        *(row["checks"] or ()),
    ]
    if row["holes"]:
        reasons.insert(0, f"{row['holes']} bars inside the session are missing")
    if reasons:
        return Condition(session, ticker, DEGRADED, tuple(reasons))
    if row["running"] or row["provisional"]:
        why = "the session is not over" if row["running"] else "its last bar is provisional"
        return Condition(session, ticker, PENDING, (why,))
    return Condition(session, ticker, AVAILABLE)
