"""Reads in database time (planning and execution as the server reports them) and in client time."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import numpy as np
import psycopg
from benchmarks.data import walks
from benchmarks.result import Result
from psycopg import sql

from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.queries import query
from hypertape.warehouse.connect import connect
from hypertape.warehouse.load import LoadRequest, load_bars
from hypertape.warehouse.read import read_bars
from hypertape.warehouse.rollups import refresh_pending

MARKET = get_market("vn")
MINUTES, DAYS, NOW = utc(2024, 1, 1), utc(2010, 1, 4), utc(2026, 1, 1)
_REPEAT = 21


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure reads on 100 (quick: 20) tickers of minutes and 500 (quick: 50) of days."""
    minute_tickers, day_tickers = (20, 50) if quick else (100, 500)
    fill(dsn, minute_tickers, 10_000, day_tickers, 3_000)
    week, day, year = timedelta(weeks=1), timedelta(days=1), timedelta(days=365)
    ten = [f"T{n:04d}" for n in range(10)]
    last_day = DAYS + 3_000 * day
    cases = [
        ("last 100 minutes of one ticker", Interval.M1, ten[:1], None, 100, 2.0),
        ("last 100 minutes of ten tickers, one round trip", Interval.M1, ten, None, 100, 5.0),
        ("one year of days", Interval.D1, ten[:1], Window(last_day - year, last_day), None, 5.0),
        (
            "a day of the 5m rollup",
            Interval.M5,
            ten[:1],
            Window(MINUTES + 5 * day, MINUTES + 6 * day),
            None,
            5.0,
        ),
        (
            "five years of the 1w rollup",
            Interval.W1,
            ten[:1],
            Window(last_day - 260 * week, last_day),
            None,
            5.0,
        ),
    ]
    with connect(dsn) as connection:
        return [result for case in cases for result in _measure(connection, *case)]


def fill(dsn: str, minute_tickers: int, minutes: int, day_tickers: int, days: int) -> None:
    """Load so many tickers of minutes and days, nothing else, and refresh the rollups."""
    with connect(dsn) as connection:
        connection.execute(
            "truncate bars.market_data_1m, bars.market_data_1d, series, load, rollup_pending, bar_revision"
        )
        for interval, bars in (
            (Interval.M1, walks(minute_tickers, minutes, MINUTES, timedelta(minutes=1))),
            (Interval.D1, walks(day_tickers, days, DAYS, timedelta(days=1))),
        ):
            load_bars(
                connection,
                bars,
                LoadRequest(MARKET, interval, "benchmark", "benchmark", Window(DAYS, NOW), NOW),
            )
        connection.commit()
    for interval in (Interval.M1, Interval.D1):
        refresh_pending(lambda autocommit: connect(dsn, autocommit=autocommit), MARKET, interval)
    with connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def _measure(
    connection: psycopg.Connection,
    work: str,
    interval: Interval,
    tickers: list[str],
    window: Window | None,
    limit: int | None,
    most: float,
) -> list[Result]:
    server = float(
        np.median([_database_time(connection, interval, tickers, window, limit) for _ in range(_REPEAT)])
    )
    client = float(
        np.median([_client_time(connection, interval, tickers, window, limit) for _ in range(_REPEAT)])
    )
    return [
        Result(f"{work}, database time (limit {most:g} ms vs it)", server, "ms", most / server, 1.0),
        Result(f"{work}, client time", client, "ms"),
    ]


def _client_time(connection, interval, tickers, window, limit) -> float:
    started = time.perf_counter()
    table = read_bars(connection, MARKET, interval, tickers, window=window, limit=limit)
    assert len(table) > 0
    return (time.perf_counter() - started) * 1000


def _database_time(connection, interval, tickers, window, limit) -> float:
    columns = sql.SQL("open, high, low, close, volume")
    if interval.is_stored:
        columns = sql.SQL(
            "open, high, low, close, volume, adjusted_close, ma10, ma200, ma10_score, close_changed"
        )
    statement = query("read_bars").format(
        relation=sql.Identifier("public", MARKET.relation(interval)), columns=columns
    )
    start, end = (window.start, window.end) if window else ("-infinity", "infinity")
    row = connection.execute(
        sql.SQL("explain (analyze, timing off, format json) ") + statement,
        {"tickers": tickers, "start": start, "end": end, "limit": limit},
    ).fetchone()
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return float(plan[0]["Planning Time"] + plan[0]["Execution Time"])
