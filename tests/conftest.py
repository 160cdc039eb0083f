"""Fixtures every test may use: the shared real files when they are there, and a fresh warehouse database."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from hypertape.settings import Settings, load_settings
from hypertape.warehouse.embedded.server import EmbeddedServer

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real files beside the repository; tests that need them are not collected as passed without them."""
    directory = REPOSITORY.parent / "shared" / "data"
    if not directory.is_dir():
        pytest.skip("the real data files are not beside this checkout")
    return directory


FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A new state directory that root's server can enter (pytest's own are root's); its server is removed."""
    directory = Path(tempfile.mkdtemp(prefix="hypertape-test-"))
    directory.chmod(0o755)
    yield directory
    EmbeddedServer(Settings(state_dir=directory)).remove()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def server_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on which databases may be created: HYPERTAPE_TEST_DSN, else an embedded one shared by all workers.

    HYPERTAPE_PG_BINDIR and HYPERTAPE_EXTENSION_DIR choose its version and tier. Every worker holds the lock
    shared; the one that can take it alone is the last and removes the server.
    """
    if "HYPERTAPE_TEST_DSN" in os.environ:
        yield os.environ["HYPERTAPE_TEST_DSN"]
        return
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    base = tmp_path_factory.getbasetemp()
    directory = Path(tempfile.gettempdir()) / f"hypertape-test-{run or uuid.uuid4().hex}"
    with open((base.parent if run else base) / f"{directory.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        directory.mkdir(mode=0o755, exist_ok=True)
        server = EmbeddedServer(load_settings(state_dir=directory), options=FAST)
        yield server.up()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        server.remove()
        shutil.rmtree(directory)


@pytest.fixture
def empty_database(server_dsn: str) -> Iterator[str]:
    """The DSN of a new, empty database that is dropped afterwards."""
    name = f"hypertape_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield psycopg.conninfo.make_conninfo(server_dsn, dbname=name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
