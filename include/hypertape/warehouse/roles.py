"""Owner, writer and reader: who may change the schema, who may change rows, and who may only read.

The owner is the role that applies the schema: everything belongs to it. Writer and reader are groups; whoever logs in
is made a member of one. `sql/tier/both/40_roles.sql` says what each may do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from hypertape.errors import BadSetting, DatabaseRefused
from hypertape.queries import query
from hypertape.warehouse.schema import tier

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of the two groups. Raises BadSetting where both are one."""

    writer: str
    reader: str

    def __post_init__(self) -> None:
        if self.writer == self.reader:
            raise BadSetting(
                f"HYPERTAPE_WRITER_ROLE and HYPERTAPE_READER_ROLE are both {self.writer!r}",
                next_step="Give them two names.",
            )


@dataclass(frozen=True, slots=True)
class Known:
    """What the server says of the roles before anything is granted."""

    may_create: bool
    owner_is_superuser: bool
    owner: str
    there: tuple[str, ...]


def grant(connection: Connection, roles: Roles) -> list[str]:
    """Grant both roles what they lack, and make them where they are missing and this role may.

    Returns what somebody with more rights has to run: statements, none where all is done. The schema must be current.
    Raises what `translate_errors` raises.
    """
    found = known(connection, roles)
    absent = [name for name in (roles.writer, roles.reader) if name not in found.there]
    if absent and not _may_create(connection, found):
        return [*(_text(connection, "create role {} nologin", name) for name in absent)] + (
            [_lending(connection, found, roles)] if _lends(connection, found) else []
        )
    with connection.transaction():
        for name in absent:
            connection.execute(query("roles_create").format(role=sql.Identifier(name)))
        connection.execute(query("roles_grant"), (roles.writer, roles.reader))
    return _lend(connection, found, roles)


def known(connection: Connection, roles: Roles) -> Known:
    """Ask the server who owns the schema, what this role may and which of the two there are."""
    row = connection.execute(query("roles_known"), ([roles.writer, roles.reader],)).fetchone()
    assert row is not None
    return Known(row[0], row[1], row[2], tuple(row[3]))


def may_refresh(connection: Connection, found: Known, roles: Roles) -> bool:
    """True where the writer may refresh rollups: always on plain PostgreSQL, as the owner's delegate on TimescaleDB."""
    if tier(connection) == "plain":
        return True
    row = connection.execute(query("roles_may_refresh"), (roles.writer, found.owner)).fetchone()
    return row is not None and bool(row[0])


def unfinished(connection: Connection, roles: Roles) -> list[str]:
    """What the two, who must be there, are not granted (`relation for role`)."""
    named = {"writer": roles.writer, "reader": roles.reader}
    return [text for (text,) in connection.execute(query("roles_unfinished"), named).fetchall() if text]


def _may_create(connection: Connection, found: Known) -> bool:
    """A role that is no superuser becomes a member of those it makes, and could not be lent to them any more."""
    if tier(connection) == "plain":
        return found.may_create
    row = connection.execute("select current_setting('is_superuser') = 'on'").fetchone()
    return row is not None and bool(row[0])


def _lends(connection: Connection, found: Known) -> bool:
    """Whether the writer needs the owner's word to refresh rollups. Nobody is lent a superuser."""
    return tier(connection) == "timescaledb" and not found.owner_is_superuser


def _lend(connection: Connection, found: Known, roles: Roles) -> list[str]:
    if may_refresh(connection, found, roles) or not _lends(connection, found):
        return []
    names = {"owner": sql.Identifier(found.owner), "writer": sql.Identifier(roles.writer)}
    try:
        with connection.transaction():
            connection.execute(query("roles_lend_owner").format(**names))
    except (DatabaseRefused, psycopg.errors.InvalidGrantOperation):
        return [_lending(connection, found, roles)]
    return []


def _lending(connection: Connection, found: Known, roles: Roles) -> str:
    return _text(connection, "grant {} to {} with inherit false", found.owner, roles.writer)


def _text(connection: Connection, statement: str, *names: str) -> str:
    return sql.SQL(statement).format(*map(sql.Identifier, names)).as_string(connection) + ";"
