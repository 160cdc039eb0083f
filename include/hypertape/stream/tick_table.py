"""The table of ticks as a writer's batches meet it.

A batch is one transaction: the ticks, the note of where they came, and the letters of those that cannot be stored.
Ticks that are all new go in by COPY. Where the key of one is taken, the batch goes in by INSERT … ON CONFLICT DO
NOTHING: the same tick twice is one tick, and another tick with the key of a stored one becomes a letter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import psycopg
from psycopg import conninfo

from hypertape.errors import DatabaseUnreachable
from hypertape.frame import instant
from hypertape.queries import query
from hypertape.stream.encode import COPY_HEADER, COPY_TRAILER, VALUES, TickColumns, copy_rows, tick_columns
from hypertape.stream.letters import Letter, add_letters, tick_letter
from hypertape.stream.model import MINUTE, Tick
from hypertape.stream.symbols import SymbolIds
from hypertape.stream.table import PoisonedRow
from hypertape.warehouse.connect import connect
from hypertape.warehouse.dsn import normalise_dsn
from hypertape.warehouse.pg_binary import IntArray, TimeArray, array_cursor

Connection = psycopg.Connection[Any]

DAY = 24 * 60 * MINUTE
MARGIN_DAYS = 1
"""Ticks are accepted up to this long before they would be dropped: what came late is refreshed before it goes."""

AHEAD = 5 * MINUTE
"""A tick may lie this far ahead of our clock; feeds' clocks differ."""

_TOO_OLD = "older than what is kept"
_TOO_NEW = "more than five minutes ahead of the clock"
_TAKEN = "another tick of this symbol has this time and sequence"
_DOUBT = 20
"""After a batch with stored ticks so many go the way that bears them: what is sent again is sent in a row."""

_JOIN_NOTES = 30
"""Minutes without ticks that one note may span."""

