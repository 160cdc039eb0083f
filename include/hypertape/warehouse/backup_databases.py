"""Databases that backups are restored into: made beside the warehouse, and removed again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo, sql

from hypertape.errors import BadSetting, DatabaseRefused
from hypertape.queries import query
from hypertape.warehouse.connect import connect, is_pooled
from hypertape.warehouse.dsn import as_uri, normalise_dsn, place

Connection = psycopg.Connection[Any]

SCRATCH = "hypertape_scratch_"
"""How the names of databases begin that a verification restores into."""


@contextmanager
def scratch_database(server: str) -> Iterator[str]:
    """The DSN of a new database on the server of a DSN; it is removed in every case.

    Those that a killed verification left behind are removed first. Raises DatabaseRefused where the role may not make
    databases.
    """
    with connect(server, autocommit=True) as connection:
        require_server_itself(connection)
        require_may_create(connection)
        sweep_scratch(connection)
        name = f"{SCRATCH}{uuid.uuid4().hex[:12]}"
        connection.execute(query("backup_lock"), [name])  # of the session: whoever holds it is alive
        try:
            connection.execute(query("backup_create_database").format(database=sql.Identifier(name)))
            yield database_of(server, name)
        finally:
            if connection.closed or connection.broken:
                with connect(server, autocommit=True) as again:
                    drop_database(again, name)
            else:
                drop_database(connection, name)


def sweep_scratch(connection: Connection) -> list[str]:
    """Remove the scratch databases of verifications that were killed; return their names."""
    gone = []
    for (name,) in connection.execute(query("backup_scratches"), [SCRATCH + "%"]).fetchall():
        if _is_true(connection, "backup_try_lock", name):
            drop_database(connection, name)
            connection.execute(query("backup_unlock"), [name])
            gone.append(str(name))
    return gone


def drop_database(connection: Connection, name: str) -> None:
    """Remove a database, ending who uses it."""
    connection.execute(query("backup_drop_database").format(database=sql.Identifier(name)))


def database_of(dsn: str, name: str) -> str:
    """The DSN of another database of the same server."""
    return as_uri({**conninfo.conninfo_to_dict(normalise_dsn(dsn)), "dbname": name})


def database_name(dsn: str) -> str:
    """The database that a DSN names; that of the user's name, as libpq has it, where it names none."""
    return place(dsn).rpartition("/")[2]


def require_may_create(connection: Connection) -> None:
    """Raise DatabaseRefused where the role may not make databases."""
    if not _is_true(connection, "backup_may_create"):
        raise DatabaseRefused(
            f"{connection.info.user} may not make a database on {place(connection.info.dsn)}",
            next_step="Grant it CREATEDB (TimescaleDB: a superuser restores), or name a server and role that may in "
            "HYPERTAPE_BACKUP_SCRATCH_URL.",
        )


def require_server_itself(connection: Connection) -> None:
    """Raise BadSetting where a pooler is in between: its sessions are not one's own."""
    if is_pooled(connection):
        raise BadSetting(
            f"{place(connection.info.dsn)} is a pooler; backups are made and restored at the server itself",
            next_step="Name the server in HYPERTAPE_DIRECT_DATABASE_URL.",
        )


def _is_true(connection: Connection, name: str, *parameters: object) -> bool:
    return connection.execute(query(name), parameters or None).fetchone() == (True,)
