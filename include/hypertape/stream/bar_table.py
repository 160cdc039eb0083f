"""`bars_1m`: written and read under the document's verbs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Self

import msgspec
import numpy as np
import psycopg

from hypertape.frame import micros
from hypertape.queries import query
from hypertape.stream.encode import NULL
from hypertape.stream.letters import add_letters, bar_letter
from hypertape.stream.model import SCALE, Bar1m
from hypertape.stream.spool import Spool
from hypertape.stream.tick_table import lively, tell_poison
from hypertape.stream.writer import BatchWriter, WriterOptions
from hypertape.warehouse.connect import connect
from hypertape.warehouse.pg_binary import IntArray, TimeArray, array_cursor

Connection = psycopg.Connection[Any]

_PRICES = ("open", "high", "low", "close", "volume")


class BarTable:
    """One connection that upserts finalised bars; a `Table` of a `BatchWriter`. A later bar of a key replaces an
    earlier one."""

    def __init__(self, dsn: str) -> None:
        self._dsn = lively(dsn)
        self._connection: Connection | None = None
        self._decoder = msgspec.msgpack.Decoder(list[Bar1m])

    def store(self, rows: Sequence[Bar1m]) -> None:
        """Upsert a batch in one transaction."""
        connection = self._connected()
        with tell_poison():
            newest = list({(bar.symbol, bar.time): bar for bar in rows}.values())
            parameters: dict[str, Any] = {
                "symbols": [bar.symbol for bar in newest],
                "times": TimeArray(np.array([bar.time for bar in newest], np.int64)),
                **{
                    name: IntArray(np.array([getattr(bar, name) for bar in newest], np.int64))
                    for name in _PRICES
                },
                "vwap": IntArray(
                    np.array([NULL if bar.vwap is None else bar.vwap for bar in newest], np.int64)
                ),
            }
            with array_cursor(connection) as cursor:
                cursor.execute(query("stream_write_bars"), parameters)

    def bury(self, row: Bar1m, error: str) -> None:
        """Keep a bar in `dead_letter`."""
        add_letters(self._connected(), [bar_letter(row, error)])

    def encode(self, rows: Sequence[Bar1m]) -> bytes:
        """Bars as a record of the spool."""
        return msgspec.msgpack.encode(rows)

    def decode(self, record: bytes) -> list[Bar1m]:
        """What `encode` was given."""
        return self._decoder.decode(record)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self.close()
            self._connection = connect(self._dsn, autocommit=True, application_name="hypertape stream")
        return self._connection


class BarStorage:
    """The document's interface to finalised bars. Use it as an async context manager, or `start` and `close`."""

    def __init__(self, dsn: str, options: WriterOptions | None = None, *, spool: Spool | None = None) -> None:
        self._dsn = dsn
        self.writer: BatchWriter[Bar1m] = BatchWriter(
            "bars", lambda: BarTable(dsn), options or WriterOptions(interval=1.0), spool=spool
        )

    async def start(self) -> None:
        """Begin; what an earlier process left in the spool is stored first."""
        await self.writer.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def write_bars(self, bars: Sequence[Bar1m]) -> asyncio.Future[None]:
        """Queue bars, waiting for room only; the returned future resolves when they are accepted."""
        return await self.writer.submit(bars)

    async def get_bars(self, symbol: str, start: datetime, end: datetime) -> list[Bar1m]:
        """The stored bars of a symbol that open in [start, end), oldest first."""
        return await self._read(lambda reader: get_bars(reader, symbol, start, end))

    async def get_latest_bars(self, symbol: str, limit: int) -> list[Bar1m]:
        """The newest `limit` bars of a symbol, oldest first."""
        return await self._read(lambda reader: get_latest_bars(reader, symbol, limit))

    async def close(self) -> None:
        """Accept what is queued and let go."""
        await self.writer.close()

    async def _read(self, read: Callable[[Connection], list[Bar1m]]) -> list[Bar1m]:
        def work() -> list[Bar1m]:
            with connect(self._dsn, autocommit=True, application_name="hypertape stream") as reader:
                return read(reader)

        return await asyncio.to_thread(work)


def get_bars(connection: Connection, symbol: str, start: datetime, end: datetime) -> list[Bar1m]:
    """The stored bars of a symbol that open in [start, end), oldest first."""
    rows = connection.execute(query("stream_bars"), (symbol, start, end)).fetchall()
    return [_bar(row) for row in rows]


def get_latest_bars(connection: Connection, symbol: str, limit: int) -> list[Bar1m]:
    """The newest `limit` bars of a symbol, oldest first."""
    rows = connection.execute(query("stream_latest_bars"), (symbol, limit)).fetchall()
    return [_bar(row) for row in reversed(rows)]


def _bar(row: tuple[Any, ...]) -> Bar1m:
    symbol, time, *values = row
    scaled = [None if value is None else int(value * SCALE) for value in values]
    return Bar1m(symbol, micros(time), *scaled)  # type: ignore[arg-type]
