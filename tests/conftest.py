"""Fixtures every test may use: the shared real files when they are there, and a fresh warehouse database."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real files beside the repository; tests that need them are not collected as passed without them."""
    directory = REPOSITORY.parent / "shared" / "data"
    if not directory.is_dir():
        pytest.skip("the real data files are not beside this checkout")
    return directory


@pytest.fixture(scope="session")
def server_dsn() -> str:
    """A server on which databases may be created: HYPERTAPE_TEST_DSN, else the embedded one."""
    return os.environ["HYPERTAPE_TEST_DSN"]


@pytest.fixture
def empty_database(server_dsn: str) -> Iterator[str]:
    """The DSN of a new, empty database that is dropped afterwards."""
    name = f"hypertape_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield psycopg.conninfo.make_conninfo(server_dsn, dbname=name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
