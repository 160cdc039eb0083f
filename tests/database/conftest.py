"""What the database tests share beside `new_warehouse`: connections, and warehouses that several tests use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from hypertape.markets import all_markets
from hypertape.warehouse.connect import connect

Connection = psycopg.Connection[Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/database/" in item.path.as_posix():
            item.add_marker(pytest.mark.database)


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
        for table in (
            "splits",
            "dividends",
            "capital_gains",
            "gap",
            "series",
            "trading_session",
            "quality_result",
        ):
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier(table)))
        for market in all_markets().values():
            for interval in market.intervals:
                relation = sql.Identifier("bars", market.relation(interval))
                connection.execute(sql.SQL("delete from {}").format(relation))
        yield connection
