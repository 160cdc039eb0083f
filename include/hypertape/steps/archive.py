"""The archive: what retention drops is first written to a Parquet store, and read back, bar by bar.

With HYPERTAPE_ARCHIVE_URL nothing else drops bars: the schema sets no policy that would do so behind our back. Each
series is a transaction of its own: written, compared with what the files say now, and only then removed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from hypertape.digest import CANONICAL_COLUMNS, digest_blocks
from hypertape.errors import CheckFailed
from hypertape.frame import Micros, bar_frame, floats_of, micros, times_of
from hypertape.markets import all_markets
from hypertape.model import VALUE_COLUMNS, Interval, Market, Series, midnight
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.stores import BATCH_ROWS, Block
from hypertape.stores.parquet import ParquetStore
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.stored import relation
from hypertape.warehouse.locks import lock_series
from hypertape.warehouse.read import series_blocks

Connection = psycopg.Connection[Any]

_PROVED = (*CANONICAL_COLUMNS, "adjusted_close")


@dataclass(frozen=True, slots=True)
class Archived:
    """What the archive took of one market and interval: bars that open before `before`, of so many series."""

    market: str
    interval: str
    before: datetime
    series: int
    bars: int


def archive(
    dsn: str,
    market: Market,
    interval: Interval,
    url: str,
    *,
    now: datetime,
    on_series: Callable[[str, int], None] | None = None,
) -> Archived | None:
    """Archive and drop what is older than the market keeps; None where it keeps all.

    Raises CheckFailed where the files do not hold what the warehouse does: nothing of that series is dropped; and what
    the store raises.
    """
    kept = market.retention.get(interval)
    if kept is None:
        return None
    before, store = midnight((now - kept).date()), ParquetStore(url)
    found = {"series": 0, "bars": 0}
    with connect(dsn) as connection:
        parameters = {
            "markets": [market.code], "intervals": [interval.value], "tickers": [], "start": "-infinity",
        }  # fmt: skip
        listed = connection.execute(query("store_series"), parameters).fetchall()
        connection.commit()
        for _, _, ticker, first, _ in listed:
            if first >= before:
                continue
            with connection.transaction():
                bars = _archive_one(connection, store, market, interval, ticker, before)
            found["series"] += 1
            found["bars"] += bars
            if on_series is not None:
                on_series(ticker, bars)
    return Archived(market.code, interval.value, before, **found)


def archive_all(dsn: str, settings: Settings, *, now: datetime) -> list[Archived]:
    """Archive every market that keeps only so much; nothing where no archive is named. Raises as `archive` does."""
    if settings.archive_url is None:
        return []
    found = [
        archive(dsn, market, interval, settings.archive_url, now=now)
        for market in all_markets().values()
        for interval in market.intervals
    ]
    return [each for each in found if each is not None]


def _archive_one(
    connection: Connection,
    store: ParquetStore,
    market: Market,
    interval: Interval,
    ticker: str,
    before: datetime,
) -> int:
    lock_series(connection, market.code, interval.value, [ticker])
    store.write(market, interval, _blocks(connection, market, interval, ticker, before))
    held = digest_blocks(ticker, _stored(connection, market, interval, ticker, before))
    assert held.first is not None
    series = Series(market.code, ticker, interval)
    kept = digest_blocks(ticker, _archived(store, series, held.first, before))
    if held != kept:
        raise CheckFailed(
            f"The archive has not every bar of {series}: {held.rows} and {kept.rows} bars",
            next_step="Nothing of it was dropped. Look at the files with `hypertape verify parquet:URL warehouse`.",
        )
    connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
    statement = query("archive_drop").format(bars=relation(market, interval))
    gone = connection.execute(statement, {"ticker": ticker, "before": before}).rowcount
    connection.execute(
        query("archive_note").format(bars=relation(market, interval)),
        {"market": market.code, "interval": interval.value, "ticker": ticker},
    )
    return gone


def _stored(
    connection: Connection, market: Market, interval: Interval, ticker: str, before: datetime
) -> Iterator[tuple[Micros, list[Any]]]:
    """The warehouse's bars before an instant."""
    edge = micros(before)
    for time, columns in series_blocks(connection, market, interval, ticker, _PROVED, rows=BATCH_ROWS):
        inside = time < edge
        if inside.any():
            yield time[inside], [column[inside] for column in columns]
        if not inside.all():
            return


def _blocks(
    connection: Connection, market: Market, interval: Interval, ticker: str, before: datetime
) -> Iterator[Block]:
    for time, columns in _stored(connection, market, interval, ticker, before):
        values = dict(zip(_PROVED, columns, strict=True))
        yield Block(bar_frame(ticker, time, {name: values[name] for name in VALUE_COLUMNS}))


def _archived(
    store: ParquetStore, series: Series, first: datetime, before: datetime
) -> Iterator[tuple[Micros, list[Any]]]:
    """The archive's bars of the same time."""
    edge = micros(before)
    for block in store.read(series, start=first):
        time = times_of(block.bars)
        inside = time < edge
        yield time[inside], [floats_of(block.bars, name)[inside] for name in _PROVED]
