"""Ticks: durable rows a second and the time until they are visible, against a COPY by the server and the usual ways."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from benchmarks.result import Result
from benchmarks.ticks_peers import cryptofeed, fan_out
from psycopg import sql

from hypertape.frame import instant, micros
from hypertape.model import utc
from hypertape.stream.model import SCALE, Tick
from hypertape.stream.rollups import refresh_candles
from hypertape.stream.spool import Spool
from hypertape.stream.symbols import SymbolIds
from hypertape.stream.tick_table import DAY, TickTable
from hypertape.stream.writer import BatchWriter, WriterOptions
from hypertape.warehouse.connect import connect
from hypertape.warehouse.schema import tier

START = micros(utc(2026, 1, 5))
NOW = START + 2 * DAY
SYMBOLS = 50
BATCH = 1000
COLUMNS = "symbol_id, tick_time, sequence, bid_price, ask_price, bid_volume, ask_volume, source"


def run(dsn: str, *, quick: bool = False) -> list[Result]:
    """Measure; every figure is taken from Tick tuples to a commit, but for the server's own COPY."""
    ticks = quotes(100_000 if quick else 500_000)
    with connect(dsn, autocommit=True) as connection:
        _clear(connection)
        _durable(dsn, ticks)  # the rows that the server then copies
        floor = _best(lambda: _server_copy(connection, len(ticks)))
        _clear(connection)
        durable = _best(lambda: _cleared(connection, lambda: _durable(dsn, ticks)))
        middle, most = _latency(dsn, connection, ticks, durable / 2)
        few = ticks[:20_000]
        many = _cleared(connection, lambda: _executemany(dsn, few))
        unnest = _cleared(connection, lambda: _unnest(dsn, few))
        spooled = _spooled(ticks[:100_000])
        label = f"[{tier(connection)}, {len(ticks):,} ticks]"
        results = [
            Result(f"COPY by the server, one transaction {label}", floor, "rows/s"),
            Result("writer, durable, 1000 a commit (vs it)", durable, "rows/s", durable / floor, 0.5),
            Result("handed over to visible at half that rate, p50", middle * 1000, "ms"),
            Result("the same, p99 (100 ms vs it)", most * 1000, "ms", 0.1 / most, 1.0),
            Result("executemany, 1000 a commit (writer vs it)", many, "rows/s", durable / many),
            Result(
                "1000-row UNNEST … ON CONFLICT, a commit each (writer vs it)",
                unnest,
                "rows/s",
                durable / unnest,
            ),
            Result("spooled, fsync for each 1000", spooled, "rows/s"),
            cryptofeed(dsn, ticks[:100_000], durable),
            *fan_out(ticks[: 25_000 if quick else 100_000]),
        ]
        _clear(connection)
        _durable(dsn, ticks)
        results += _size(connection, len(ticks))
        started = time.perf_counter()
        refresh_candles(connection, "benchmark")
        results.append(
            Result("refresh of all seven levels over that day", time.perf_counter() - started, "s")
        )
    return results


def quotes(count: int) -> list[Tick]:
    """A day of quotes of 50 symbols as feeds send them: small steps of a tick size, round volumes, instants shared."""
    chance = np.random.default_rng(7)
    times = START + np.sort(chance.integers(0, DAY // 1000, count)) * 1000
    symbols = chance.integers(0, SYMBOLS, count)
    steps = np.cumsum(chance.integers(-2, 3, count))
    bids = (100 + symbols) * SCALE + steps * 1000
    volumes = chance.integers(1, 20, (2, count)) * SCALE
    rows = zip(times.tolist(), symbols.tolist(), bids.tolist(), *volumes.tolist(), strict=True)
    return [
        Tick(f"S{symbol:02}", at, place, bid, bid + 2000, bid_volume, ask_volume, "benchmark")
        for place, (at, symbol, bid, bid_volume, ask_volume) in enumerate(rows)
    ]


def _clear(connection: psycopg.Connection[Any]) -> None:
    connection.execute("truncate bars.ticks, tick_pending, dead_letter")


def _cleared(connection: psycopg.Connection[Any], work: Callable[[], float]) -> float:
    _clear(connection)
    return work()


def _best(work: Callable[[], float], repeat: int = 3) -> float:
    return float(np.median([work() for _ in range(repeat)]))


def _writer(dsn: str) -> BatchWriter[Tick]:
    ids = SymbolIds()
    return BatchWriter("ticks", lambda: TickTable(dsn, ids, now=lambda: NOW), WriterOptions(lanes=2))


def _durable(dsn: str, ticks: Sequence[Tick]) -> float:
    """Rows a second from the first tick handed over to the last commit; the queue makes the feed wait."""

    async def work() -> float:
        async with _writer(dsn) as writer:
            await writer.write(ticks[:1])
            started = time.perf_counter()
            for start in range(1, len(ticks), BATCH):
                await writer.submit(ticks[start : start + BATCH])
            await writer.flush()
            assert writer.status.accepted == len(ticks), writer.status
            return (len(ticks) - 1) / (time.perf_counter() - started)

    return asyncio.run(work())


def _latency(
    dsn: str, connection: psycopg.Connection[Any], ticks: Sequence[Tick], rate: float
) -> tuple[float, float]:
    """Median and 99th percentile of the seconds from handing over a batch to its commit, at a steady rate."""
    _clear(connection)
    taken: list[float] = []

    async def work() -> None:
        async with _writer(dsn) as writer:
            await writer.write(ticks[:1])
            begun = time.perf_counter()
            for number, start in enumerate(range(1, len(ticks), BATCH)):
                await asyncio.sleep(max(0.0, begun + number * BATCH / rate - time.perf_counter()))
                handed = time.perf_counter()
                future = await writer.submit(ticks[start : start + BATCH])
                future.add_done_callback(lambda _, handed=handed: taken.append(time.perf_counter() - handed))
            await writer.flush()

    asyncio.run(work())
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 99))


