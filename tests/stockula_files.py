"""Stockula SQLite files for tests: as its migrations write them, older ones, and ones that went wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

_CREATED = "created_at DATETIME DEFAULT CURRENT_TIMESTAMP"
_UPDATED = ", updated_at DATETIME DEFAULT CURRENT_TIMESTAMP"
_OPTION = (
    "id INTEGER NOT NULL, symbol VARCHAR NOT NULL, expiration_date DATE NOT NULL, strike FLOAT NOT NULL, "
    "last_price FLOAT, bid FLOAT, ask FLOAT, volume INTEGER, open_interest INTEGER, implied_volatility FLOAT, "
    "in_the_money BOOLEAN, contract_symbol VARCHAR, {stamps}, PRIMARY KEY (id), "
    "CONSTRAINT uq_{table} UNIQUE (symbol, expiration_date, strike, contract_symbol)"
)
_COLUMNS = {
    "stocks": "symbol VARCHAR NOT NULL, name VARCHAR, sector VARCHAR, industry VARCHAR, market_cap FLOAT, "
    "exchange VARCHAR, currency VARCHAR, {stamps}, PRIMARY KEY (symbol)",
    "price_history": "id INTEGER NOT NULL, symbol VARCHAR NOT NULL, date DATE, open_price FLOAT, high_price FLOAT, "
    "low_price FLOAT, close_price FLOAT, volume {volume}, interval VARCHAR NOT NULL, {stamps}, PRIMARY KEY (id)"
    "{unique}",
    "dividends": "id INTEGER NOT NULL, symbol VARCHAR NOT NULL, date DATE NOT NULL, amount FLOAT, {stamps}, "
    "PRIMARY KEY (id), CONSTRAINT uq_dividends UNIQUE (symbol, date)",
    "splits": "id INTEGER NOT NULL, symbol VARCHAR NOT NULL, date DATE NOT NULL, ratio FLOAT, {stamps}, "
    "PRIMARY KEY (id), CONSTRAINT uq_splits UNIQUE (symbol, date)",
    "options_calls": _OPTION,
    "options_puts": _OPTION,
    "stock_info": "symbol VARCHAR NOT NULL, info_json TEXT, {stamps}, PRIMARY KEY (symbol)",
}
UNIQUE = ", CONSTRAINT uq_price_history UNIQUE (symbol, date, interval)"

Price = Sequence[Any]
"""symbol, date, open, high, low, close, volume, interval; a later one has a higher id."""


def bar(symbol: str, date: Any, close: Any = 10.0, volume: Any = 100, interval: str = "1d") -> Price:
    """A price row that is in order, but for what is passed."""
    return (symbol, date, 10.0, 12.0, 9.0, close, volume, interval)


def stockula_file(
    path: Path,
    prices: Iterable[Price],
    *,
    stocks: Iterable[str] | None = None,
    updated_at: bool = True,
    unique: bool = True,
    volume_type: str = "INTEGER",
    extra: Sequence[str] = (),
) -> Path:
    """Write a file and return its path.

    `stocks` are the known symbols (default: those of the prices); without `updated_at` it is an older file; without
    `unique` several rows may have one date; `extra` are further statements.
    """
    rows = list(prices)
    known = sorted({str(row[0]) for row in rows}) if stocks is None else list(stocks)
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, columns in _COLUMNS.items():
            stamps = _CREATED + (_UPDATED if updated_at else "")
            filled = columns.format(
                table=table, stamps=stamps, volume=volume_type, unique=UNIQUE if unique else ""
            )
            connection.execute(f"create table {table} ({filled})")
        connection.execute("create index idx_price_history_symbol_date on price_history (symbol, date)")
        connection.execute("create table alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("insert into alembic_version values ('20250728')")
        connection.executemany("insert into stocks (symbol) values (?)", [(symbol,) for symbol in known])
        connection.executemany(
            "insert into price_history (symbol, date, open_price, high_price, low_price, close_price, volume, "
            "interval) values (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        for statement in extra:
            connection.execute(statement)
    return path


REFERENCE_ROWS = (
    "insert into dividends (symbol, date, amount) values ('AAPL', '2024-02-09', 0.24), ('AAPL', '2024-05-10', 0.25)",
    "insert into splits (symbol, date, ratio) values ('NVDA', '2024-06-10', 10.0)",
    "insert into options_calls (symbol, expiration_date, strike, last_price, volume, in_the_money, contract_symbol) "
    "values ('AAPL', '2024-06-21', 190.0, 3.2, 12, 1, 'AAPL240621C00190000'), "
    "('AAPL', '2024-06-21', 195.0, NULL, NULL, 0, 'AAPL240621C00195000')",
    "insert into options_puts (symbol, expiration_date, strike, last_price, contract_symbol) "
    "values ('AAPL', '2024-06-21', 180.0, 2.1, 'AAPL240621P00180000')",
    """insert into stock_info (symbol, info_json) values ('AAPL', '{"longName": "Apple Inc."}'), ('NVDA', '{"no')""",
)
"""Rows of the tables beside the prices; NVDA's information is no JSON."""


def troubled_file(path: Path) -> Path:
    """A file with one of everything that can be wrong, beside three sound daily bars of AAPL."""
    prices = [
        bar("AAPL", "2024-01-02", 10.5),
        bar("AAPL", "2024-01-03", 10.6),
        bar("AAPL", "2024-01-04", 10.7),
        bar("AAPL", "2024-01-05", None),
        bar("AAPL", "2024-02-30"),
        bar("AAPL", "soon"),
        bar("AAPL", "2024-01-08", volume=None),
        bar("AAPL", "2024-01-09", "n/a"),
        bar("AAPL", "2024-01-02", 1.0, interval="1h"),
        bar("AAPL", "2024-01-02", 2.0, interval="1h"),
        bar("AAPL", "2024-01-02", interval="5m"),
        bar("AAPL", "2024-01-10", volume=2**53 + 1),
        bar("GHOST", "2024-01-02"),
        bar("GHOST", "2024-01-03"),
    ]
    extra = (*REFERENCE_ROWS, "create table watchlists (name text)", "insert into watchlists values ('mine')")
    return stockula_file(path, prices, stocks=["AAPL", "NVDA"], unique=False, extra=extra)
