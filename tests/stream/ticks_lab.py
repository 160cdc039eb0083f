"""What the tests of ticks share: quotes, a writer on a fixed clock, and candles recomputed in plain Python."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from hypertape.frame import instant, micros
from hypertape.model import TIMEFRAMES, Window, utc
from hypertape.stream.model import MINUTE, SCALE, Tick
from hypertape.stream.rollups import refresh_candles
from hypertape.stream.symbols import SymbolIds
from hypertape.stream.tick_table import DAY, TickTable
from hypertape.stream.writer import BatchWriter, WriterOptions

Connection = psycopg.Connection[Any]

DAY_ONE = micros(utc(2026, 1, 5))
NOON = DAY_ONE + DAY // 2
NOW = DAY_ONE + 3 * DAY
ALL = Window(utc(2025, 1, 1), utc(2027, 1, 1))


def tick(symbol: str = "EURUSD", time: int = NOON, sequence: int = 1, **others: Any) -> Tick:
    """A quote at 1.08450 / 1.08470 unless said."""
    values = {
        "bid": 108_450_000,
        "ask": 108_470_000,
        "bid_volume": SCALE,
        "ask_volume": 2 * SCALE,
        "source": "lab",
    }
    return Tick(symbol, time, sequence, **(values | others))


def feed(count: int, *, seed: int = 1, start: int = DAY_ONE, span: int = DAY, symbols: int = 5) -> list[Tick]:
    """Quotes in the order of their time, several to an instant, some with one side only or without volumes."""
    chance = random.Random(seed)
    times = sorted(start + chance.randrange(span) // 250_000 * 250_000 for _ in range(count))
    found = []
    for sequence, time in enumerate(times):
        bid: int | None = 100 * SCALE + chance.randrange(-(10**9), 10**9)
        ask: int | None = bid + chance.randrange(1, 10**6)
        if chance.random() < 0.05:
            bid, ask = chance.choice([(None, ask), (bid, None)])
        volumes = [None if chance.random() < 0.1 else chance.randrange(1, 10**12) for _ in range(2)]
        source = chance.choice(["lab", "lab", "other"])
        # sequences beyond a million: FIX counts on for a day
        found.append(
            Tick(f"S{chance.randrange(symbols)}", time, 5_000_000 + sequence, bid, ask, *volumes, source)
        )
    return found


@asynccontextmanager
async def writing(dsn: str, *, now: int = NOW, keep_days: int = 90, **others: Any) -> Any:
    """A writer of ticks whose clock stands still."""
    options = others.pop("options", None) or WriterOptions(lanes=2)
    ids = SymbolIds()
    writer: BatchWriter[Tick] = BatchWriter(
        "ticks", lambda: TickTable(dsn, ids, keep_days=keep_days, now=lambda: now), options, **others
    )
    async with writer:
        yield writer


def store(dsn: str, ticks: Sequence[Tick], **others: Any) -> None:
    """Write ticks in batches and return when all are accepted."""

    async def work() -> None:
        async with writing(dsn, **others) as writer:
            await writer.write(ticks)

    asyncio.run(work())


def refresh(connection: Connection) -> None:
    assert refresh_candles(connection, "lab") is not None


def rows(connection: Connection, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    return connection.execute(sql.SQL(statement), parameters or None).fetchall()  # type: ignore[arg-type]


def value(connection: Connection, statement: str, *parameters: Any) -> Any:
    ((found,),) = rows(connection, statement, *parameters)
    return found


def expected_candles(ticks: Iterable[Tick], timeframe: str) -> list[tuple[Any, ...]]:
    """Candles of distinct ticks: (symbol, open time, doubled open, high, low, close, volume, count), whole numbers."""
    width = round(TIMEFRAMES[timeframe].total_seconds()) * 1_000_000
    origin = micros(utc(2000, 1, 3))
    parts: dict[tuple[str, int], list[Tick]] = {}
    for one in {(t.symbol, t.time, t.sequence): t for t in reversed(list(ticks))}.values():
        parts.setdefault((one.symbol, origin + (one.time - origin) // width * width), []).append(one)
    candles = []
    for (symbol, opens), part in parts.items():
        part.sort(key=lambda t: (t.time, t.sequence))
        mids = [(t.ask if t.bid is None else t.bid) + (t.bid if t.ask is None else t.ask) for t in part]
        volume = sum((t.bid_volume or 0) + (t.ask_volume or 0) for t in part)
        candles.append((symbol, opens, mids[0], max(mids), min(mids), mids[-1], volume, len(part)))
    return sorted(candles)


def stored_candles(connection: Connection, timeframe: str) -> list[tuple[Any, ...]]:
    """What `bars.ohlc_…` holds, in the same numbers."""
    doubled = ", ".join(f"{name} * 200000000" for name in ("open", "high", "low", "close"))
    found = rows(
        connection,
        f"select symbols.ticker, open_time, {doubled}, volume * 100000000, tick_count from bars.ohlc_{timeframe} "
        "join symbols using (symbol_id)",
    )
    return sorted((symbol, micros(opens), *map(int, numbers)) for symbol, opens, *numbers in found)


def assert_candles_are_right(connection: Connection, ticks: Sequence[Tick]) -> None:
    for timeframe in TIMEFRAMES:
        assert stored_candles(connection, timeframe) == expected_candles(ticks, timeframe), timeframe


def tick_digest(connection: Connection) -> tuple[Any, ...]:
    """What is stored of ticks, whenever it was written."""
    return rows(
        connection,
        "select count(*), md5(string_agg(concat_ws('|', symbol_name, tick_time, sequence, bid_price, ask_price, "
        "bid_volume, ask_volume, source), ',' order by symbol_name, tick_time, sequence)) from ticks",
    )[0]


def compress_all(connection: Connection) -> int:
    """Compress every chunk of ticks; return how many there were (none on plain PostgreSQL)."""
    if value(connection, "select hypertape.server_tier()") == "plain":
        return 0
    return len(rows(connection, "select compress_chunk(c, true) from show_chunks('bars.ticks') as c"))


def minute(time: int) -> datetime:
    return instant(time // MINUTE * MINUTE).astimezone(UTC)