def _server_copy(connection: psycopg.Connection[Any], count: int) -> float:
    """COPY from a file of the server, client and network left out."""
    row = connection.execute(
        "select current_setting('data_directory') || '/hypertape_benchmark_ticks'"
    ).fetchone()
    assert row is not None
    file = sql.Literal(row[0])
    stored = connection.execute("select count(*) from bars.ticks").fetchone()
    if stored is not None and stored[0]:
        rows = sql.SQL("copy (select {columns} from bars.ticks order by sequence) to {file} (format binary)")
        connection.execute(rows.format(columns=sql.SQL(COLUMNS), file=file))
    _clear(connection)
    statement = sql.SQL("copy bars.ticks ({columns}) from {file} (format binary)")
    started = time.perf_counter()
    connection.execute(statement.format(columns=sql.SQL(COLUMNS), file=file))
    return count / (time.perf_counter() - started)


def _values(ticks: Sequence[Tick]) -> list[tuple[Any, ...]]:
    return [
        (
            int(t.symbol[1:]),
            instant(t.time),
            t.sequence,
            *(v / SCALE for v in t[3:7] if v is not None),
            t.source,
        )
        for t in ticks
    ]


def _executemany(dsn: str, ticks: Sequence[Tick]) -> float:
    statement = sql.SQL("insert into bars.ticks ({}) values (%s, %s, %s, %s, %s, %s, %s, %s)").format(
        sql.SQL(COLUMNS)
    )
    rows = _values(ticks)
    with connect(dsn) as connection, connection.cursor() as cursor:
        started = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            cursor.executemany(statement, rows[start : start + BATCH])
            connection.commit()
        return len(rows) / (time.perf_counter() - started)


def _unnest(dsn: str, ticks: Sequence[Tick]) -> float:
    kinds = ("bigint", "timestamptz", "bigint", "numeric", "numeric", "numeric", "numeric", "text")
    statement = sql.SQL("insert into bars.ticks ({}) select * from unnest({}) on conflict do nothing").format(
        sql.SQL(COLUMNS), sql.SQL(", ".join(f"%s::{kind}[]" for kind in kinds))
    )
    rows = _values(ticks)
    with connect(dsn) as connection:
        started = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            connection.execute(
                statement, [list(column) for column in zip(*rows[start : start + BATCH], strict=True)]
            )
            connection.commit()
        return len(rows) / (time.perf_counter() - started)


def _spooled(ticks: Sequence[Tick]) -> float:
    table = TickTable("postgresql:///", SymbolIds())
    with tempfile.TemporaryDirectory() as directory:
        spool = Spool(Path(directory), most_bytes=1 << 30)
        started = time.perf_counter()
        for start in range(0, len(ticks), BATCH):
            spool.append(table.encode(ticks[start : start + BATCH]))
        taken = time.perf_counter() - started
        spool.close()
    return len(ticks) / taken


def _size(connection: psycopg.Connection[Any], count: int) -> list[Result]:
    if tier(connection) == "plain":
        (size,) = connection.execute("select pg_total_relation_size('bars.ticks')").fetchone() or (0,)
        return [Result("a tick, key included", size / count, "bytes")]
    (before,) = connection.execute("select hypertable_size('bars.ticks')").fetchone() or (0,)
    connection.execute("select compress_chunk(c) from show_chunks('bars.ticks') as c")
    (after,) = connection.execute("select hypertable_size('bars.ticks')").fetchone() or (0,)
    return [
        Result("a tick, key included", before / count, "bytes"),
        Result("a compressed tick (uncompressed vs it)", after / count, "bytes", before / after),
    ]
