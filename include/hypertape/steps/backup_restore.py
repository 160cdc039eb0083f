"""Restoring a backup: into a new or empty database, or beside the present one, which then takes another name.

Nothing of the present database is touched before the restored one was compared with the manifest, and it is kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, sql

from hypertape.errors import BackupBroken, BadInput, DatabaseBusy
from hypertape.queries import query
from hypertape.steps.backup import restore_and_compare
from hypertape.steps.backup_files import Backup, BackupPlace
from hypertape.steps.run_spec import OnStep, silent
from hypertape.warehouse.backup import Manifest, wake_jobs
from hypertape.warehouse.backup_databases import (
    database_name,
    database_of,
    drop_database,
    require_may_create,
    require_server_itself,
)
from hypertape.warehouse.connect import connect
from hypertape.warehouse.dsn import place as place_of
from hypertape.warehouse.schema import name_search_path

Connection = psycopg.Connection[Any]

MAINTENANCE = "postgres"
"""The database that is there on every server: a database cannot be renamed from within."""

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Restored:
    """The database that now holds the backup, its rows, and the name under which the former one is kept, if any."""

    name: str
    database: str
    rows: int
    former: str | None


def restore_backup(
    dsn: str,
    place: BackupPlace,
    backup: Backup,
    *,
    now: datetime,
    overwrite: bool = False,
    bindir: Path | None = None,
    on_step: OnStep = silent,
) -> Restored:
    """Restore a backup into the database that a DSN names, which is made where it is not there.

    One that holds tables is refused unless `overwrite`; then it is kept under another name. Raises BackupBroken where
    the backup is not whole: nothing has changed then, but that an empty database holds what it restored to.
    """
    if backup.manifest is None or backup.problem:
        raise BackupBroken(f"{backup.name}: {backup.problem}")
    target = database_name(dsn)
    with connect(database_of(dsn, MAINTENANCE), autocommit=True) as server:
        require_server_itself(server)
        exists = server.execute(query("database_exists"), [target]).fetchone() is not None
        held = _tables_of(dsn) if exists else 0
        if held and not overwrite:
            raise BadInput(
                f"{place_of(dsn)} holds {held} tables, and nothing was restored",
                next_step="Name another database with --database, or say --overwrite: the present one is kept "
                "under another name.",
            )
        with place.dump_file(backup.manifest, lambda size: None) as file:
            if exists and not held:
                jobs = restore_and_compare(
                    dsn, file, backup.manifest, bindir=bindir, at_once=True, on_step=on_step
                )
                former = None
            else:
                jobs, former = _beside(
                    server,
                    dsn,
                    file,
                    backup.manifest,
                    now=now,
                    replace=exists,
                    bindir=bindir,
                    on_step=on_step,
                )
    with connect(dsn, autocommit=True) as connection:
        name_search_path(connection)
    wake_jobs(dsn, jobs)
    return Restored(backup.name, target, backup.manifest.rows, former)


def _beside(
    server: Connection,
    dsn: str,
    file: Path,
    manifest: Manifest,
    *,
    now: datetime,
    replace: bool,
    bindir: Path | None,
    on_step: OnStep,
) -> tuple[list[int], str | None]:
    """Restore into a new database; only when it is right does it take the target's name."""
    require_may_create(server)
    target = database_name(dsn)
    stamp = f"{now.astimezone(UTC):%Y%m%dt%H%M%S}"
    draft, former = f"{target}_restored_{stamp}", f"{target}_before_{stamp}"
    server.execute(query("backup_create_database").format(database=sql.Identifier(draft)))
    try:
        jobs = restore_and_compare(database_of(dsn, draft), file, manifest, bindir=bindir, on_step=on_step)
        _rename(server, [*([(target, former)] if replace else []), (draft, target)])
    except BaseException:
        drop_database(server, draft)
        raise
    return jobs, former if replace else None


def _rename(server: Connection, names: list[tuple[str, str]]) -> None:
    """Rename databases, all or none, ending who uses them. Raises DatabaseBusy where somebody always comes back."""
    for _ in range(_TRIES):
        server.execute(query("backup_end_sessions"), [[old for old, _ in names]])
        try:
            with server.transaction():
                for old, new in names:
                    statement = query("backup_rename_database")
                    server.execute(statement.format(old=sql.Identifier(old), new=sql.Identifier(new)))
            return
        except (errors.ObjectInUse, DatabaseBusy):
            time.sleep(0.2)
    raise DatabaseBusy(
        f"{names[0][0]} is used by programs that come back at once",
        next_step="Stop them, then restore again.",
    )


def _tables_of(dsn: str) -> int:
    with connect(dsn) as connection:
        return len(connection.execute(query("backup_relations")).fetchall())
