"""What the read API asks of the warehouse: database time (planning and execution, as the server says) and client time.

The minutes have a history of 300 weeks, so that on TimescaleDB their table has 300 chunks, the old ones compressed, as
a warehouse has after six years.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
from benchmarks.data import DONG, require_loaded, walks
from benchmarks.result import Result

from hypertape.api import bar_statements as statements
from hypertape.api.bar_query import BarQuery, read_query
from hypertape.api.bar_reader import BarReader
from hypertape.api.pool import Warehouse
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.rollups import refresh_pending
from hypertape.warehouse.schema import tier

MARKET = get_market("vn")
MINUTES, DAYS, NOW = utc(2024, 1, 1), utc(2010, 1, 4), utc(2026, 1, 1)
TEN = [f"T{n:04d}" for n in range(10)]
_LAST_DAY = DAYS + timedelta(days=3_000)
_HISTORY, _THINLY = timedelta(weeks=300), timedelta(hours=4)
_REPEAT = 21

Asked = dict[str, object]
"""Parameters of GET /tickers."""

CASES: list[tuple[str, Asked, float | None]] = [
    ("last 100 minutes of one ticker", {"symbol": TEN[:1], "interval": "1m", "limit": 100}, 2.0),
    ("last 100 minutes of ten tickers", {"symbol": TEN, "interval": "1m", "limit": 100}, 5.0),
    ("last 252 days of one ticker", {"symbol": TEN[:1]}, None),
    ("one year of days", {"symbol": TEN[:1], "start_date": f"{_LAST_DAY - timedelta(days=365):%F}"}, 5.0),
    (
        "a day of the 5m rollup, 13 indicators",
        {
            "symbol": TEN[:1],
            "interval": "5m",
            "start_date": f"{MINUTES + timedelta(days=5):%F}",
            "end_date": f"{MINUTES + timedelta(days=5):%F}",
        },
        5.0,
    ),
    (
        "five years of the 1w rollup, 13 indicators",
        {"symbol": TEN[:1], "interval": "1W", "start_date": f"{_LAST_DAY - timedelta(weeks=260):%F}"},
        5.0,
    ),
]
"""What is asked, and the database time SPEC 14 allows for it in ms."""


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure reads on 100 (quick: 20) tickers of minutes and 500 (quick: 50) of days."""
    fill(dsn, *((20, 10_000, 50, 3_000) if quick else (100, 10_000, 500, 3_000)))
    return [result for case in CASES for result in _measure(dsn, *case)]


def fill(dsn: str, minute_tickers: int, minutes: int, day_tickers: int, days: int) -> None:
    """Load so many tickers of minutes and days and a thin history of minutes, nothing else, and refresh the rollups."""
    with connect(dsn) as connection:
        connection.execute(
            "truncate bars.market_data_1m, bars.market_data_1d, series, load, rollup_pending, bar_revision"
        )
        for interval, bars in (
            (Interval.M1, walks(len(TEN), _HISTORY // _THINLY, MINUTES - _HISTORY, _THINLY, tick=DONG)),
            (Interval.M1, walks(minute_tickers, minutes, MINUTES, timedelta(minutes=1), tick=DONG)),
            (Interval.D1, walks(day_tickers, days, DAYS, timedelta(days=1), tick=DONG)),
        ):
            request = LoadRequest(MARKET, interval, "benchmark", "benchmark", Window(DAYS, NOW), NOW)
            require_loaded(load_bars(connection, bars, request), len(bars))
        connection.commit()
    for interval in (Interval.M1, Interval.D1):
        refresh_pending(dsn, MARKET, interval)
    with connect(dsn, autocommit=True) as connection:
        if tier(connection) == "timescaledb":
            connection.execute(
                "select compress_chunk(c) from show_chunks('bars.market_data_1m', older_than => %s::timestamptz) c",
                (MINUTES,),
            )
        connection.execute("vacuum analyze")


def query_of(asked: Asked) -> BarQuery:
    """The question as the route reads it."""
    told = {name: value if name == "symbol" else str(value) for name, value in asked.items()}
    return read_query(**told)  # type: ignore[arg-type]


@contextmanager
def reader(dsn: str, asked: Asked) -> Iterator[BarReader]:
    """A question to a warehouse that was asked before, as a server's is."""
    warehouse = Warehouse(lambda: dsn, size=1)
    reading = BarReader(warehouse, query_of(asked))
    list(reading.parts(reading.find()))
    yield reading
    warehouse.close()


def database_ms(dsn: str, asked: Asked) -> float:
    """Planning and execution of the statements behind an answer, as the server reports them; the median of some."""
    heard: list[Any] = []
    usual = statements.array_cursor
    with reader(dsn, asked) as reading:
        statements.array_cursor = lambda connection: _Listening(usual(connection), heard)  # type: ignore[assignment,return-value]
        try:
            list(reading.parts(reading.find()))
        finally:
            statements.array_cursor = usual
    taken = []
    with connect(dsn) as connection:
        for _ in range(_REPEAT):
            plans = [
                connection.execute(
                    b"explain (analyze, timing off, format json) " + statement, parameters
                ).fetchone()
                for statement, parameters in heard
            ]
            taken.append(sum(p[0][0]["Planning Time"] + p[0][0]["Execution Time"] for p in plans if p))
    return float(np.median(taken))


class _Listening:
    """A cursor that remembers what it was asked."""

    def __init__(self, cursor: Any, heard: list[Any]) -> None:
        self._cursor, self._heard = cursor, heard

    def execute(self, statement: bytes, parameters: dict[str, Any]) -> Any:
        self._heard.append((statement, parameters))
        return self._cursor.execute(statement, parameters)


def _measure(dsn: str, work: str, asked: Asked, most: float | None) -> list[Result]:
    server, client = database_ms(dsn, asked), _client_ms(dsn, asked)
    label = f"{work}, database time" + (f" (limit {most:g} ms vs it)" if most else "")
    return [
        Result(label, server, "ms", most and most / server, most and 1.0),
        Result(f"{work}, client time", client, "ms"),
    ]


def _client_ms(dsn: str, asked: Asked) -> float:
    taken = []
    with reader(dsn, asked) as reading:
        for _ in range(_REPEAT):
            started = time.perf_counter()
            parts = list(reading.parts(reading.find()))
            taken.append(time.perf_counter() - started)
            assert parts
    return 1000 * float(np.median(taken))
