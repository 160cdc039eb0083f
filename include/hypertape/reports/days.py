"""Ticker × session: what is there, what is missing and why, and what the checks and ledgers say of each day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

import numpy as np
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from hypertape import calendars
from hypertape.frame import micros
from hypertape.model import EXPLAINED, Interval, Market, Window, midnight
from hypertape.queries import query
from hypertape.reports.figures import shade
from hypertape.reports.run import rows

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

SESSIONS = 30
TICKERS = 60
"""Columns and rows of a heat map; the tickers that need attention most come first."""

GAP_LETTERS = {
    "holiday": "h",
    "not listed": "n",
    "delisted": "d",
    "halted": "s",
    "provider empty": "e",
    "fetch failed": "f",
    "unknown": "?",
}
_LOOK_BACK = timedelta(days=120)
"""Holds the sessions of a map across the longest closure."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a map of one market and interval is drawn from; keys are (ticker, session)."""

    sessions: tuple[date, ...]
    grid: Mapping[date, int]
    bars: Mapping[tuple[str, date], int]
    marks: Mapping[tuple[str, date], Sequence[Row]]
    gaps: Mapping[tuple[str, date], str]


def gather_days(connection: Connection, market: Market, interval: Interval, now: datetime) -> Row:
    """The map of a market and interval over its newest sessions that are over at `now`."""
    found = calendars.sessions(market, (now - _LOOK_BACK).date(), (now + timedelta(days=2)).date())
    over = [session for session in found if session.closes <= now][-SESSIONS:]
    series = rows(connection, "report_series", market=market.code, interval=interval.value)
    lines: list[Row] = []
    if over:
        sheet = _sheet(connection, market, interval, over)
        lines = [_line(sheet, row, interval) for row in series]
    lines.sort(key=lambda line: (-line["missing"], -line["marked"], line["ticker"]))
    return {
        "market": market.code,
        "title": market.title,
        "interval": interval.value,
        "sessions": [session.date for session in over],
        "lines": lines[:TICKERS],
        "total": len(lines),
        "missing": sum(line["missing"] for line in lines),
        "marked": sum(line["marked"] for line in lines),
    }


def freshness(connection: Connection, market: Market, interval: Interval, now: datetime) -> Row:
    """How many tickers are how many sessions behind: up to date, within what is allowed, late; and the latest ones."""
    series = rows(connection, "report_series", market=market.code, interval=interval.value)
    lag = {last: calendars.session_lag(market, last, now) for last in {row["last_time"] for row in series}}
    behind = sorted(
        ((lag[row["last_time"]], row["ticker"]) for row in series), key=lambda pair: (-pair[0], pair[1])
    )
    allowed = market.freshness_sessions
    return {
        "fresh": sum(sessions == 0 for sessions, _ in behind),
        "allowed": sum(0 < sessions <= allowed for sessions, _ in behind),
        "late": sum(sessions > allowed for sessions, _ in behind),
        "worst": [(ticker, sessions) for sessions, ticker in behind if sessions > allowed][:5],
    }


def _sheet(
    connection: Connection, market: Market, interval: Interval, over: Sequence[calendars.Session]
) -> Sheet:
    dates = tuple(session.date for session in over)
    daily = interval is Interval.D1
    start = midnight(dates[0]) if daily else over[0].opens
    end = midnight(dates[-1]) + timedelta(days=1) if daily else over[-1].closes + timedelta(microseconds=1)
    names = {
        "relation": sql.Identifier("bars", market.relation(interval)),
        "zone": sql.Literal("UTC" if daily else market.timezone),
    }
    place = {"market": market.code, "interval": interval.value, "start": start, "end": end}
    marks: dict[tuple[str, date], list[Row]] = defaultdict(list)
    for mark in _rows(connection, query("report_day_marks").format(**names), place):
        marks[mark["ticker"], mark["session"]].append(mark)
    counted = _rows(connection, query("report_days").format(**names), place)
    return Sheet(
        dates,
        _grid(market, interval, over),
        {(row["ticker"], row["session"]): row["bars"] for row in counted},
        marks,
        _gap_days(rows(connection, "report_day_gaps", **place), over, daily=daily),
    )


def _rows(connection: Connection, statement: sql.Composed, parameters: Row) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def _grid(market: Market, interval: Interval, over: Sequence[calendars.Session]) -> dict[date, int]:
    """Bars that a ticker trading without a pause has in each session."""
    if interval is Interval.D1:
        return {session.date: 1 for session in over}
    margin = interval.delta or timedelta(0)
    window = Window(over[0].opens - margin, over[-1].closes + timedelta(microseconds=1))
    times = calendars.expected_times(market, interval, window)
    edges = [[micros(session.opens - margin), micros(session.closes)] for session in over]
    places = np.searchsorted(times, np.asarray(edges))
    return {session.date: int(last - first) for session, (first, last) in zip(over, places, strict=True)}


def _gap_days(
    found: Sequence[Row], over: Sequence[calendars.Session], *, daily: bool
) -> dict[tuple[str, date], str]:
    days = {}
    for gap in found:
        for session in over:
            at = midnight(session.date) if daily else session.opens
            if gap["start_time"] <= at < gap["end_time"]:
                days[gap["ticker"], session.date] = gap["reason"]
    return days


def _line(sheet: Sheet, series: Row, interval: Interval) -> Row:
    ticker, first = series["ticker"], series["first_time"].astimezone(UTC).date()
    there = [sheet.bars[ticker, day] for day in sheet.sessions if (ticker, day) in sheet.bars]
    usual = 1.0 if interval is Interval.D1 or not there else median(there)
    cells = [_cell(sheet, ticker, day, due=day >= first, usual=usual) for day in sheet.sessions]
    return {
        "ticker": ticker,
        "cells": cells,
        "missing": sum(cell["missing"] for cell in cells),
        "marked": sum(cell["marked"] for cell in cells),
    }


def _cell(sheet: Sheet, ticker: str, day: date, *, due: bool, usual: float) -> Row:
    bars, marks = sheet.bars.get((ticker, day), 0), sheet.marks.get((ticker, day), ())
    reason = sheet.gaps.get((ticker, day)) if not bars else None
    excused = not due or reason in EXPLAINED
    ratio = None if excused and not bars else min(bars / usual, 1.0)
    told = [f"{ticker} {day}: {bars} of {sheet.grid.get(day, 0)}"]
    told += [f"gap: {reason}"] * bool(reason)
    told += [f"{mark['kind']}: {', '.join(mark['what'])}" for mark in marks]
    return {
        "shade": shade(ratio),
        "flag": _flag(marks),
        "text": (GAP_LETTERS[reason] if reason else "") or _sign(marks) or _amount(ratio, due=due),
        "title": "; ".join(told),
        "missing": int(due and not bars and not excused),
        "marked": len(marks),
    }


def _flag(marks: Sequence[Row]) -> str:
    """The frame of a cell that somebody should look at."""
    if any(mark["critical"] for mark in marks):
        return "flag-bad"
    return "flag-note" if any(mark["kind"] != "restated" for mark in marks) else ""


def _sign(marks: Sequence[Row]) -> str:
    """One character for the worst that is said of a day."""
    kinds = {mark["kind"] for mark in marks}
    if any(mark["critical"] for mark in marks):
        return "✕"
    return next(
        (sign for kind, sign in (("check", "!"), ("refused", "q"), ("restated", "r")) if kind in kinds), ""
    )


def _amount(ratio: float | None, *, due: bool) -> str:
    if ratio is None:
        return "–" if due else "·"
    return "✓" if ratio >= 1.0 else str(int(100 * ratio))
