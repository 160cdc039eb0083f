"""Delivering to mirrors what loads changed, and proving that a mirror holds what the warehouse holds.

What is delivered is the warehouse's present state of the noted range, so order between loads does not matter and
delivering again changes nothing. Some series of one relation are one transaction: it holds the lock of mirror and
series, reads, writes the mirror, and removes the notes it has read. A kill at any moment leaves the notes; a load that
comes in between renews its note, and that stays.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from hypertape.errors import BadInput, DatabaseRefused, DiskFull, HypertapeError, TransientError
from hypertape.frame import ENRICHED_SCHEMA, TIME_TYPE, instant
from hypertape.markets import get_market
from hypertape.model import INDICATOR_COLUMNS, VALUE_COLUMNS, Interval, Series
from hypertape.queries import query
from hypertape.stores import Block, Store, Written, require_all_rows
from hypertape.stores.mirrors import Mirror, require_present
from hypertape.warehouse.claims import Worker
from hypertape.warehouse.pg_binary import array_cursor

Connection = psycopg.Connection[Any]

KIND = "delivery"
"""Of the claims; a unit is a mirror and a series."""

_BLOCK_ROWS = 50_000
_BATCH_SERIES = 25
"""Series per transaction: opening a SQLite file costs more than writing a few bars."""

_COLUMNS = (*VALUE_COLUMNS, *INDICATOR_COLUMNS)
_AWAY = (TransientError, DiskFull, DatabaseRefused, OSError, sqlite3.OperationalError)
"""What says that the mirror as a whole cannot be written now, rather than one series."""


@dataclass(slots=True)
class Delivered:
    """What a delivery did. `busy` counts series another worker is delivering, `left` those that still wait.

    `error` is why the delivery stopped; `failed` holds the errors of single series, by series.
    """

    mirror: str
    series: int = 0
    written: Written = field(default_factory=Written)
    busy: int = 0
    left: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def complaint(self) -> str | None:
        """The first error, if there is one."""
        return self.error or next((f"{series}: {error}" for series, error in self.failed.items()), None)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "series": self.series,
            "inserted": self.written.inserted,
            "updated": self.written.updated,
            "unchanged": self.written.unchanged,
            "left": self.left,
            "error": self.complaint,
        }


def deliver(
    connection: Connection, mirror: Mirror, open_target: Callable[[], Store], *, now: datetime
) -> Delivered:
    """Write what the mirror waits for into its store and return what was done; `now` is UTC.

    `connection` is in autocommit mode. Series that somebody else delivers just now are left to them. Never raises for
    the mirror: one that is away keeps its notes, and its error is recorded in `mirror` and in the result. Raises what
    `translate_errors` raises for the warehouse.
    """
    done = Delivered(mirror.name)
    waiting = _waiting(connection, mirror)
    if not waiting:
        return done
    worker = Worker(KIND)
    try:
        require_present(mirror)
        store = open_target()
        try:
            for batch in _batches(waiting):
                worker.beat(connection)
                _deliver_batch(connection, store, mirror, batch, done, worker)
            worker.leave(connection)
        finally:
            store.close()
    except (HypertapeError, *_AWAY) as error:
        done.error = str(error)
    _record(connection, mirror, done, now)
    done.left = len(_waiting(connection, mirror))
    return done


def _batches(waiting: list[Series]) -> Iterator[list[Series]]:
    """Series of one relation, a few at a time, in the order in which they wait."""
    relations: dict[tuple[str, Interval], list[Series]] = {}
    for series in waiting:
        relations.setdefault((series.market, series.interval), []).append(series)
    for found in relations.values():
        yield from (found[at : at + _BATCH_SERIES] for at in range(0, len(found), _BATCH_SERIES))


def _deliver_batch(
    connection: Connection,
    store: Store,
    mirror: Mirror,
    batch: list[Series],
    done: Delivered,
    worker: Worker,
) -> None:
    """Deliver a batch; when one of its series cannot be written, each by itself."""
    names = {f"{mirror.name}/{series}": series for series in batch}
    claims = worker.take(connection, KIND, list(names))
    mine = [names[claim.unit] for claim in claims]
    done.busy += len(batch) - len(mine)
    try:
        if mine:
            _deliver(connection, store, mirror, mine, done, partial(worker.require, claims=claims))
    except _AWAY:
        raise
    except (HypertapeError, sqlite3.Error, pa.ArrowException) as error:
        if len(mine) == 1:
            done.failed[str(mine[0])] = str(error)
        else:
            worker.release(connection, claims)
            for series in mine:
                _deliver_batch(connection, store, mirror, [series], done, worker)
    finally:
        worker.release(connection, claims)


def _deliver(
    connection: Connection,
    store: Store,
    mirror: Mirror,
    batch: list[Series],
    done: Delivered,
    guard: Callable[[Connection], None],
) -> None:
    market, interval = batch[0].market, batch[0].interval
    with connection.transaction():
        guard(connection)
        found = (mirror.name, market, interval.value, [series.ticker for series in batch])
        notes = connection.execute(query("mirror_notes"), found).fetchall()
        read = Counter[str]()
        blocks = (
            _counted(block, read)
            for ticker, _, first, last in notes
            for block in _changed(connection, Series(market, ticker, interval), first, last)
        )
        written = store.write(get_market(market), interval, blocks)
        require_all_rows(mirror.address, read.total(), written.rows)
        if written.refused:
            raise BadInput(
                f"{mirror.address} cannot hold {written.refused} bars",
                next_step="Give it other markets or intervals.",
            )
        delivered = {
            "mirror": mirror.name,
            "market": market,
            "interval": interval.value,
            "tickers": [ticker for ticker, *_ in notes],
            "note_ids": [note_id for _, note_id, *_ in notes],
        }
        connection.execute(query("mirror_delivered"), delivered)
    done.series += len(notes)
    done.written += written


def _counted(block: Block, read: Counter[str]) -> Block:
    read["bars"] += block.rows
    return block


def _changed(connection: Connection, series: Series, first: datetime, last: datetime) -> Iterator[Block]:
    """The warehouse's rows of a range (both ends included) with their indicators, in bounded blocks."""
    statement = query("mirror_block").format(
        bars=sql.Identifier("public", get_market(series.market).relation(series.interval)),
        names=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        arrays=sql.SQL(", ").join(
            sql.SQL("array_agg(coalesce({name}, 'NaN'))").format(name=sql.Identifier(name))
            for name in _COLUMNS
        ),
    )
    while True:
        with array_cursor(connection) as cursor:
            row = cursor.execute(statement, (series.ticker, first, last, _BLOCK_ROWS)).fetchone()
        if row is None or row[0] is None:
            return
        order = np.argsort(row[0], kind="stable")
        time = row[0][order]
        yield Block(_enriched(series.ticker, time, [column[order] for column in row[1:]]))
        if len(time) < _BLOCK_ROWS:
            return
        first = instant(int(time[-1]) + 1)


def _enriched(ticker: str, time: Any, columns: list[Any]) -> pa.Table:
    arrays = [
        pa.array([ticker] * len(time), pa.string()),
        pa.array(time).cast(pa.timestamp("us")).cast(TIME_TYPE),
        *(pa.array(column, pa.float64(), from_pandas=True) for column in columns),
    ]
    return pa.table(arrays, schema=ENRICHED_SCHEMA)


def _waiting(connection: Connection, mirror: Mirror) -> list[Series]:
    rows = connection.execute(query("mirror_waiting"), (mirror.name,)).fetchall()
    return [Series(market, ticker, Interval.parse(interval)) for market, interval, ticker in rows]


def _record(connection: Connection, mirror: Mirror, done: Delivered, now: datetime) -> None:
    with connection.transaction():
        if done.complaint is None:
            connection.execute(query("mirror_succeeded"), (now, mirror.name))
        else:
            connection.execute(query("mirror_failed"), (now, done.complaint, mirror.name))
