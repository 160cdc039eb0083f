"""Delivering to mirrors what loads changed, and proving that a mirror holds what the warehouse holds.

What is delivered is the warehouse's present state of the noted range, so order between loads does not matter and
delivering again changes nothing. One series is one transaction: it holds the lock of mirror and series, reads, writes
the mirror, and removes the note it has read. A kill at any moment leaves the note; a load that comes in between renews
it, and it stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from hypertape.errors import BadInput, HypertapeError, TransientError
from hypertape.frame import ENRICHED_SCHEMA, TIME_TYPE, instant
from hypertape.markets import get_market
from hypertape.model import INDICATOR_COLUMNS, VALUE_COLUMNS, Interval, Series
from hypertape.queries import query
from hypertape.stores import Block, Store, Written
from hypertape.stores.mirrors import Mirror, demand_present
from hypertape.warehouse.connect import translate_errors
from hypertape.warehouse.locks import try_lock_name
from hypertape.warehouse.wire import array_cursor

Connection = psycopg.Connection[Any]

_BLOCK_ROWS = 50_000
_COLUMNS = (*VALUE_COLUMNS, *INDICATOR_COLUMNS)
_AWAY = (TransientError, OSError, sqlite3.OperationalError)
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


def deliver(
    connection: Connection, mirror: Mirror, open_target: Callable[[], Store], *, now: datetime
) -> Delivered:
    """Write what the mirror waits for into its store and return what was done; `now` is UTC.

    `connection` is in autocommit mode. Never raises for the mirror: one that is away keeps its notes, and its error is
    recorded in `mirror` and in the result. Raises what `translate_errors` raises for the warehouse.
    """
    done = Delivered(mirror.name)
    waiting = _waiting(connection, mirror)
    if not waiting:
        return done
    try:
        demand_present(mirror)
        store = open_target()
        try:
            for series in waiting:
                _deliver_one(connection, store, mirror, series, done)
        finally:
            store.close()
    except (HypertapeError, *_AWAY) as error:
        done.error = str(error)
    _record(connection, mirror, done, now)
    done.left = len(_waiting(connection, mirror))
    return done


def _deliver_one(
    connection: Connection, store: Store, mirror: Mirror, series: Series, done: Delivered
) -> None:
    try:
        written = _deliver_series(connection, store, mirror, series)
    except _AWAY:
        raise
    except (HypertapeError, sqlite3.Error, pa.ArrowException) as error:
        done.failed[str(series)] = str(error)
        return
    if written is None:
        done.busy += 1
    else:
        done.series += 1
        done.written += written


def _deliver_series(connection: Connection, store: Store, mirror: Mirror, series: Series) -> Written | None:
    """Bring one series up to date; None when another worker has it in hand."""
    key = (mirror.name, series.market, series.interval.value, series.ticker)
    with translate_errors(connection), connection.transaction():
        if not try_lock_name(connection, f"mirror/{mirror.name}/{series}"):
            return None
        note = connection.execute(query("mirror_note"), key).fetchone()
        if note is None:
            return None
        note_id, first, last = note
        blocks = _changed(connection, series, first, last)
        written = store.write(get_market(series.market), series.interval, blocks)
        if written.refused:
            raise BadInput(
                f"{mirror.address} refused {written.refused} bars of {series}", next_step="See its log."
            )
        connection.execute(query("mirror_delivered"), (*key, note_id))
    return written


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
    with translate_errors(connection):
        rows = connection.execute(query("mirror_waiting"), (mirror.name,)).fetchall()
    return [Series(market, ticker, Interval.parse(interval)) for market, interval, ticker in rows]


def _record(connection: Connection, mirror: Mirror, done: Delivered, now: datetime) -> None:
    with translate_errors(connection), connection.transaction():
        if done.complaint is None:
            connection.execute(query("mirror_succeeded"), (now, mirror.name))
        else:
            connection.execute(query("mirror_failed"), (now, done.complaint, mirror.name))
