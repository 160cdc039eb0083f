"""A fresh warehouse database for a benchmark: on the server of --dsn, else on an embedded one of its own."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from hypertape.markets import all_markets
from hypertape.settings import load_settings
from hypertape.warehouse import schema
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer


@contextmanager
def warehouse(dsn: str | None) -> Iterator[str]:
    """Yield the DSN of a database with the schema applied; it is dropped afterwards."""
    if dsn is None:
        with tempfile.TemporaryDirectory(prefix="hypertape_bench_") as directory:
            Path(directory).chmod(0o755)
            server = EmbeddedServer(load_settings(state_dir=Path(directory) / "state"))
            try:
                with _database(server.up()) as made:
                    yield made
            finally:
                server.down()
    else:
        with _database(dsn) as made:
            yield made


@contextmanager
def _database(dsn: str) -> Iterator[str]:
    name = f"hypertape_bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    made = conninfo.make_conninfo(dsn, dbname=name)
    try:
        with connect(made, autocommit=True) as connection:
            schema.apply(connection, all_markets().values())
        yield made
    finally:
        with psycopg.connect(dsn, autocommit=True) as server:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
