"""Rows of a bar table in a SQLite file that belong to no series, so that no listing of series shows them.

| rule | row |
|---|---|
| bad_symbol | the ticker is no text |
| unsupported_interval | a Stockula row whose interval is not stored (`5m`, `1wk`), or is none |
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from psycopg import sql

from hypertape.frame import micros
from hypertape.queries import query
from hypertape.stores import LeftOut
from hypertape.stores._sqlite_cells import instant_of, shown
from hypertape.stores._sqlite_file import columns, name, reading, text
from hypertape.stores.stockula_tables import Reject, Row, reject
from hypertape.stores.stockula_words import SPELLINGS, TABLE

RULES = ("bad_symbol", "unsupported_interval")

_SAMPLES = 3


def left_out(path: Path, table: str, *, symbols: Collection[str] = ()) -> list[LeftOut]:
    """Count the rows of a table that belong to no series; with `symbols` only those of these."""
    found: dict[str, list[Reject]] = {}
    for batch in stray_rows(path, table, symbols=symbols):
        for each in batch:
            found.setdefault(each[1], []).append(each)
    return [
        LeftOut(rule, len(rows), tuple(f"{symbol} {value}" for symbol, _, value, _ in rows[:_SAMPLES]))
        for rule, rows in sorted(found.items())
    ]


def stray_rows(
    path: Path,
    table: str,
    *,
    symbols: Collection[str] = (),
    start: datetime | None = None,
    rows: int = 10_000,
) -> Iterator[list[Reject]]:
    """Yield the rows of a table that belong to no series, in batches.

    With `symbols` only those of these; with `start` (UTC) no Stockula row of an earlier date, or of none.
    """
    of_stockula = table == TABLE
    ticker = "symbol" if of_stockula else "ticker"
    condition, parameters = _condition(of_stockula)
    with reading(path) as connection:
        known = columns(connection, table)
        statement = query("sqlite_stray_rows").format(
            table=name(table), ticker=name(ticker), condition=condition
        )
        cursor = connection.execute(text(statement), parameters)
        while found := cursor.fetchmany(rows):
            batch = [dict(zip(known, cells, strict=True)) for cells in found]
            yield [
                _reject(row, ticker)
                for row in batch
                if (not symbols or row[ticker] in symbols) and _since(row, start if of_stockula else None)
            ]


def _condition(of_stockula: bool) -> tuple[sql.Composable, tuple[object, ...]]:
    if not of_stockula:
        return sql.SQL(""), ()
    spellings = json.dumps([word for words in SPELLINGS.values() for word in words])
    return query("sqlite_stockula_unsupported"), (spellings,)


def _since(row: Row, start: datetime | None) -> bool:
    time = None if start is None else instant_of(row["date"])
    return start is None or (time is not None and time >= micros(start))


def _reject(row: Row, ticker: str) -> Reject:
    if not isinstance(row[ticker], str):
        return reject(row, "bad_symbol", f"{ticker}={shown(row[ticker])}", row[ticker])
    return reject(row, "unsupported_interval", f"interval={shown(row['interval'])}", row[ticker])
