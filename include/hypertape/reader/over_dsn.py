"""A tape over a warehouse: one connection that only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import Any, TypeVar

import psycopg
import pyarrow as pa

from hypertape.reader.bars import BarReading
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


class OverDsn:
    """Answers out of the warehouse at a DSN, else of the one that the settings read with. Connects when first asked.

    What is read at once is of one snapshot. Statements are not prepared: one plan for any window would hold every
    chunk of a table. `clock` gives the instant (UTC) until which sessions count as over; without it the server does.
    """

    def __init__(
        self,
        settings: Settings,
        dsn: str | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._settings, self._dsn, self._clock = settings, dsn, clock
        self._connection: Connection | None = None

    def read(self, request: BarRequest, *, at_once: bool) -> Iterator[pa.RecordBatch]:
        """The bars: of one snapshot where they are read at once, else each block of its own moment."""
        run = self._within if at_once else self._alone
        reading = BarReading(run, request)
        try:
            spans = reading.spans()
            if request.complete:
                run(lambda connection: require_complete(connection, request, spans, self._now(connection)))
            yield from reading.batches(spans)
        finally:
            self._end()

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
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _now(self, connection: Connection) -> datetime:
        return self._clock() if self._clock is not None else database_now(connection)

    def _within(self, work: Callable[[Connection], T]) -> T:
        """Some work in the transaction that is under way."""
        return work(self._connected())

    def _alone(self, work: Callable[[Connection], T]) -> T:
        """Some work in a transaction of its own."""
        try:
            return work(self._connected())
        finally:
            self._end()

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            dsn = self._dsn or resolve_reader_dsn(self._settings)
            self._connection = connect(dsn, application_name="hypertape reader")
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            self._connection.prepare_threshold = None
        return self._connection

    def _end(self) -> None:
        if self._connection is not None and not self._connection.closed:
            self._connection.rollback()
