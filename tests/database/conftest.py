"""Warehouses for the database tests: the schema is applied once per worker and copied for whoever needs it.

Copies keep the schema's policies but not their schedule: a background job in the middle of a test would make its
outcome depend on the moment.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from hypertape.markets import all_markets
from hypertape.warehouse.connect import connect
from hypertape.warehouse.migrate import apply, tier

Connection = psycopg.Connection[Any]

_SILENCE = "select alter_job(job_id, scheduled => false) from timescaledb_information.jobs"
_TEMPLATES_OWN = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/database/" in item.path.as_posix():
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def new_warehouse(server_dsn: str) -> Iterator[Callable[[], Any]]:
    """A context manager that yields the DSN of a new warehouse: every market's schema, no bars."""
    template = f"hypertape_template_{uuid.uuid4().hex[:12]}"
    with _database(server_dsn, template) as dsn:
        with connect(dsn, autocommit=True) as connection:
            apply(connection, all_markets().values())
            if tier(connection) == "timescaledb":
                connection.execute(_SILENCE)
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("alter database {} allow_connections false").format(_name(template)))
            connection.execute(_TEMPLATES_OWN, (template,))

        @contextmanager
        def copy() -> Iterator[str]:
            with _database(server_dsn, f"hypertape_test_{uuid.uuid4().hex[:12]}", template) as dsn:
                with connect(dsn) as connection:  # settings of a database are not copied with it
                    assert apply(connection, all_markets().values()) == []
                yield dsn

        yield copy


@pytest.fixture
def warehouse(new_warehouse: Callable[[], Any]) -> Iterator[str]:
    """The DSN of a warehouse of the test's own."""
    with new_warehouse() as dsn:
        yield dsn


@pytest.fixture
def connection(warehouse: str) -> Iterator[Connection]:
    """A connection to the test's own warehouse; each load is a transaction of its own."""
    with connect(warehouse, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def common_warehouse(new_warehouse: Callable[[], Any]) -> Iterator[str]:
    """The DSN of a warehouse that tests share; each keeps to tickers of its own."""
    with new_warehouse() as dsn:
        yield dsn


@pytest.fixture
def common(common_warehouse: str) -> Iterator[Connection]:
    """A connection to the shared warehouse; each load is a transaction of its own."""
    with connect(common_warehouse, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def quality_warehouse(new_warehouse: Callable[[], Any]) -> Iterator[str]:
    """The DSN of a warehouse that the quality tests share, one after the other."""
    with new_warehouse() as dsn:
        yield dsn


@pytest.fixture
def shared(quality_warehouse: str) -> Iterator[Connection]:
    """An autocommit connection to that warehouse, emptied of what suites look at."""
    with connect(quality_warehouse, autocommit=True) as connection:
        for table in ("splits", "dividends", "gap", "series", "trading_session", "quality_result"):
            connection.execute(sql.SQL("delete from {}").format(_name(table)))
        for market in all_markets().values():
            for interval in market.intervals:
                relation = sql.Identifier("bars", market.relation(interval))
                connection.execute(sql.SQL("delete from {}").format(relation))
        yield connection


@contextmanager
def _database(server_dsn: str, name: str, template: str = "template0") -> Iterator[str]:
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("create database {} template {}").format(_name(name), _name(template)))
    try:
        yield psycopg.conninfo.make_conninfo(server_dsn, dbname=name)
    finally:
        with psycopg.connect(server_dsn, autocommit=True) as server:
            server.execute(sql.SQL("drop database {} with (force)").format(_name(name)))


def _name(database: str) -> sql.Identifier:
    return sql.Identifier(database)
