"""What the stream tests share: connections to a warehouse of the test's own, and servers that may be killed."""

from __future__ import annotations

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


@pytest.fixture
def connection(warehouse: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(warehouse, autocommit=True) as connection:
        yield connection


@pytest.fixture
def own_server(state_dir: Path) -> EmbeddedServer:
    """A server of the test's own, with a warehouse on it, and nothing of its durability turned off."""
    server = EmbeddedServer(load_settings(state_dir=state_dir))
    with connect(server.up(), autocommit=True) as connection:
        apply(connection, all_markets().values())
    return server
