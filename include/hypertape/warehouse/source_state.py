"""Turns and circuit breakers of the sources, shared through the warehouse by all workers on all hosts.

A turn is reserved by one statement on the server's clock and waited for afterwards: no transaction and no lock is held
meanwhile, and who has waited asks once more, because the source may have been held or left alone by then. The circuit
opens after some failures in a row; after a pause one worker is let through, and how it fares decides; what began before
the circuit opened decides nothing. All times are the server's, so that hosts whose clocks differ agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from hypertape.errors import CircuitOpen, DatabaseBusy, DatabaseUnreachable
from hypertape.queries import query
from hypertape.warehouse.connect import connect

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is known of one source. Times are UTC; `state` is closed, open or half-open.

    `seconds_to_turn` is how long a request would wait now, `seconds_to_trial` when a source left alone is tried again.
    """

    source: str
    state: str
    failures: int
    opened_at: datetime | None
    last_ok_at: datetime | None
    last_failed_at: datetime | None
    last_error: str | None
    seconds_to_turn: float
    seconds_to_trial: float


class Turn(NamedTuple):
    """A reserved turn: its instant and the seconds until then. Instants are the server's, UTC.

    `trial` tells the one that tries a source that was left alone from the others; None: nobody has to.
    """

    instant: datetime
    seconds: float
    reserved: datetime
    trial: datetime | None


@dataclass(slots=True)
class DatabaseThrottle:
    """Turns and circuits in the table `source_state`.

    `rate` gives a source's requests a second (None: no limit); the circuit opens after `failures` failed requests in a
    row and is tried after `pause` seconds. One autocommit connection is opened on first use; close it, or use `with`.
    """

    dsn: str
    rate: Callable[[str], float | None]
    failures: int = 5
    pause: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    _connection: Connection | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> DatabaseThrottle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def wait(self, source: str) -> datetime:
        """Reserve the next turn and return when it has come, with the instant at which the request begins.

        Raises CircuitOpen while the source is left alone, also when that began during the wait. Who is held meanwhile
        takes another turn after the hold.
        """
        turn = self.reserve(source)
        while turn.seconds > 0:
            self.sleep(turn.seconds)
            begun = self._go(source, turn)
            if begun is not None:
                return begun
            turn = self.reserve(source)
        return turn.reserved

    def reserve(self, source: str) -> Turn:
        """Reserve the next turn. Raises CircuitOpen."""
        rate = self.rate(source)
        values = {"source": source, "step": 1.0 / rate if rate else 0.0, "pause": self.pause}
        turn = self._run("source_turn", values).fetchone()
        if turn is None:
            raise self._open(source)
        return Turn(*turn)

    def _go(self, source: str, turn: Turn) -> datetime | None:
        """The instant of the request whose turn has come; None when the source was held beyond the turn meanwhile."""
        values = {"source": source, "turn": turn.instant, "trial": turn.trial}
        found = self._run("source_go", values).fetchone()
        assert found is not None, "a turn was reserved"
        now, allowed, held = found
        if not allowed:
            raise self._open(source)
        return None if held else now

    def record(
        self, source: str, ok: bool, *, begun: datetime | None = None, pause: float = 0.0, reason: str = ""
    ) -> None:
        """Note how a request went that began at `begun` (what `wait` returned; None: just now).

        `pause` seconds nobody asks the source.
        """
        values: dict[str, object] = {"source": source, "begun": begun}
        if ok:
            self._run("source_answered", values)
        else:
            failed = {"reason": reason, "pause": pause, "failures": self.failures}
            self._run("source_failed", values | failed)

    def _open(self, source: str) -> CircuitOpen:
        found = source_states(self._connected(), self.pause, source)
        if not found or found[0].state == "closed":  # it answered between the two statements
            return CircuitOpen(f"{source} was being tried by another worker")
        (state,) = found
        reason = f" ({state.last_error})" if state.last_error else ""
        return CircuitOpen(
            f"{source} failed {state.failures} times in a row{reason} and is left alone for another "
            f"{state.seconds_to_trial:.0f} s"
        )

    def _run(self, name: str, values: dict[str, object]) -> psycopg.Cursor[Any]:
        try:
            return self._connected().execute(query(name), values)
        except (DatabaseUnreachable, DatabaseBusy):
            if self._connection is None or not self._connection.closed:
                raise
            self.close()  # the connection was lost between two requests, perhaps minutes apart: one new one
            return self._connected().execute(query(name), values)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.dsn, autocommit=True, application_name="hypertape sources")
        return self._connection


def source_states(connection: Connection, pause: float, source: str | None = None) -> list[SourceState]:
    """What is known of every source that was ever asked, or of one, by name."""
    with connection.cursor(row_factory=class_row(SourceState)) as cursor:
        return cursor.execute(query("source_states"), {"pause": pause, "source": source}).fetchall()


def reset_sources(connection: Connection, sources: Sequence[str]) -> list[str]:
    """Close the circuits of some sources and free their turns; return those that are known."""
    return sorted(name for (name,) in connection.execute(query("source_reset"), (list(sources),)))
