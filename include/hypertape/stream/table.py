"""Where a writer's batches go, and what becomes of a row that cannot be stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import psycopg

from hypertape.errors import HypertapeError

T = TypeVar("T")


class PoisonedRow(Exception):
    """A batch holds a row that no retry will get in. `store_or_bury` halves the batch until it has that row."""


class Table(Protocol[T]):
    """Where a writer's batches go. Its methods block and run in the writer's threads, one at a time per table."""

    def store(self, rows: Sequence[T]) -> None:
        """Write all rows in one transaction; a row that is there already changes nothing.

        Raises PoisonedRow where a row itself is at fault, else what `translate_errors` raises.
        """
        ...

    def bury(self, row: T, error: str) -> None:
        """Keep a row that cannot be stored in `dead_letter`."""
        ...

    def encode(self, rows: Sequence[T]) -> bytes:
        """The rows as a record of the spool."""
        ...

    def decode(self, record: bytes) -> list[T]:
        """What `encode` was given."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def store_or_bury(table: Table[T], rows: Sequence[T]) -> int:
    """Store rows; return how many were buried. Halves until a poisoned row stands alone.

    What is no failure of the database lies with a row: trying it again for ever would hold up all others.
    """
    try:
        table.store(rows)
    except (HypertapeError, psycopg.Error, OSError):
        raise
    except Exception as poison:
        if len(rows) == 1:
            table.bury(rows[0], str(poison) or type(poison).__name__)
            return 1
        middle = len(rows) // 2
        return store_or_bury(table, rows[:middle]) + store_or_bury(table, rows[middle:])
    return 0
