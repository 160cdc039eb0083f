"""What the doctor looks at beside the schema: roles, statistics, room of compressed chunks, jobs, clocks of workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.warehouse.roles import Roles, may_refresh, unfinished
from hypertape.warehouse.roles import known as known_roles
from hypertape.warehouse.schema import tier

Connection = psycopg.Connection[Any]

CLOCK_TOLERANCE = timedelta(seconds=5)
_FEW_CHANGES, _CHANGED_SHARE = 50_000, 0.25
"""Statistics are too old where so many rows, and such a part of the relation, came or changed since."""
_BLOATED, _BLOATED_BYTES = 2.0, 16_000_000
"""A compressed chunk is bloated where it takes so many times the bytes that it took, and so many more."""
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report. `level` is ok, note (worth knowing) or bad (needs the mend)."""

    level: str
    subject: str
    finding: str
    mend: str = ""


def see_roles(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Who owns, writes and reads, and whether both groups are granted what they need."""
    roles = Roles(settings.writer_role, settings.reader_role)
    found, me = known_roles(connection, roles), connection.info.user
    absent = [name for name in (roles.writer, roles.reader) if name not in found.there]
    if absent:
        text = f"{' and '.join(absent)} not there: {me} does everything"
        yield Finding("note", "roles", text, "Run `hypertape schema apply`, docs/roles.md says what for.")
    elif left := unfinished(connection, roles):
        named = f"{left[0]}{f' and {len(left) - 1} more' if len(left) > 1 else ''}"
        yield Finding("bad", "roles", f"not granted: {named}", "Run `hypertape schema apply`.")
    elif not may_refresh(connection, found, roles):
        text = f"{roles.writer} may not refresh the rollups of {found.owner}"
        mend = (
            "Let an ordinary role own the schema."
            if found.owner_is_superuser
            else "Run `hypertape schema apply` and what it prints."
        )
        yield Finding("note", "roles", text, mend)
    else:
        text = f"{found.owner} owns, {roles.writer} writes, {roles.reader} reads; logged in as {me}"
        yield Finding("ok", "roles", text)


def see_statistics(connection: Connection) -> Iterator[Finding]:
    """Relations that filled or changed so much that the planner knows nothing of them: plans may take hours."""
    limits = {"few": _FEW_CHANGES, "share": _CHANGED_SHARE}
    rows = connection.execute(query("doctor_statistics"), limits).fetchall()
    if not rows:
        yield Finding("ok", "statistics", "the planner knows every table")
        return
    names = [name for name, _ in rows]
    analyse = f"analyze {', '.join(names[:_MOST_NAMED])}"
    text = f"too old of {_some(names)}: {sum(changed for _, changed in rows)} rows came or changed since"
    yield Finding("note", "statistics", text, f"Run `hypertape db psql -c '{analyse}'`; is autovacuum on?")


def see_bloat(connection: Connection) -> Iterator[Finding]:
    """Compressed chunks that changes have blown up."""
    if tier(connection) == "plain":
        return
    limits = {"factor": _BLOATED, "bytes": _BLOATED_BYTES}
    rows = connection.execute(query("doctor_bloat"), limits).fetchall()
    if not rows:
        yield Finding("ok", "compressed chunks", "none is much larger than when it was compressed")
        return
    was, became = (sum(row[at] for row in rows) for at in (2, 3))
    text = f"{len(rows)} take {became / 1e6:.0f} MB instead of {was / 1e6:.0f} MB: {_some([row[1] for row in rows])}"
    mend = f"select hypertape.open_chunk('{rows[0][1]}'), then hypertape.close_chunk of it; so with each."
    yield Finding("note", "compressed chunks", text, mend)


def see_jobs(connection: Connection) -> Iterator[Finding]:
    """Background jobs of the database that failed when they last ran."""
    if tier(connection) == "plain":
        return
    rows = connection.execute(query("doctor_jobs")).fetchall()
    if not rows:
        yield Finding("ok", "jobs", "no background job failed when it last ran")
        return
    named = [f"{job} of {relation}" for job, relation, _, _ in rows]
    text = f"{len(rows)} failed when they last ran, the newest at {rows[0][2]:%Y-%m-%d %H:%M} UTC: {_some(named)}"
    mend = "They try again; timescaledb_information.job_errors says why. One that `failed to start` found no "
    yield Finding("note", "jobs", text, f"{mend}free worker: raise timescaledb.max_background_workers.")


def see_clocks(connection: Connection) -> Iterator[Finding]:
    """Hosts of workers whose clocks are not the database's: their bars count as provisional or late by that."""
    rows = connection.execute(query("doctor_clocks"), (CLOCK_TOLERANCE,)).fetchall()
    if not rows:
        yield Finding(
            "ok", "workers' clocks", f"all agree with the server within {CLOCK_TOLERANCE.seconds} s"
        )
    for host, ahead in rows:
        seconds = ahead.total_seconds()
        way = "ahead of" if seconds > 0 else "behind"
        text = f"{host} is {abs(seconds):.0f} s {way} the server"
        yield Finding("bad", "workers' clocks", text, "Synchronise its clock (NTP).")


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
