"""Opening SQLite files, and their errors in our own tree."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from psycopg import sql

from hypertape.errors import BadInput, DatabaseBusy, DatabaseRefused, DiskFull, SourceFileMissing
from hypertape.queries import query
from hypertape.stores._sqlite_cells import from_bytes

BUSY_SECONDS = 10.0
"""How long a reader or writer waits for another process."""


def text(statement: sql.Composable) -> str:
    """The text of a composed statement: SQLite quotes identifiers and literals as PostgreSQL does."""
    return statement.as_string(None)


def name(*parts: str) -> sql.Identifier:
    """A quoted identifier."""
    return sql.Identifier(*parts)


def read_uri(path: Path) -> str:
    """The URI under which a file is only read.

    Readers see what another process has committed, also in a write-ahead log. Only where there is no such log and none
    can be made (a directory without write permission) is the file taken as one that nobody writes.
    """
    uri = path.absolute().as_uri() + "?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
            connection.execute("pragma schema_version").fetchone()
    except sqlite3.OperationalError as error:
        cannot_open = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if cannot_open and path.exists() and not Path(f"{path}-wal").exists():
            return uri + "&immutable=1"  # never for a lock: it would be read past
    return uri


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write. Of text that is no UTF-8 the odd bytes are read as lone surrogates.

    Raises SourceFileMissing, BadInput when the file is no SQLite database, and what `translate` raises.
    """
    if not path.is_file():
        raise SourceFileMissing(f"There is no file {path}", next_step="Check the path of the SQLite file.")
    with translate(path), closing(_connect(read_uri(path))) as connection:
        connection.text_factory = from_bytes
        connection.execute("pragma schema_version").fetchone()
        yield connection


@contextmanager
def held_against_writers(paths: Iterable[Path]) -> Iterator[None]:
    """Let no process write these files meanwhile; readers go on. Raises DatabaseBusy while another one writes.

    A file that this process may not write is only read: who may write it cannot be told.
    """
    with ExitStack() as stack:
        for path in paths:
            with translate(path):
                connection = stack.enter_context(
                    closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None))
                )
                try:
                    connection.execute("begin immediate")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF not in (
                        sqlite3.SQLITE_READONLY,
                        sqlite3.SQLITE_CANTOPEN,
                    ):
                        raise
        yield


@contextmanager
def translate(path: Path) -> Iterator[None]:
    """Raise sqlite3's errors as ours: BadInput, DatabaseBusy, DatabaseRefused, DiskFull."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise DatabaseBusy(f"Another process holds {path}") from error
        if code == sqlite3.SQLITE_FULL:
            raise DiskFull(f"There is no room left to write {path}") from error
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            raise DatabaseRefused(
                f"{path} cannot be opened: {error}", next_step="Check the file's permissions."
            ) from error
        raise BadInput(
            f"{path} cannot be read: {error}",
            next_step="Check that it is an undamaged SQLite file (`pragma integrity_check`).",
        ) from error


def tables(connection: sqlite3.Connection) -> list[str]:
    """The file's tables, sorted."""
    return [row[0] for row in connection.execute(text(query("sqlite_tables")))]


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """A table's columns in order; empty when there is no such table."""
    return [row[0] for row in connection.execute(text(query("sqlite_columns")), (table,))]


def count(connection: sqlite3.Connection, table: str) -> int:
    """A table's rows."""
    statement = query("sqlite_count").format(table=name(table))
    return int(connection.execute(text(statement)).fetchone()[0])


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
