"""A tape over a warehouse: one connection that only reads, and is opened again where it was lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from threading import RLock
from typing import Any, TypeVar

import psycopg
import pyarrow as pa

from hypertape.errors import TransientError
from hypertape.reader.bars import BarReading, Run
from hypertape.reader.completeness import require_complete
from hypertape.reader.request import BarRequest
from hypertape.reader.statements import Connection
from hypertape.reader.tape import LedgerRequest
from hypertape.settings import Settings
from hypertape.warehouse.condition import conditions
from hypertape.warehouse.connect import connect, resolve_reader_dsn
from hypertape.warehouse.gaps.healing import GapFilter, list_gaps
from hypertape.warehouse.ledger import database_now

T = TypeVar("T")

_INHERITED: list[Connection] = []
"""Connections of a parent process, kept so that they are not closed."""


class OverDsn:
    """Answers out of the warehouse at a DSN, else of the one that the settings read with. Connects when first asked.

    What is read at once is of one snapshot. A connection that turns out to be lost, as after a restart of the server,
    is opened again and the question asked once more: nothing of its answer has been given. Threads take turns; a
    process that was forked opens a connection of its own. Statements are not prepared: one plan for any window would
    hold every chunk of a table. `clock` gives the instant (UTC) until which sessions count as over; without it the
    server does.
    """

    def __init__(
        self,
        settings: Settings,
        dsn: str | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._settings, self._dsn, self._clock = settings, dsn, clock
        self._connection: Connection | None = None
        self._opened_by = os.getpid()
        self._turn = RLock()

    def read(self, request: BarRequest, *, at_once: bool) -> Iterator[pa.RecordBatch]:
        """The bars: of one snapshot where they are read at once, else each block of its own moment."""
        if at_once:
            yield from self._alone(
                lambda connection: list(self._batches(request, lambda work: work(connection)))
            )
        else:
            yield from self._batches(request, self._alone)

    def _batches(self, request: BarRequest, run: Run) -> Iterator[pa.RecordBatch]:
        reading = BarReading(run, request)
        spans = reading.spans()
        if request.complete:
            run(lambda connection: require_complete(connection, request, spans, self._now(connection)))
        yield from reading.batches(spans)

    def gaps(self, request: LedgerRequest, *, closed: bool) -> Iterable[dict[str, Any]]:
        """Entries of the gap ledger."""
        wanted = GapFilter((request.market.code,), (request.interval.value,), request.tickers)
        return self._alone(lambda connection: list_gaps(connection, wanted, closed=closed))

    def condition(self, request: LedgerRequest, start: date, end: date) -> Iterable[dict[str, Any]]:
        """The conditions of sessions."""
        found = self._alone(
            lambda connection: conditions(
                connection,
                request.market,
                request.interval,
                start,
                end,
                now=self._now(connection),
                tickers=request.tickers,
            )
        )
        return [
            {"session": e.session, "ticker": e.ticker, "condition": e.condition, "reasons": list(e.reasons)}
            for e in found
        ]

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            if self._is_ours():
                self._connection.close()  # type: ignore[union-attr]
            self._connection = None

    def _now(self, connection: Connection) -> datetime:
        return self._clock() if self._clock is not None else database_now(connection)

    def _alone(self, work: Callable[[Connection], T]) -> T:
        """Some work in a transaction of its own."""
        with self._turn:
            known = self._is_ours()
            try:
                return self._in_transaction(work)
            except TransientError:
                if not known or self._is_ours():  # else what was lost was an old connection
                    raise
            return self._in_transaction(work)

    def _in_transaction(self, work: Callable[[Connection], T]) -> T:
        connection = self._connected()
        try:
            return work(connection)
        finally:
            if not connection.closed:
                connection.rollback()

    def _is_ours(self) -> bool:
        """True where there is a connection, of this process, that has not been lost as far as anybody knows."""
        return self._connection is not None and not self._connection.closed and self._opened_by == os.getpid()

    def _connected(self) -> Connection:
        if self._connection is not None and not self._is_ours() and self._opened_by != os.getpid():
            _INHERITED.append(self._connection)  # the parent's: closing it here would end it there
        if self._connection is None or not self._is_ours():
            self._opened_by = os.getpid()
            dsn = self._dsn or resolve_reader_dsn(self._settings)
            self._connection = connect(dsn, application_name="hypertape reader")
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            self._connection.prepare_threshold = None
        return self._connection
