"""Fixtures every test may use: the shared real files when they are there, and a fresh warehouse database."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer.main
import typer.testing
from psycopg import sql

from hypertape.cli import main
from hypertape.markets import all_markets
from hypertape.settings import Settings, load_settings
from hypertape.sources.sample import LAST_DAY
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.schema import apply, name_search_path, tier

pytest_plugins = ["scheduling", "thorough", "message_hook"]
"""Loaded from beside this file."""

REPOSITORY = Path(__file__).resolve().parents[1]

os.environ["HYPERTAPE_SAMPLE_END"] = LAST_DAY.isoformat()
"""The dates that tests name are those of the synthetic set as it is written: an Airflow of theirs must not move it."""


@pytest.fixture(scope="session")
def shared_data_if_any() -> Path | None:
    """The real files beside the repository, where they are, for tests that mean something without them."""
    directory = REPOSITORY.parent / "shared" / "data"
    return directory if directory.is_dir() else None


@pytest.fixture(scope="session")
def shared_data(shared_data_if_any: Path | None) -> Path:
    """The real files; tests that need them are not collected as passed without them."""
    if shared_data_if_any is None:
        pytest.skip("the real data files are not beside this checkout")
    return shared_data_if_any


_SILENCE = "select alter_job(job_id, scheduled => false) from timescaledb_information.jobs"
_TEMPLATES_OWN = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
_ROOM = 6 * 2**30
"""Bytes; the tests' databases and their log take about one and a half thousand million."""

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
    directory = _in_memory_or(tempfile.gettempdir()) / f"hypertape-test-{run or uuid.uuid4().hex}"
    with open((base.parent if run else base) / f"{directory.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        directory.mkdir(mode=0o755, exist_ok=True)
        server = EmbeddedServer(load_settings(state_dir=directory), options=FAST)
        dsn = server.up()
        _hash_less(dsn)
        yield dsn
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        server.remove()
        shutil.rmtree(directory)


def _in_memory_or(place: str) -> Path:
    """A file system in memory where there is one with room, else `place`: thousands of databases come and go."""
    memory = Path("/dev/shm")
    is_roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    return memory if is_roomy else Path(place)


def _hash_less(dsn: str) -> None:
    """Store the server's password with few rounds of hashing: they are half of what a connection costs."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.info.server_version < 16_00_00:
            return
        connection.execute("set scram_iterations = 1")
        # every worker of the tests comes here
        connection.execute("select pg_advisory_lock(hashtext('fewer rounds of hashing'))")
        password = sql.Literal(connection.info.password)
        connection.execute(sql.SQL("alter role current_user password {}").format(password))


@pytest.fixture
def empty_database(server_dsn: str) -> Iterator[str]:
    """The DSN of a new, empty database that is dropped afterwards."""
    name = f"hypertape_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield psycopg.conninfo.make_conninfo(server_dsn, dbname=name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def new_warehouse(server_dsn: str) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """A context manager that yields the DSN of a new warehouse: every market's schema, no bars.

    The schema is applied once per worker and copied for whoever needs it. Copies keep the schema's policies but not
    their schedule: a background job in the middle of a test would make its outcome depend on the moment.
    """
    template = f"hypertape_template_{uuid.uuid4().hex[:12]}"
    with _database(server_dsn, template) as dsn:
        with connect(dsn, autocommit=True) as connection:
            apply(connection, all_markets().values())
            if tier(connection) == "timescaledb":
                connection.execute(_SILENCE)
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("alter database {} allow_connections false").format(sql.Identifier(template))
            )
            connection.execute(_TEMPLATES_OWN, (template,))

        @contextmanager
        def copy() -> Iterator[str]:
            with _database(server_dsn, f"hypertape_test_{uuid.uuid4().hex[:12]}", template) as dsn:
                with connect(dsn, autocommit=True) as connection:
                    name_search_path(connection)  # settings of a database are not copied with it
                yield dsn

        yield copy


@pytest.fixture
def warehouse(new_warehouse: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """The DSN of a warehouse of the test's own."""
    with new_warehouse() as dsn:
        yield dsn


@pytest.fixture(scope="session", autouse=True)
def commands_made_once() -> Iterator[None]:
    """Typer makes the commands of an app anew for each call, a sixth of a second of the hundreds of calls here."""
    with pytest.MonkeyPatch.context() as patch:
        once = cache(typer.main.get_command)
        patch.setattr("typer.main.get_command", once)
        patch.setattr("typer.testing._get_command", once)
        yield


@pytest.fixture
def hypertape_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Call `hypertape WORDS…` in this process, as the environment stands; returns exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hypertape", *words])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def command_line(
    warehouse: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    hypertape_here: Callable[..., tuple[int, str, str]],
) -> Callable[..., tuple[int, str, str]]:
    """Call `hypertape WORDS…` on a warehouse of its own; returns exit code, stdout, stderr."""
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    return hypertape_here


@contextmanager
def _database(server_dsn: str, name: str, template: str = "template0") -> Iterator[str]:
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(
            # Copying its files takes half the time of logging its pages.
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    try:
        yield psycopg.conninfo.make_conninfo(server_dsn, dbname=name)
    finally:
        with psycopg.connect(server_dsn, autocommit=True) as server:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def airflow_of_the_session(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A real Airflow, started once for all modules that need one; `scheduling` keeps them together and ends it."""
    from real_airflow import real_airflow
    from scheduling import AIRFLOW

    with ExitStack() as running:
        request.config.stash[AIRFLOW] = running
        yield running.enter_context(real_airflow())


@pytest.fixture(scope="module")
def standalone(airflow_of_the_session: Any) -> Any:
    """That Airflow, as if it had been started for this module."""
    from real_airflow import empty

    empty(airflow_of_the_session)
    return airflow_of_the_session