_LIVELY = {
    "tcp_user_timeout": "20000",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


class _BelowBorder(Exception):
    """Ticks older than what was dropped; the transaction is undone."""


def lively(dsn: str) -> str:
    """A DSN whose connections notice within seconds that their server is gone."""
    parameters: dict[str, Any] = {**_LIVELY, **conninfo.conninfo_to_dict(normalise_dsn(dsn))}
    return conninfo.make_conninfo(**parameters)


@contextmanager
def tell_poison() -> Iterator[None]:
    """Raise PoisonedRow where values of a row are at fault, else what the connection raises."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise PoisonedRow(error.diag.message_primary or str(error)) from error
    except (OverflowError, TypeError, ValueError) as error:
        raise PoisonedRow(str(error)) from error


class TickTable:
    """One connection that stores batches of ticks. `now` is the clock in µs since 1970; `keep_days` the retention."""

    def __init__(
        self,
        dsn: str,
        symbol_ids: SymbolIds,
        *,
        keep_days: int = 90,
        now: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._dsn = lively(dsn)
        self._symbol_ids = symbol_ids
        self._keep = (keep_days - MARGIN_DAYS) * DAY
        self._now = now
        self._border = -(1 << 62)
        self._doubt = 0
        self._connection: Connection | None = None
        self._decoder = msgspec.msgpack.Decoder(list[Tick])

    def store(self, rows: Sequence[Tick]) -> None:
        """Store a batch; see `Table.store`."""
        with self._connected() as connection, tell_poison():
            ids = self._symbol_ids.resolve(connection, {tick.symbol for tick in rows})
            columns = tick_columns(rows, ids)
            while not self._attempt(connection, rows, columns):
                pass

    def bury(self, row: Tick, error: str) -> None:
        """Keep a tick in `dead_letter`."""
        with self._connected() as connection:
            add_letters(connection, [tick_letter(row, error)])

    def encode(self, rows: Sequence[Tick]) -> bytes:
        """Ticks as a record of the spool: MessagePack, symbols by name."""
        return msgspec.msgpack.encode(rows)

    def decode(self, record: bytes) -> list[Tick]:
        """What `encode` was given."""
        return self._decoder.decode(record)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """The connection, opened where there is none; after a failure that may be its own it is given up."""
        if self._connection is None or self._connection.closed:
            self._symbol_ids.forget()
            self._connection = connect(self._dsn, autocommit=True, application_name="hypertape stream")
        connection = self._connection
        try:
            yield connection
        except PoisonedRow:
            raise
        except BaseException:
            self.close()
            raise

    def _attempt(self, connection: Connection, rows: Sequence[Tick], columns: TickColumns) -> bool:
        """One try; False where what it learned calls for another."""
        reasons = self._reasons(columns)
        letters = [tick_letter(rows[place], reason) for place, reason in reasons.items()]
        if reasons:
            good = np.ones(len(columns), bool)
            good[list(reasons)] = False
            columns, rows = (
                columns.take(good),
                [row for row, wanted in zip(rows, good, strict=True) if wanted],
            )
        try:
            with _transaction(connection):
                if len(columns):
                    letters += self._put(connection, rows, columns)
                add_letters(connection, letters)
        except psycopg.errors.UniqueViolation:
            if self._doubt:
                raise
            self._doubt = _DOUBT
            return False
        except _BelowBorder:
            return False
        return True

    def _put(self, connection: Connection, rows: Sequence[Tick], columns: TickColumns) -> list[Letter]:
        """Store and note ticks; return letters of those whose key another tick has."""
        letters: list[Letter] = []
        if self._doubt:
            added, taken = _add(connection, columns)
            self._doubt = _DOUBT if added < len(columns) else self._doubt - 1
            letters = [tick_letter(rows[place], _TAKEN) for place in taken]
            if not added:
                return letters
        else:
            _copy(connection, columns)
        first, last = _spans(columns.times)
        with array_cursor(connection) as cursor:
            row = cursor.execute(query("stream_note_ticks"), (TimeArray(first), TimeArray(last))).fetchone()
        if row is None:
            raise DatabaseUnreachable("tick_state is empty", next_step="Run `hypertape doctor`.")
        if row[0] > first[0]:
            self._border = row[0]
            raise _BelowBorder
        return letters

    def _reasons(self, columns: TickColumns) -> dict[int, str]:
        """Why ticks are refused, by their place."""
        now = self._now()
        oldest = max(self._border, now - self._keep)
        old, new = columns.times < oldest, columns.times > now + AHEAD
        if not old.any() and not new.any():
            return {}
        return {int(p): _TOO_OLD for p in np.flatnonzero(old)} | {
            int(p): _TOO_NEW for p in np.flatnonzero(new)
        }


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    connection.execute(query("stream_begin"))
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if not connection.closed and not connection.broken:
            connection.execute("rollback")
        raise


def _copy(connection: Connection, columns: TickColumns) -> None:
    with connection.cursor() as cursor, cursor.copy(query("stream_copy_ticks")) as copy:
        copy.write(b"".join((COPY_HEADER, *copy_rows(columns), COPY_TRAILER)))


def _add(connection: Connection, columns: TickColumns) -> tuple[int, list[int]]:
    """Add what is new; return how many that were, and the places of ticks whose key a different one has."""
    parameters: dict[str, Any] = {
        "symbol_ids": IntArray(columns.symbol_ids),
        "times": TimeArray(columns.times),
        "sequences": IntArray(columns.sequences),
        **{name: IntArray(column) for name, column in zip(VALUES, columns.values, strict=True)},
        "sources": list(columns.sources),
    }
    incoming = query("stream_incoming_ticks")
    with array_cursor(connection) as cursor:
        cursor.execute(query("stream_add_ticks").format(incoming=incoming), parameters)
        added = cursor.rowcount
        if added == len(columns):
            return added, []
        bounds = {
            "first_time": instant(int(columns.times.min())),
            "last_time": instant(int(columns.times.max())),
        }
        cursor.execute(query("stream_other_ticks").format(incoming=incoming), parameters | bounds)
        return added, sorted({place for (place,) in cursor.fetchall()})


def _spans(times: Any) -> tuple[Any, Any]:
    """First and last instants of runs of ticks: one run for what comes live, one more for what came late."""
    ordered = np.sort(times)
    cuts = np.flatnonzero(np.diff(ordered) > _JOIN_NOTES * MINUTE)
    return ordered[np.r_[0, cuts + 1]], ordered[np.r_[cuts, len(ordered) - 1]]
