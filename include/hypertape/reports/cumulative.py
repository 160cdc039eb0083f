"""What the cumulative report shows: the state of the warehouse as of an instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from hypertape import calendars
from hypertape.markets import all_markets
from hypertape.model import Interval, Market, midnight
from hypertape.queries import query
from hypertape.reports.days import freshness, gather_days
from hypertape.reports.figures import bars_by_day, months_between, shade
from hypertape.reports.run import MOST, rows
from hypertape.reports.trend import gather_runs
from hypertape.reports.verdict import BAD, GOOD, NOTE, UNKNOWN, Statement, plural, said
from hypertape.warehouse.findings import findings, headline, open_findings

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

TREND_DAYS = 90
CHANGED = timedelta(days=1)
"""Without a report before, what opened or closed so lately is told as a change."""
BACKFILLS = 20
COVERAGE_MONTHS = 24
COVERAGE_TICKERS = 60
"""Rows of a heat map; the worst covered come first."""


def gather_all(
    connection: Connection,
    now: datetime,
    since: datetime | None,
    markets: Collection[str] | None,
    before: datetime | None = None,
) -> Row:
    """Everything the template `cumulative.html` needs; changes are told since `before`, else since a day."""
    since = since or now - timedelta(days=TREND_DAYS)
    chosen = {"markets": sorted(markets) if markets is not None else None}
    last_runs = {
        (run["market"], run["interval"]): run for run in rows(connection, "report_last_runs", **chosen)
    }
    holdings = [
        _holding(connection, row, last_runs, now) for row in rows(connection, "report_holdings", **chosen)
    ]
    offenders = rows(connection, "report_offenders", since=since, most=30, **chosen)
    days = [_days(connection, row, now) for row in holdings if row["market"] in all_markets()]
    runs = gather_runs(connection, since, markets)
    found = open_findings(connection, now, markets=chosen["markets"])
    return {
        "now": now,
        "since": since,
        "synthetic": [row for row in holdings if row["synthetic"]],
        "verdict": said(headline(found, empty=not holdings)),
        "todo": found[:MOST],
        "todo_total": len(found),
        "changed": _changed(connection, now, before, chosen["markets"]),
        "holdings": holdings,
        "trends": _trends(rows(connection, "report_trend", since=since, **chosen), since, now),
        "coverage": [
            _coverage(connection, row)
            for row in holdings
            if row["interval"] == Interval.D1 and row["market"] in all_markets()
        ],
        "offenders": offenders,
        "offenders_total": offenders[0]["total"] if offenders else 0,
        "runs": runs,
        "days": days,
        "anchors": _anchors(days, runs),
        "restatements": rows(connection, "report_restatements", since=since, most=MOST, **chosen),
        "backfills": rows(connection, "report_backfills", since=since, most=BACKFILLS, **chosen),
        "quarantine": rows(connection, "report_open_quarantine", **chosen)[:MOST],
        "pending": rows(connection, "report_pending", intervals=None, **chosen),
        "gaps": rows(connection, "report_gaps", intervals=None, since=since, **chosen),
    }


def _changed(
    connection: Connection, now: datetime, report: datetime | None, markets: Sequence[str] | None
) -> Row:
    """The numbers of the findings that opened since the report before, and the titles of those that are over since."""
    before = report or now - CHANGED
    known = findings(connection, now, markets=markets, closed=True)
    return {
        "since": before,
        "report": report is not None,
        "new": {each.finding_id for each in known if each.closed_at is None and each.opened_at > before},
        "over": [each.title for each in known if each.closed_at is not None and each.closed_at > before],
    }


def _anchors(days: Sequence[Row], runs: Sequence[Row]) -> set[str]:
    """The places of the page that others may link to: a map, a ticker's line in it, a table of runs."""
    maps = {f"days-{each['market']}-{each['interval']}": each["lines"] for each in days}
    lines = {f"{name}-{line['ticker']}" for name, found in maps.items() for line in found}
    return {*maps, *lines, *(f"runs-{each['market']}-{each['interval']}" for each in runs)}


def _days(connection: Connection, holding: Row, now: datetime) -> Row:
    return gather_days(connection, all_markets()[holding["market"]], Interval(holding["interval"]), now)


