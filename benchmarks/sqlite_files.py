"""SQLite files as their programs leave them, five million bars large: what the migration is measured on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from benchmarks.data import walk
from psycopg import sql

from hypertape.calendars import expected_times
from hypertape.frame import Bars, split_series
from hypertape.indicators import enrich
from hypertape.markets import get_market
from hypertape.model import INDICATOR_COLUMNS, Interval, Window, utc
from hypertape.queries import query

DAYS, MINUTES = 5_000, 50_000
"""Bars of one series: twenty years of days, a year of minutes."""

_PRICES = ("open", "high", "low", "close", "volume")
_STAMP = "2025-07-28 05:24:55.580571"
_STOCKULA = """
create table stocks (symbol VARCHAR NOT NULL, name VARCHAR, created_at DATETIME, PRIMARY KEY (symbol));
create table price_history (
    id INTEGER NOT NULL, symbol VARCHAR NOT NULL, date DATE NOT NULL, open_price FLOAT, high_price FLOAT,
    low_price FLOAT, close_price FLOAT, volume INTEGER, interval VARCHAR NOT NULL,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP, updated_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id), CONSTRAINT uq_price_history UNIQUE (symbol, date, interval)
);
"""


def stockula(path: Path, bars: int) -> Path:
    """Daily bars in the Stockula schema, the columns of the real file."""
    with closing(_open(path)) as connection:
        connection.executescript(_STOCKULA)
        for ticker, series in _series(bars // DAYS, DAYS, Interval.D1):
            dates = np.datetime_as_string(series.time.astype("datetime64[us]"), unit="D").tolist()
            columns = [getattr(series, name).tolist() for name in _PRICES]
            rows = zip(
                [ticker] * DAYS, dates, *columns, ["1d"] * DAYS, [_STAMP] * DAYS, [_STAMP] * DAYS, strict=True
            )
            connection.execute("insert into stocks (symbol) values (?)", (ticker,))
            connection.executemany(
                "insert into price_history (symbol, date, open_price, high_price, low_price, close_price, volume, "
                "interval, created_at, updated_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        connection.commit()
    return path


def dual_write(path: Path, bars: int) -> Path:
    """Minute bars with their 13 indicators in the dual-write schema."""
    names = ("ticker", "time", *_PRICES, *INDICATOR_COLUMNS)
    with closing(_open(path)) as connection:
        made = query("sqlite_dual_create").format(
            table=sql.Identifier("us_minute"),
            by_time=sql.Identifier("by_time"),
            unique=sql.Identifier("unique_key"),
        )
        connection.executescript(made.as_string(None))
        statement = f"insert into us_minute ({', '.join(names)}) values ({', '.join('?' * len(names))})"
        for ticker, series in _series(bars // MINUTES, MINUTES, Interval.M1):
            indicators = enrich(series.close, series.volume)
            columns = [getattr(series, name).tolist() for name in _PRICES]
            columns += [indicators[name].tolist() for name in INDICATOR_COLUMNS]
            times = (series.time // 1_000_000).tolist()
            connection.executemany(statement, zip([ticker] * MINUTES, times, *columns, strict=True))
        connection.commit()
    return path


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode = off")
    connection.execute("pragma synchronous = off")
    return connection


def _series(count: int, bars: int, interval: Interval) -> Iterator[tuple[str, Bars]]:
    """Bars in sessions only: what lies beside them is a finding each, which real files have few of."""
    span = Window(utc(2005), utc(2025)) if interval is Interval.D1 else Window(utc(2024), utc(2025))
    times = expected_times(get_market("us"), interval, span)[:bars]
    assert len(times) == bars, f"{len(times)} openings of {bars}"
    for number in range(count):
        yield from split_series(walk(f"S{number:04d}", times, number))
