"""The ledger of migrations: which files, which units of work, how far each is.

Progress is committed at once and on its own, strictly after the bars it tells of, so a kill at any moment leaves a
ledger that knows at most too little: what it does not know is copied again, and copying again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hypertape.errors import BadInput
from hypertape.model import Interval, Series
from hypertape.queries import query
from hypertape.warehouse.connect import translate_errors

Connection = psycopg.Connection[Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """A unit of work: one series of one file, or (without a ticker) one other table of it."""

    unit: str
    part: int
    file: str
    address: str
    table_name: str | None
    market: str | None
    interval: str | None
    ticker: str | None
    planned: int | None

    @property
    def series(self) -> Series | None:
        """The series it copies, None for another table."""
        if self.market is None or self.interval is None or self.ticker is None:
            return None
        return Series(self.market, self.ticker, Interval(self.interval))

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> PlannedUnit:
        """Read a row of `migration_unit`."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Progress:
    """What one committed block did. `reached` is the opening of its last bar."""

    reached: datetime | None
    rows_read: int
    inserted: int
    updated: int
    unchanged: int
    refused: int
    seconds: float

    def __add__(self, later: Progress) -> Progress:
        ours, theirs = astuple(self), astuple(later)
        return Progress(
            later.reached or self.reached, *(a + b for a, b in zip(ours[1:], theirs[1:], strict=True))
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A unit's two sides. Digests are over the source's bars that pass the gate, and the warehouse's of those times."""

    source_rows: int
    target_rows: int
    source_digest: str
    target_digest: str
    missing: int = 0
    different: int = 0
    extra: int = 0
    sample: tuple[Mapping[str, Any], ...] = ()


def begin(
    connection: Connection,
    *,
    run_id: str,
    fingerprint: str,
    files: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
    dry_run: bool,
    inspected: Sequence[Mapping[str, Any]],
    started_at: datetime,
) -> int:
    """Open a migration and return its id."""
    values = (run_id, fingerprint, Jsonb(files), Jsonb(options), dry_run, Jsonb(inspected), started_at)
    with translate_errors(connection):
        (found,) = connection.execute(query("migration_begin"), values).fetchone() or (0,)
    return int(found)


def find(connection: Connection, fingerprint: str) -> tuple[int, str] | None:
    """The newest migration of this fingerprint that was no rehearsal, as (id, state)."""
    with translate_errors(connection):
        return connection.execute(query("migration_find"), (fingerprint,)).fetchone()


def get(connection: Connection, migration_id: int | None = None) -> Row:
    """One migration (the newest without an id) as a dict. Raises BadInput when there is none."""
    found = rows(connection, "migration_get", migration_id=migration_id)
    if not found:
        raise BadInput(
            f"There is no migration {migration_id}" if migration_id else "Nothing has been migrated",
            next_step="See `select migration_id, run_id, state from migration`.",
        )
    return found[0]


def note(
    connection: Connection,
    migration_id: int,
    *,
    state: str | None = None,
    refreshed: Any = None,
    verified_at: datetime | None = None,
    finished_at: datetime | None = None,
) -> None:
    """Note how far a migration is."""
    values = {
        "migration_id": migration_id,
        "state": state,
        "refreshed": None if refreshed is None else Jsonb(refreshed),
        "verified_at": verified_at,
        "finished_at": finished_at,
    }
    with translate_errors(connection):
        connection.execute(query("migration_set"), values)


def add_units(connection: Connection, migration_id: int, planned: Sequence[PlannedUnit]) -> None:
    """Write a migration's units."""
    columns = [[getattr(unit, field.name) for unit in planned] for field in fields(PlannedUnit)]
    with translate_errors(connection):
        connection.execute(query("migration_add_units"), (migration_id, *columns))


def units(
    connection: Connection, migration_id: int, *, part: int | None = None, states: Sequence[str] | None = None
) -> list[Row]:
    """The units of a migration as dicts, the longest first."""
    wanted = list(states) if states is not None else None
    return rows(connection, "migration_units", migration_id=migration_id, part=part, states=wanted)


def claim(holder: Connection, migration_id: int, names: Sequence[str]) -> set[str]:
    """Hold what no other worker holds of these units until `release`, and return it; never waits.

    The hold is advisory locks of a transaction of `holder`, so it ends with the worker, however that ends.
    """
    locks = [f"migration/{migration_id}/{unit}" for unit in names]
    with translate_errors(holder):
        found = holder.execute(query("migration_unit_claim"), (list(names), locks)).fetchall()
    return {unit for unit, mine in found if mine}


def release(holder: Connection) -> None:
    """Let go of what `claim` held."""
    with translate_errors(holder):
        holder.rollback()


def start(connection: Connection, migration_id: int, attempts: Mapping[str, int]) -> list[Row]:
    """Mark units as running and return them, but those somebody else attempted since their `attempts` were read."""
    values = (list(attempts), list(attempts.values()), migration_id)
    with translate_errors(connection), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("migration_unit_start"), values).fetchall()


def advance(
    connection: Connection, migration_id: int, progress: Mapping[str, Progress], *, done: bool = False
) -> None:
    """Add what committed blocks did to their units; `done` ends these units in the same statement."""
    columns = [[getattr(each, name.name) for each in progress.values()] for name in fields(Progress)]
    with translate_errors(connection):
        connection.execute(
            query("migration_unit_advance"), (done, done, list(progress), *columns, migration_id)
        )


def end(connection: Connection, migration_id: int, unit: str, state: str, error: str | None = None) -> None:
    """End a unit as `done` or `failed`."""
    values = {"migration_id": migration_id, "unit": unit, "state": state, "error": error}
    with translate_errors(connection):
        connection.execute(query("migration_unit_end"), values)


def keep_comparison(connection: Connection, migration_id: int, unit: str, found: Comparison) -> None:
    """Keep what the verification of a unit found."""
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    values |= {"sample": Jsonb(list(found.sample)), "migration_id": migration_id, "unit": unit}
    with translate_errors(connection):
        connection.execute(query("migration_unit_verified"), values)


def totals(connection: Connection, migration_id: int) -> Row:
    """What the units did, summed up."""
    (found,) = rows(connection, "migration_totals", migration_id=migration_id)
    return found


def scopes(connection: Connection, migration_id: int) -> list[tuple[str, Interval]]:
    """The markets and intervals whose bars a migration copies."""
    with translate_errors(connection):
        found = connection.execute(query("migration_scopes"), (migration_id,)).fetchall()
    return [(market, Interval(interval)) for market, interval in found]


def rows(connection: Connection, name: str, **parameters: Any) -> list[Row]:
    """The rows of a query as dicts."""
    with translate_errors(connection), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters).fetchall()
