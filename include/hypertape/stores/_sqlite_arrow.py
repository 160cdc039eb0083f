"""SQLite statements as Arrow batches, by ADBC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_manager
import adbc_driver_sqlite
import pyarrow as pa
from psycopg import sql

from hypertape.errors import BadInput, DatabaseBusy
from hypertape.stores._sqlite_file import BUSY_SECONDS, read_uri, text

_WAIT = sql.SQL("pragma busy_timeout = {}").format(sql.Literal(round(BUSY_SECONDS * 1000)))
"""ADBC's reader waits for another process like everybody else."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """One ADBC connection for all that a read needs.

    Not through ADBC's dbapi, which imports pandas, and nothing of the read through sqlite3: both bring a SQLite of
    their own, locks belong to the process, and when one of them closes the file the other has lost its lock.
    """
    try:
        with (
            adbc_driver_sqlite.connect(read_uri(path)) as database,
            adbc_driver_manager.AdbcConnection(database) as connection,
        ):
            for _ in stream(connection, text(_WAIT), (), 1):
                pass
            yield connection
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        if "database is locked" in reason:
            raise DatabaseBusy(f"Another process holds {path}") from error
        raise BadInput(
            f"{path} cannot be read: {reason}",
            next_step="Check that it is an undamaged SQLite file (`pragma integrity_check`).",
        ) from error


@contextmanager
def snapshot(connection: Any) -> Iterator[None]:
    """Let all statements see the file as it is at the first of them."""
    for _ in stream(connection, "begin", (), 1):
        pass
    try:
        yield
    finally:
        for _ in stream(connection, "rollback", (), 1):
            pass


def stream(
    connection: Any, statement: str, parameters: tuple[object, ...], rows: int
) -> Iterator[pa.RecordBatch]:
    """Run a statement and yield what it gives in batches of `rows`."""
    with adbc_driver_manager.AdbcStatement(connection) as prepared:
        prepared.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
        prepared.set_sql_query(statement)
        if parameters:
            prepared.prepare()
            cells = [pa.array([parameter]) for parameter in parameters]
            schema, data = pa.record_batch(cells, names=list(map(str, range(len(cells))))).__arrow_c_array__()
            prepared.bind(data, schema)
        with pa.RecordBatchReader.from_stream(prepared.execute_query()[0]) as reader:
            yield from (batch for batch in reader if len(batch))
