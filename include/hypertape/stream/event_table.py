"""What a feed says beside its ticks (refused records, gaps, its symbols), stored as durably as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from hypertape.frame import instant
from hypertape.stream.gaps import add_gaps, fill_gaps
from hypertape.stream.letters import Letter, add_letters, rejected_letter
from hypertape.stream.model import FeedGap, GapFilled, Rejected, SymbolInfo
from hypertape.stream.symbols import sync_symbols
from hypertape.stream.tick_table import lively, tell_poison
from hypertape.warehouse.connect import connect

Notice = Rejected | FeedGap | GapFilled | SymbolInfo

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Rejected, FeedGap, GapFilled, SymbolInfo)}


class EventTable:
    """One connection that stores what feeds say; a `Table` of a `BatchWriter`. `now` is the clock in µs since 1970."""

    def __init__(self, dsn: str, *, now: Callable[[], int]) -> None:
        self._dsn, self._now = lively(dsn), now
        self._connection: psycopg.Connection[Any] | None = None

    def store(self, rows: Sequence[Notice]) -> None:
        """Store notices in one transaction; the same one twice changes nothing but its count."""
        connection = self._connected()
        with tell_poison(), connection.transaction():
            add_letters(connection, [rejected_letter(row) for row in rows if isinstance(row, Rejected)])
            add_gaps(connection, [row for row in rows if isinstance(row, FeedGap)])
            fill_gaps(connection, [row for row in rows if isinstance(row, GapFilled)])
            listed = [row for row in rows if isinstance(row, SymbolInfo)]
            if listed:
                sync_symbols(connection, listed, instant(self._now()))

    def bury(self, row: Notice, error: str) -> None:
        """Keep a notice that cannot be stored."""
        source = str(getattr(row.gap if isinstance(row, GapFilled) else row, "source", "symbols"))
        add_letters(
            self._connected(),
            [Letter("record", source, repr(row).encode("utf-8", "backslashreplace"), error)],
        )

    def encode(self, rows: Sequence[Notice]) -> bytes:
        """Notices as a record of the spool."""
        return msgspec.msgpack.encode([(type(row).__name__, row) for row in rows])

    def decode(self, record: bytes) -> list[Notice]:
        """What `encode` was given."""
        return [msgspec.convert(values, _KINDS[kind]) for kind, values in msgspec.msgpack.decode(record)]

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self.close()
            self._connection = connect(self._dsn, autocommit=True, application_name="hypertape stream")
        return self._connection
