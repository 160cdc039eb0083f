"""Who is told which sessions are complete: once when one is published, and again when it was restated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from hypertape.calendars import sessions
from hypertape.model import Interval, Market
from hypertape.steps.run_spec import Json, RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.publication import (
    Announced,
    held_tickers,
    published_sessions,
    session_counts,
)
from hypertape.warehouse.publication import (
    announce as take,
)

_WEEK = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class News:
    """What a run has to tell: sessions, and of daily bars the weeks (by their Monday) whose last one is there."""

    facts: Json
    sessions: tuple[str, ...] = ()
    weeks: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {"facts": self.facts, "sessions": list(self.sessions), "weeks": list(self.weeks)}


def announce(dsn: str, spec: RunSpec) -> News:
    """Take the sessions that are complete and nobody was told of, whoever published them.

    The facts are market, interval, run, sessions, those that were restated, how many older ones there are, tickers and
    bars of each, and the tickers that checks hold. A task that is tried again gets what it got before.
    """
    place = (spec.market, spec.interval)
    with connect(dsn) as connection:
        found = take(connection, *place, spec.run_id)
        counts = session_counts(connection, *place, found.sessions)
        weeks: tuple[date, ...] = ()
        if spec.interval is Interval.D1 and found.sessions:
            first, last = _monday(found.sessions[0]), _monday(found.sessions[-1]) + _WEEK
            weeks = whole_weeks(
                spec.market, found.sessions, published_sessions(connection, *place, first, last)
            )
        held = held_tickers(connection, *place)
        connection.commit()
    facts = _facts(spec, found, held) | {
        "counts": {str(session): {"tickers": n, "bars": bars} for session, (n, bars) in counts.items()}
    }
    return News(facts, tuple(map(str, found.sessions)), tuple(map(str, weeks)))


def whole_weeks(market: Market, told: Sequence[date], published: set[date]) -> tuple[date, ...]:
    """The Mondays of the weeks that some sessions lie in, where all sessions of the calendar's week are published."""
    mondays = sorted({_monday(session) for session in told})
    return tuple(
        monday
        for monday in mondays
        if {session.date for session in sessions(market, monday, monday + _WEEK)} <= published
    )


def _facts(spec: RunSpec, found: Announced, held: Sequence[str]) -> Json:
    return {
        "market": spec.market.code,
        "interval": spec.interval.value,
        "run_id": spec.run_id,
        "sessions": [str(session) for session in found.sessions],
        "restated": [str(session) for session in found.restated],
        "older": found.older,
        "held": list(held),
    }


def _monday(session: date) -> date:
    return session - timedelta(days=session.weekday())
