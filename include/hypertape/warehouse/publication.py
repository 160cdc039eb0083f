"""Publishing: readers of the schema `published` see a series as it was known when its checks passed, and nothing later.

Loading is not publishing. A load notes, in its own transaction, from where on a series is stored otherwise than it is
published (`published.changed_from`); its readers go on seeing what they saw. When a run's checks have passed,
`publish_series` moves the instant up to which its series are published. A series that a critical check found fault with
stays where it is, and so does one that another run is still loading: what a run left half done is never seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from hypertape.model import Interval, Market, Window
from hypertape.queries import query

Connection = psycopg.Connection[Any]

PATIENCE = timedelta(hours=6)
"""A run that has loaded nothing for so long, and has not checked what it loaded, is over: the next one does it."""

MOST_ANNOUNCED = 31
"""Sessions that one run tells of one by one; after a long backfill the older ones are only counted."""

Held = Mapping[str, tuple[str, ...]]
"""Tickers that are held, each with the critical checks that hold it."""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """What is stored of a series and not published: the span of what changed, and the run that is not done yet."""

    ticker: str
    first: datetime
    last: datetime
    waits_for: str | None


@dataclass(frozen=True, slots=True)
class PublishedSeries:
    """The tickers that were published, those held with the checks that hold them, those that wait for another run, and
    the sessions that are complete by it."""

    published: tuple[str, ...] = ()
    held: Held = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    sessions: tuple[date, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "published": len(self.published),
            "held": {ticker: list(checks) for ticker, checks in self.held.items()},
            "waiting": dict(self.waiting),
            "sessions": len(self.sessions),
        }


@dataclass(frozen=True, slots=True)
class Announced:
    """Sessions that a run tells of, oldest first, those among them that were published before, and how many older ones
    there are that it does not name."""

    sessions: tuple[date, ...] = ()
    restated: tuple[date, ...] = ()
    older: int = 0


def known_now(connection: Connection) -> datetime:
    """An instant with nothing under way, taken in a transaction of its own (UTC)."""
    row = connection.execute(query("known_now")).fetchone()
    connection.commit()
    assert row is not None
    instant: datetime = row[0]
    return instant


def unpublished(
    connection: Connection,
    market: Market,
    interval: Interval,
    run_id: str,
    instant: datetime,
    tickers: Sequence[str] | None = None,
) -> list[Unpublished]:
    """What loads known by an instant changed of some series (None: of all) since they were published."""
    parameters = {
        **_place(market, interval, run_id),
        "tickers": None if tickers is None else list(tickers),
        "instant": instant,
        "patience": PATIENCE,
    }
    statement = query("publish_changes")
    return [Unpublished(*row) for row in connection.execute(statement, parameters).fetchall()]


def not_looked_at(found: Iterable[Unpublished], window: Window) -> tuple[list[str], Window] | None:
    """The series of which something unpublished lies outside a window, and the span of it; None when there is none.

    Those that wait for another run are that run's to check.
    """
    outside = [
        each
        for each in found
        if each.waits_for is None and not (window.start <= each.first and each.last < window.end)
    ]
    if not outside:
        return None
    last = max(each.last for each in outside) + timedelta(microseconds=1)
    return [each.ticker for each in outside], Window(min(each.first for each in outside), last)


def publish_series(
    connection: Connection,
    market: Market,
    interval: Interval,
    run_id: str,
    tickers: Sequence[str],
    held: Held,
    instant: datetime,
) -> PublishedSeries:
    """Let some series be read as they were known at an instant, but for those that are held or that another run is
    loading; note the sessions that are complete by it. One transaction, which the caller commits.

    `instant` is the one that the checks behind `held` began at (`known_now`).
    """
    place = _place(market, interval, run_id)
    connection.execute(query("publish_lock"), {**place, "tickers": sorted(tickers)})
    changes = unpublished(connection, market, interval, run_id, instant, tickers)
    waiting = {c.ticker: c.waits_for for c in changes if c.waits_for is not None and c.ticker not in held}
    chosen = [ticker for ticker in sorted(tickers) if ticker not in held and ticker not in waiting]
    connection.execute(query("publish_series"), {**place, "tickers": chosen, "instant": instant})
    _hold(connection, place, held, instant)
    moved = set(chosen)
    sessions = _sessions(connection, place, [c for c in changes if c.ticker in moved], instant)
    return PublishedSeries(tuple(chosen), dict(held), waiting, sessions)


def announce(connection: Connection, market: Market, interval: Interval, run_id: str) -> Announced:
    """Take the complete sessions that nobody was told of, whoever published them; asked again, the same run gets the
    same. The caller commits."""
    parameters = {**_place(market, interval, run_id), "most": MOST_ANNOUNCED}
    rows = connection.execute(query("announce_sessions"), parameters).fetchall()
    return Announced(
        tuple(session for session, _, _ in rows),
        tuple(session for session, restated, _ in rows if restated),
        rows[0][2] - len(rows) if rows else 0,
    )


def session_counts(
    connection: Connection, market: Market, interval: Interval, sessions: Sequence[date]
) -> dict[date, tuple[int, int]]:
    """How many tickers have published bars in each of some sessions, and how many bars."""
    statement = query("session_counts").format(
        relation=sql.Identifier("published", market.relation(interval))
    )
    rows = connection.execute(statement, {"market": market.code, "sessions": list(sessions)}).fetchall()
    return {session: (tickers, bars) for session, tickers, bars in rows}


def published_sessions(
    connection: Connection, market: Market, interval: Interval, first: date, last: date
) -> set[date]:
    """The sessions between two days (both included) that are complete and published."""
    parameters = {"market": market.code, "interval": interval.value, "first": first, "last": last}
    return {session for (session,) in connection.execute(query("published_sessions"), parameters)}


def held_tickers(connection: Connection, market: Market, interval: Interval) -> list[str]:
    """The tickers that a critical check holds where they are, sorted."""
    parameters = {"market": market.code, "interval": interval.value}
    return [ticker for (ticker,) in connection.execute(query("publish_held"), parameters)]


def published_tickers(connection: Connection, market: Market, interval: Interval) -> list[str]:
    """Every ticker that publishing knows, sorted."""
    parameters = {"market": market.code, "interval": interval.value}
    return [ticker for (ticker,) in connection.execute(query("published_tickers"), parameters)]


def _hold(connection: Connection, place: Mapping[str, str], held: Held, instant: datetime) -> None:
    if held:
        arrays = {"tickers": list(held), "checks": [",".join(checks) for checks in held.values()]}
        connection.execute(query("publish_hold"), {**place, **arrays, "instant": instant})


def _sessions(
    connection: Connection, place: Mapping[str, str], changes: Sequence[Unpublished], instant: datetime
) -> tuple[date, ...]:
    spans = {"firsts": [each.first for each in changes], "lasts": [each.last for each in changes]}
    rows = connection.execute(query("publish_sessions"), {**place, **spans, "instant": instant}).fetchall()
    return tuple(sorted(session for (session,) in rows))


def _place(market: Market, interval: Interval, run_id: str) -> dict[str, str]:
    return {"market": market.code, "interval": interval.value, "run_id": run_id}
