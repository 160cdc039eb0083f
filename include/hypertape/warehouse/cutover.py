"""Which store is the truth: the warehouse, or the SQLite files beside it.

The newest row of `cutover` stands. While SQLite is the truth the database refuses every load that does not come from it
(`sql/repeatable/50_cutover.sql`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from hypertape.model import Interval, Series
from hypertape.queries import query

Connection = psycopg.Connection[Any]

WAREHOUSE, SQLITE = "warehouse", "sqlite"


@dataclass(frozen=True, slots=True)
class Cutover:
    """One decision. `address` is the SQLite store of the pair; `load_id` the newest load when it was taken (UTC)."""

    cutover_id: int
    truth: str
    address: str
    load_id: int
    since: datetime
    decided_by: str
    reason: str | None
    synced: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A series that loads changed: the first bar they changed (opening, UTC), and how many loads it were."""

    series: Series
    first: datetime
    loads: int


def standing(connection: Connection) -> Cutover | None:
    """The decision that stands; None before the first one, when the warehouse is the truth."""
    with connection.cursor(row_factory=class_row(Cutover)) as cursor:
        return cursor.execute(query("cutover_standing")).fetchone()


def history(connection: Connection) -> list[Cutover]:
    """Every decision, the newest first."""
    with connection.cursor(row_factory=class_row(Cutover)) as cursor:
        return cursor.execute(query("cutover_history")).fetchall()


def decide(
    connection: Connection,
    truth: str,
    address: str,
    *,
    since: datetime,
    decided_by: str,
    reason: str | None = None,
    synced: Mapping[str, Any] | None = None,
) -> None:
    """Make a store the truth from now on, in the caller's transaction."""
    values = (truth, address, since, decided_by, reason, Jsonb(synced or {}))
    connection.execute(query("cutover_decide"), values)


def changed_since(connection: Connection, load_id: int) -> list[Change]:
    """The series that loads after `load_id` changed, sorted."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query("cutover_changed"), (load_id,)).fetchall()
    return [
        Change(
            Series(row["market"], row["ticker"], Interval(row["interval"])),
            row["first_changed"],
            row["loads"],
        )
        for row in found
    ]


def hold_loads(connection: Connection) -> None:
    """Wait for every load that has begun, and let none begin until the caller's transaction ends."""
    connection.execute(query("cutover_hold_loads"))