def _holding(connection: Connection, row: Row, last_runs: dict[tuple[str, str], Row], now: datetime) -> Row:
    market = all_markets().get(row["market"])
    run = last_runs.get((row["market"], row["interval"]))
    behind = calendars.session_lag(market, row["last_time"], now) if market else None
    allowed = market.freshness_sessions if market else 0
    return {
        **row,
        "behind": behind,
        "late": behind is not None and behind > allowed,
        "freshness": freshness(connection, market, Interval(row["interval"]), now) if market else None,
        "run": run,
        "verdict": _of_run(run),
    }


def _of_run(run: Row | None) -> Statement:
    if run is None:
        return Statement(UNKNOWN, "never checked")
    if run["critical"]:
        return Statement(BAD, f"{run['critical']} critical", tuple(run["names"]))
    if run["broken"]:
        return Statement(UNKNOWN, f"{plural(run['broken'], 'rule')} did not run", tuple(run["names"]))
    if run["warnings"]:
        return Statement(NOTE, plural(run["warnings"], "warning"), tuple(run["names"]))
    idle, checks = run["not_evaluated"], run["checks"]
    if idle == checks:
        return Statement(UNKNOWN, "nothing to check")
    return Statement(
        GOOD, f"{checks - idle} passed, {idle} not evaluated" if idle else f"all {checks} passed"
    )


def _trends(found: Sequence[Row], since: datetime, now: datetime) -> list[Row]:
    by_place: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in found:
        by_place[row["market"], row["interval"]].append(row)
    start, end = since.astimezone(UTC).date(), now.astimezone(UTC).date()
    return [
        _trend(market, interval, days, start, end) for (market, interval), days in sorted(by_place.items())
    ]


def _trend(market: str, interval: str, days: Sequence[Row], start: date, end: date) -> Row:
    lines = []
    for name, kind in (("critical", "bad"), ("warnings", "note"), ("quarantined", "held")):
        counts = {row["day"]: int(row[name]) for row in days}
        total = sum(counts.values())
        label = f"{market} {interval}, {name} by day: {total} in all" + (
            f", most on {max(counts, key=lambda day: counts[day])}" if total else ""
        )
        lines.append(
            {"name": name, "total": total, "figure": bars_by_day(counts, start, end, label=label, kind=kind)}
        )
    return {
        "market": market,
        "interval": interval,
        "lines": lines,
        "checks": sum(row["checks"] for row in days),
    }


def _coverage(connection: Connection, holding: Row) -> Row:
    """Ticker × month: daily bars there against sessions due since the ticker's first bar."""
    market = all_markets()[holding["market"]]
    last = holding["last_time"].astimezone(UTC).date()
    months = months_between(holding["first_time"].astimezone(UTC).date(), last)[-COVERAGE_MONTHS:]
    start, end = midnight(months[0]), midnight(last + timedelta(days=1))
    sessions = [session.date for session in calendars.sessions(market, months[0], last + timedelta(days=1))]
    statement = query("report_coverage").format(relation=sql.Identifier("bars", market.relation(Interval.D1)))
    counted: dict[str, dict[date, int]] = defaultdict(dict)
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(statement, {"start": start, "end": end}):
            counted[row["ticker"]][row["month"]] = row["bars"]
    firsts = _first_times(connection, market)
    lines = [
        _coverage_line(ticker, first, months, sessions, counted[ticker]) for ticker, first in firsts.items()
    ]
    lines.sort(key=lambda line: (line["ratio"], line["ticker"]))
    return {
        "market": market.code,
        "title": market.title,
        "months": months,
        "lines": lines[:COVERAGE_TICKERS],
        "total": len(lines),
    }


def _first_times(connection: Connection, market: Market) -> dict[str, date]:
    found = connection.execute(query("series_starts"), {"market": market.code, "interval": Interval.D1.value})
    return {ticker: first.astimezone(UTC).date() for ticker, first in found}


def _coverage_line(
    ticker: str, first: date, months: Sequence[date], sessions: Sequence[date], bars: dict[date, int]
) -> Row:
    due: dict[date, int] = defaultdict(int)
    for session in sessions:
        if session >= first:
            due[session.replace(day=1)] += 1
    cells = []
    for month in months:
        ratio = min(bars.get(month, 0) / due[month], 1.0) if due[month] else None
        cells.append(
            {
                "month": month,
                "bars": bars.get(month, 0),
                "due": due[month],
                "ratio": ratio,
                "shade": shade(ratio),
            }
        )
    total = sum(due.values())
    return {"ticker": ticker, "cells": cells, "ratio": min(sum(bars.values()) / total, 1.0) if total else 1.0}
