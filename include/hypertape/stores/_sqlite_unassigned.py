"""Rows of a bar table in a SQLite file that belong to no series, so that no listing of series shows them.

| rule | row |
|---|---|
| bad_symbol | the ticker is no text |
| bad_ticker | the ticker is text that cannot be one: no UTF-8, a NUL, HTML, a path, a formula, too long, empty |
| unsupported_interval | a Stockula row whose interval is not stored (`5m`, `1wk`), or is none |

They are found by the bytes of the ticker: text that is no UTF-8 has no other name that a statement could ask for.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from psycopg import sql

from hypertape.frame import micros, reject_frame
from hypertape.quality.gate_rules import TICKER_LENGTH, is_ticker
from hypertape.queries import query
from hypertape.stores._sqlite_cells import instant_of, row_text, shown
from hypertape.stores._sqlite_file import columns, name, reading, text
from hypertape.stores.stockula_tables import PRICES, SPELLINGS, Row

RULES = ("bad_symbol", "bad_ticker", "unsupported_interval")


def unassigned_rows(
    path: Path,
    table: str,
    *,
    symbols: Collection[str] = (),
    start: datetime | None = None,
    rows: int = 10_000,
) -> Iterator[pa.Table]:
    """Yield the rows of a table that belong to no series as rejects (frame.REJECT_SCHEMA), in batches.

    With `symbols` only those of these; with `start` (UTC) no Stockula row of an earlier date, or of none.
    """
    ticker = "symbol" if table == PRICES else "ticker"
    with reading(path) as connection:
        known = columns(connection, table)
        conditions, parameters = _conditions(connection, table, ticker)
        statement = query("sqlite_unassigned_rows").format(
            table=name(table), ticker=name(ticker), conditions=conditions
        )
        cursor = connection.execute(text(statement), parameters)
        while found := cursor.fetchmany(rows):
            batch = [dict(zip(known, cells, strict=True)) for cells in found]
            wanted = [
                row
                for row in batch
                if (not symbols or row[ticker] in symbols) and _since(row, start if table == PRICES else None)
            ]
            if wanted:
                yield reject_frame([_reject(row, ticker) for row in wanted])


def _conditions(
    connection: sqlite3.Connection, table: str, ticker: str
) -> tuple[sql.Composable, tuple[str, ...]]:
    parts: list[sql.Composable] = []
    parameters: list[str] = []
    listed = connection.execute(
        text(query("sqlite_tickers").format(table=name(table), ticker=name(ticker)))
    ).fetchall()
    if odd := [coded for spelled, coded in listed if not is_ticker(spelled)]:
        parts.append(query("sqlite_some_tickers").format(ticker=name(ticker)))
        parameters.append(json.dumps(odd))
    if table == PRICES:
        parts.append(query("sqlite_stockula_unsupported"))
        parameters.append(json.dumps([word for words in SPELLINGS.values() for word in words]))
    return sql.SQL(" ").join(parts), tuple(parameters)


def _since(row: Row, start: datetime | None) -> bool:
    time = None if start is None else instant_of(row["date"])
    return start is None or (time is not None and time >= micros(start))


def _reject(row: Row, ticker: str) -> tuple[str, None, str, str, str]:
    given = row[ticker]
    short = shown(given)[: 2 * TICKER_LENGTH]
    if not isinstance(given, str):
        return short, None, "bad_symbol", f"{ticker}={shown(given)}", row_text(row)
    if not is_ticker(given):
        return short, None, "bad_ticker", f"{ticker}={shown(given)}", row_text(row)
    return short, None, "unsupported_interval", f"interval={shown(row['interval'])}", row_text(row)
