"""What the load tests share: series to load, one-line loads, and what a warehouse holds afterwards."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from hypertape.frame import VALUE_COLUMNS, Bars, bar_frame, instant, micros
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, utc
from hypertape.warehouse.loading.load import LoadRequest, LoadResult, load_bars
from hypertape.warehouse.read import SeriesDigest, digests

Connection = psycopg.Connection[Any]

VN, CRYPTO, US = (get_market(code) for code in ("vn", "crypto", "us"))
D1, H1, M1 = Interval.D1, Interval.H1, Interval.M1
NOW = utc(2025, 6, 30, 12)
START = utc(2020, 1, 1)

_fresh = itertools.count()


def new_ticker(stem: str = "T") -> str:
    """A ticker no other test of this process uses."""
    return f"{stem}{next(_fresh):05d}"


def grid(bars: int, interval: Interval = D1, start: datetime = START) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Opening times of consecutive bars, int64 µs."""
    assert interval.delta is not None
    return micros(start) + np.arange(bars) * (int(interval.delta.total_seconds()) * 1_000_000)


def walk(bars: int, *, seed: int = 1, interval: Interval = D1, start: datetime = START) -> Bars:
    """A random walk whose prices have no short binary form, with some zero volumes and adjusted closes."""
    random = np.random.default_rng(seed)
    close = 3_000.0 * np.exp(np.cumsum(random.normal(0.0, 0.01, bars)))
    opened = close * random.uniform(0.99, 1.01, bars)
    high = np.maximum(opened, close) * random.uniform(1.0, 1.01, bars)
    low = np.minimum(opened, close) * random.uniform(0.99, 1.0, bars)
    volume = random.integers(0, 9, bars) * random.uniform(0.0, 1e6, bars)
    return Bars(grid(bars, interval, start), opened, high, low, close, volume, close * 0.9)


def changed(bars: Bars, at: Any, **columns: Any) -> Bars:
    """A copy with other values at some positions: numbers, or functions of the old values."""
    values = {name: getattr(bars, name).copy() for name in VALUE_COLUMNS}
    for name, new in columns.items():
        values[name][at] = new(values[name][at]) if callable(new) else new
    return Bars(bars.time.copy(), *values.values())


def scaled(bars: Bars, factor: float) -> Bars:
    """The same bars with prices in another unit."""
    prices = (getattr(bars, name) * factor for name in ("open", "high", "low", "close"))
    return Bars(bars.time, *prices, bars.volume, bars.adjusted_close * factor)


def to_frame(series: Mapping[str, Bars]) -> pa.Table:
    """A normalised bar frame of some series."""
    parts = [
        bar_frame(ticker, bars.time, {name: getattr(bars, name) for name in VALUE_COLUMNS})
        for ticker, bars in sorted(series.items())
    ]
    return pa.concat_tables(parts)


def request(
    market: Market = CRYPTO,
    interval: Interval = D1,
    *,
    now: datetime = NOW,
    run_id: str = "run",
    **others: Any,
) -> LoadRequest:
    """A load request over all of time."""
    return LoadRequest(market, interval, run_id, "csv_tree", Window(utc(1900), utc(2100)), now, **others)


def put(
    connection: Connection,
    series: Mapping[str, Bars],
    market: Market = CRYPTO,
    interval: Interval = D1,
    **others: Any,
) -> dict[str, LoadResult]:
    """Load some series in one batch and return the results by ticker."""
    results = load_bars(connection, to_frame(series), request(market, interval, **others))
    return {result.ticker: result for result in results}


def digest(
    connection: Connection, ticker: str, market: Market = CRYPTO, interval: Interval = D1
) -> SeriesDigest:
    """The digest over all stored columns of one series."""
    (found,) = digests(connection, market, interval, [ticker], indicators=True)
    return found


def fingerprint(
    connection: Connection, ticker: str, market: Market = CRYPTO, interval: Interval = D1
) -> tuple[Any, ...]:
    """What must be equal between two equal series of different names."""
    found = digest(connection, ticker, market, interval)
    return found.rows, found.first, found.last, found.sha256


def fresh_fingerprint(
    connection: Connection, bars: Bars, market: Market = CRYPTO, interval: Interval = D1
) -> tuple[Any, ...]:
    """The fingerprint of these bars loaded once, in one piece, under a name of their own."""
    ticker = new_ticker("FRESH")
    put(connection, {ticker: bars}, market, interval)
    return fingerprint(connection, ticker, market, interval)


def query(connection: Connection, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    return connection.execute(sql.SQL(statement), parameters or None).fetchall()  # type: ignore[arg-type]


def value(connection: Connection, statement: str, *parameters: Any) -> Any:
    """The one value of a statement."""
    ((found,),) = query(connection, statement, *parameters)
    return found


@contextmanager
def tuples_written(connection: Connection) -> Iterator[dict[str, int]]:
    """Run the block in a transaction; afterwards the dict holds tuples inserted, updated or deleted per table.

    Tables without any are absent. Chunks count under their own names; TimescaleDB's catalog does not count.
    """
    written: dict[str, int] = {}
    with connection.transaction():
        before = _counters(connection)  # what earlier transactions of this session have not reported yet
        yield written
        after = _counters(connection)
        written |= {name: count - before.get(name, 0) for name, count in after.items()}
        for name in [name for name, count in written.items() if count == 0]:
            del written[name]


def _counters(connection: Connection) -> dict[str, int]:
    rows = query(
        connection,
        "select schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del from pg_stat_xact_all_tables "
        "where schemaname not in ('pg_catalog', 'pg_toast', '_timescaledb_catalog')",
    )
    return dict(rows)


def row_versions(connection: Connection, relation: str, where: str = "true") -> list[tuple[Any, ...]]:
    """The tuple ids and writing transactions of a relation: they stay the same only when nothing is written.

    A relation of bars is read without its compressed chunks, whose rows have no such columns.
    """
    recent = f"{where} and time >= '1990-01-01'" if relation.startswith("bars.") else where
    columns = "tableoid::regclass::text, ctid::text, xmin::text"
    return query(connection, f"select {columns} from {relation} where {recent} order by 1, 2")


LONG_AGO = utc(1980, 1, 1)
"""Where series lie whose chunks get compressed, away from everybody else's."""


def compress_long_ago(connection: Connection, relation: str) -> int:
    """Compress the chunks before 1990 (TimescaleDB tier); return how many there were (0 on the plain tier)."""
    if value(connection, "select hypertape.server_tier()") == "plain":
        return 0
    chunks = query(
        connection, "select show_chunks(%s, older_than => timestamptz '1990-01-01')::text", relation
    )
    for (chunk,) in chunks:
        connection.execute("select compress_chunk(%s, if_not_compressed => true)", (chunk,))
    return len(chunks)


def times(bars: Bars, at: Sequence[int]) -> list[datetime]:
    """Opening instants of some bars."""
    return [instant(int(bars.time[position])) for position in at]


def hear_interrupts() -> None:
    """Run in a started process: Ctrl-C is heard, also where a shell started the tests in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def watermarks(connection: Connection, market: Market, interval: Interval) -> dict[str, datetime]:
    """Where each series of a relation is marked as loaded and validated up to."""
    statement = (
        "select ticker, watermark from series where market = %s and interval = %s and watermark is not null"
    )
    return dict(connection.execute(statement, (market.code, interval.value)).fetchall())
