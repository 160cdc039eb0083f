"""Reading bars back, and the digest that says two stores hold the same truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from hypertape.digest import CANONICAL_COLUMNS, SeriesDigest, digest_blocks
from hypertape.frame import Micros, instant
from hypertape.model import INDICATOR_COLUMNS, STORED_INDICATOR_COLUMNS, Interval, Market, Window
from hypertape.queries import query
from hypertape.warehouse.loading.stored import relation
from hypertape.warehouse.pg_binary import array_cursor

Connection = psycopg.Connection[Any]

_DIGEST_ROWS = 200_000
"""Bars fetched at a time while a digest runs, so that memory stays bounded whatever the length of a series."""


def digests(
    connection: Connection,
    market: Market,
    interval: Interval,
    tickers: Sequence[str] | None = None,
    *,
    indicators: bool = False,
) -> Iterator[SeriesDigest]:
    """Yield the digest of every stored series (or of `tickers`), sorted by ticker.

    A canonical bar is 48 bytes, little-endian: time as int64 microseconds since 1970 UTC, then open, high, low, close
    and volume as IEEE 754 doubles. With `indicators` the adjusted close, the five averages and the previous close and
    volume follow (NaN for null), which proves the derived columns as well.
    """
    for ticker in tickers if tickers is not None else stored_tickers(connection, market, interval):
        yield _digest(connection, market, interval, ticker, indicators)


def stored_tickers(connection: Connection, market: Market, interval: Interval) -> list[str]:
    """Return the tickers that have bars, sorted."""
    rows = connection.execute(query("stored_tickers"), (market.code, interval.value)).fetchall()
    return [ticker for (ticker,) in rows]


def read_bars(
    connection: Connection,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    *,
    window: Window | None = None,
) -> pa.Table:
    """Return the public columns of some tickers in one round trip, sorted by (ticker, time).

    Stored intervals carry the 13 indicators, rollups prices and volume.
    """
    columns: tuple[str, ...] = ("open", "high", "low", "close", "volume")
    if interval.is_stored:
        columns = (*columns, "adjusted_close", *INDICATOR_COLUMNS)
    statement = query("read_bars").format(
        relation=sql.Identifier("public", market.relation(interval)),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    start, end = (window.start, window.end) if window else ("-infinity", "infinity")
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(statement, {"tickers": list(tickers), "start": start, "end": end}).fetchall()
    schema = pa.schema(
        [
            ("ticker", pa.string()),
            ("time", pa.timestamp("us", tz="UTC")),
            *((c, pa.float64()) for c in columns),
        ]
    )
    arrays = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pa.table(
        [pa.array(values, kind.type) for values, kind in zip(arrays, schema, strict=True)], schema=schema
    )


def _digest(
    connection: Connection, market: Market, interval: Interval, ticker: str, indicators: bool
) -> SeriesDigest:
    names: tuple[str, ...] = CANONICAL_COLUMNS
    if indicators:
        names = (*names, "adjusted_close", *STORED_INDICATOR_COLUMNS)
    return digest_blocks(ticker, series_blocks(connection, market, interval, ticker, names))


def series_blocks(
    connection: Connection,
    market: Market,
    interval: Interval,
    ticker: str,
    names: Sequence[str],
    *,
    start: datetime | None = None,
    rows: int = _DIGEST_ROWS,
) -> Iterator[tuple[Micros, list[Any]]]:
    """Yield columns of a stored series from `start` on, in time order, at most `rows` bars at a time (NaN for null)."""
    statement = query("series_block").format(
        bars=relation(market, interval),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        arrays=sql.SQL(", ").join(
            sql.SQL("array_agg(coalesce({name}, 'NaN'))").format(name=sql.Identifier(name)) for name in names
        ),
    )
    after: datetime | str = "-infinity" if start is None else start - timedelta(microseconds=1)
    while True:
        with array_cursor(connection) as cursor:
            row = cursor.execute(statement, (ticker, after, rows)).fetchone()
        if row is None or row[0] is None:
            return
        order = np.argsort(row[0], kind="stable")
        time = row[0][order]
        yield time, [column[order] for column in row[1:]]
        if len(time) < rows:
            return
        after = instant(int(time[-1]))
