"""What the stream tests share: connections to a warehouse of the test's own, and servers that may be killed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hypertape.markets import all_markets
from hypertape.settings import load_settings
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.schema import apply

_EMPTY = "truncate bars.ticks, tick_pending, dead_letter, feed_gap, stream_worker, finding restart identity cascade"


@pytest.fixture
def connection(warehouse: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(warehouse, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def module_warehouse(new_warehouse: Any) -> Iterator[str]:
    """A warehouse that the tests of a module share."""
    with new_warehouse() as dsn:
        yield dsn


@pytest.fixture
def shared_warehouse(module_warehouse: str) -> str:
    """That warehouse without a tick, gap, letter, stream or finding, for tests that leave the schema alone."""
    with connect(module_warehouse, autocommit=True) as connection:
        connection.execute(_EMPTY)
    return module_warehouse


@pytest.fixture(scope="module")
def durable_server() -> Iterator[EmbeddedServer]:
    """A server of the module's own, with a warehouse on it, and nothing of its durability turned off."""
    directory = Path(tempfile.mkdtemp(prefix="hypertape-test-"))
    directory.chmod(0o755)  # root's server runs as somebody else
    server = EmbeddedServer(load_settings(state_dir=directory))
    with connect(server.up(), autocommit=True) as connection:
        apply(connection, all_markets().values())
    yield server
    server.remove()
    shutil.rmtree(directory)


@pytest.fixture
def own_server(durable_server: EmbeddedServer) -> EmbeddedServer:
    """That server, up, without ticks, for a test that may kill it."""
    with connect(durable_server.up(), autocommit=True) as connection:
        connection.execute("truncate bars.ticks, tick_pending, dead_letter")
    return durable_server
