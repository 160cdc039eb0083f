"""What the gap ledger ought to say at the end of the year, session by session: from the plot alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import psycopg
from story import VN, Plot, Story, calendar_days

from hypertape.model import midnight


@dataclass(frozen=True, order=True)
class Missing:
    """A session without a bar: why, and whether its bar came later."""

    ticker: str
    session: date
    reason: str
    arrived: bool


def expected_gaps(plot: Plot) -> set[Missing]:
    """Every session in which a ticker had no bar when a run looked for one."""
    return {missing for story in plot.stories for missing in _of(plot, story)}


def _of(plot: Plot, story: Story) -> Iterable[Missing]:
    reasons: dict[date, tuple[str, bool]] = {}
    over = midnight(plot.days[-1] + timedelta(days=1))
    begin = VN.history_start[plot.interval]
    listed = max(story.listed, plot.history)
    reasons |= dict.fromkeys(calendar_days(begin, listed - timedelta(days=1)), ("not listed", False))
    if plot.closed:
        reasons[plot.closed] = ("holiday", False)
    reasons |= dict.fromkeys(story.halted, ("halted", False))
    for hole in story.holes:
        reasons |= dict.fromkeys(hole.sessions, ("provider empty", hole.seen < over))
    for correction in story.corrections:
        if correction.refused:
            reasons[correction.session] = ("fetch failed", correction.seen < over)
    if story.slips:  # the first answers, which ask for everything, are refused
        reasons |= dict.fromkeys(calendar_days(listed, story.slips[-1]), ("fetch failed", True))
    away = [
        day for day in (*plot.outage, *story.fails) if story.asked <= day and listed <= day < story.delisted
    ]
    reasons |= dict.fromkeys(away, ("fetch failed", True))
    if story.delisted != date.max:
        reasons |= dict.fromkeys(calendar_days(story.delisted, plot.days[-1]), ("delisted", False))
    return [
        Missing(story.ticker, day, reason, arrived)
        for day, (reason, arrived) in reasons.items()
        if day <= plot.days[-1]
    ]


def found_gaps(connection: psycopg.Connection[Any], plot: Plot) -> list[Missing]:
    """The ledger, session by session; an entry that was told twice is in it twice."""
    rows = connection.execute(
        "select ticker, start_time, end_time, reason, closed_at is not null, coalesce(closed_reason, 'arrived') "
        "from gap where market = 'vn' and interval = %s",
        (plot.interval.value,),
    ).fetchall()
    assert {closed_reason for *_, closed_reason in rows} <= {"arrived"}
    return [
        Missing(ticker, day, reason, closed)
        for ticker, start, end, reason, closed, _ in rows
        for day in calendar_days(start.date(), (end - timedelta(microseconds=1)).date())
    ]
