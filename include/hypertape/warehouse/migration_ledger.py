"""The ledger of migrations: which files, which units of work, how far each is.

Progress is committed at once and on its own, strictly after the bars it tells of, so a kill at any moment leaves a
ledger that knows at most too little: what it does not know is copied again, and copying again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hypertape.errors import BadInput
from hypertape.model import Interval, Series
from hypertape.queries import query

Connection = psycopg.Connection[Any]
Row = dict[str, Any]
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked of a migration; empty means all. `start` (UTC) is the first opening instant."""

    tables: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    start: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        start = self.start.isoformat() if self.start else None
        return {"tables": list(self.tables), "symbols": list(self.symbols), "start_date": start}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Options:
        """Read what `to_json` wrote."""
        start = datetime.fromisoformat(value["start_date"]) if value["start_date"] else None
        return cls(tuple(value["tables"]), tuple(value["symbols"]), start)


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration as its ledger knows it (instants in UTC)."""

    migration_id: int
    run_id: str
    options: Options
    dry_run: bool
    state: str
    started_at: datetime
    verified_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """A unit of work: one series of one file, or (without a ticker) one other table of it."""

    unit: str
    part: int
    file: str
    address: str
    table_name: str
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


@dataclass(frozen=True, slots=True)
class Unit(PlannedUnit):
    """A unit and how far it is: the opening of its last stored bar, and what its copy read, where that is known."""

    state: str
    attempts: int
    reached: datetime | None
    error: str | None
    source_rows: int | None
    source_digest: str | None
    adjusted_rows: int | None
    adjusted_digest: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What one committed block did. `reached` is the opening of its last bar."""

    reached: datetime | None = None
    rows_read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    seconds: float = 0.0

    def __add__(self, later: Progress) -> Progress:
        ours, theirs = astuple(self), astuple(later)
        return Progress(
            later.reached or self.reached, *(a + b for a, b in zip(ours[1:], theirs[1:], strict=True))
        )


@dataclass(frozen=True, slots=True)
class UnitRead:
    """What a copy has read of a unit: its bars that pass the gate and its adjusted closes, counted and digested, and
    the other rows by rule."""

    source_rows: int | None = None
    source_digest: str | None = None
    adjusted_rows: int | None = None
    adjusted_digest: str | None = None
    refused_rules: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnitProof:
    """A unit's two sides. Digests are over the source's bars that pass the gate, and the warehouse's of those times."""

    source_rows: int
    target_rows: int
    source_digest: str
    target_digest: str
    missing: int = 0
    different: int = 0
    extra: int = 0
    sample: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """What the units of a migration did, summed up."""

    units: int
    done: int
    failed: int
    untouched: int
    rows_read: int
    inserted: int
    updated: int
    unchanged: int
    refused: int
    planned: int
    equal: int
    different: int
    rows_missing: int
    rows_different: int
    rows_extra: int
    seconds: float


def begin(
    connection: Connection,
    *,
    run_id: str,
    fingerprint: str,
    files: Sequence[Mapping[str, Any]],
    options: Options,
    dry_run: bool,
    inspected: Sequence[Mapping[str, Any]],
    started_at: datetime,
) -> int:
    """Open a migration and return its id."""
    asked, seen = Jsonb(options.to_json()), Jsonb(inspected)
    values = (run_id, fingerprint, Jsonb(files), asked, dry_run, seen, started_at)
    (found,) = connection.execute(query("migration_begin"), values).fetchone() or (0,)
    return int(found)


def find(connection: Connection, fingerprint: str) -> tuple[int, str] | None:
    """The newest migration of this fingerprint that was no rehearsal, as (id, state)."""
    return connection.execute(query("migration_find"), (fingerprint,)).fetchone()


def get(connection: Connection, migration_id: int | None = None) -> Migration:
    """One migration, the newest without an id. Raises BadInput when there is none."""
    found = rows(connection, "migration_get", migration_id=migration_id)
    if not found:
        raise BadInput(
            f"There is no migration {migration_id}" if migration_id else "Nothing has been migrated",
            next_step="See `hypertape migrate list`.",
        )
    return _made(Migration, {**found[0], "options": Options.from_json(found[0]["options"])})


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
    connection.execute(query("migration_set"), values)


def add_units(connection: Connection, migration_id: int, planned: Sequence[PlannedUnit]) -> None:
    """Write a migration's units."""
    columns = [[getattr(unit, field.name) for unit in planned] for field in fields(PlannedUnit)]
    connection.execute(query("migration_add_units"), (migration_id, *columns))


def units(
    connection: Connection, migration_id: int, *, part: int | None = None, states: Sequence[str] | None = None
) -> list[Unit]:
    """The units of a migration, the longest first."""
    wanted = list(states) if states is not None else None
    found = rows(connection, "migration_units", migration_id=migration_id, part=part, states=wanted)
    return [_made(Unit, row) for row in found]


def start(connection: Connection, migration_id: int, attempts: Mapping[str, int]) -> list[Unit]:
    """Mark units as running and return them, but those somebody else attempted since their `attempts` were read."""
    values = (list(attempts), list(attempts.values()), migration_id)
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_made(Unit, row) for row in cursor.execute(query("migration_unit_start"), values).fetchall()]


def advance(
    connection: Connection, migration_id: int, progress: Mapping[str, Progress], *, done: bool = False
) -> None:
    """Add what committed blocks did to their units; `done` ends these units in the same statement."""
    columns = [[getattr(each, name.name) for each in progress.values()] for name in fields(Progress)]
    connection.execute(query("migration_unit_advance"), (done, done, list(progress), *columns, migration_id))


def note_read(connection: Connection, migration_id: int, read: Mapping[str, UnitRead]) -> None:
    """Note what a copy has read of its units."""
    plain = ("source_rows", "source_digest", "adjusted_rows", "adjusted_digest")
    columns: list[list[Any]] = [[getattr(each, name) for each in read.values()] for name in plain]
    columns.append([Jsonb(dict(each.refused_rules)) for each in read.values()])
    connection.execute(query("migration_unit_read"), (list(read), *columns, migration_id))


def end(connection: Connection, migration_id: int, unit: str, state: str, error: str | None = None) -> None:
    """End a unit as `done` or `failed`."""
    values = {"migration_id": migration_id, "unit": unit, "state": state, "error": error}
    connection.execute(query("migration_unit_end"), values)


def keep_proof(connection: Connection, migration_id: int, unit: str, found: UnitProof) -> None:
    """Keep what the verification of a unit found."""
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    values |= {"sample": Jsonb(list(found.sample)), "migration_id": migration_id, "unit": unit}
    connection.execute(query("migration_unit_verified"), values)


def totals(connection: Connection, migration_id: int) -> Totals:
    """What the units did, summed up."""
    (found,) = rows(connection, "migration_totals", migration_id=migration_id)
    return _made(Totals, found)


def refused_rules(connection: Connection, migration_id: int) -> dict[str, int]:
    """How many rows of a migration were refused (or would be, in a rehearsal), by rule."""
    found = rows(connection, "migration_refused", migration_id=migration_id)
    return {row["rule"]: row["rows"] for row in found}


def rows(connection: Connection, name: str, **parameters: Any) -> list[Row]:
    """The rows of a query as dicts."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters).fetchall()


def _made(kind: type[Made], row: Row) -> Made:
    """A dataclass out of the columns of a row that it has."""
    return kind(**{field.name: row[field.name] for field in fields(kind)})  # type: ignore[arg-type]
