"""TimescaleDB from HYPERTAPE_EXTENSION_DIR, and servers that must start although it is not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hypertape.errors import ServerFailed
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.binaries import Binaries, packaged_binaries, system_binaries
from hypertape.warehouse.embedded.server import EmbeddedServer

pytestmark = pytest.mark.database
SMALL = {"fsync": "off", "shared_buffers": "16MB"}
GIVEN = os.environ.get("HYPERTAPE_EXTENSION_DIR")
needs_timescaledb = pytest.mark.skipif(
    GIVEN is None, reason="HYPERTAPE_EXTENSION_DIR names no TimescaleDB to load"
)


def server_with(
    state_dir: Path, extension_dir: Path | None, binaries: Binaries | None = None
) -> EmbeddedServer:
    bindir = (binaries or packaged_binaries()[0]).bindir
    settings = Settings(state_dir=state_dir, pg_bindir=bindir, extension_dir=extension_dir)
    return EmbeddedServer(settings, options=SMALL)


def empty(directory: Path) -> str:
    directory.mkdir(exist_ok=True)
    return "holds no TimescaleDB for PostgreSQL 18"


def absent(directory: Path) -> str:
    return "holds no TimescaleDB for PostgreSQL 18"


def for_another_major(directory: Path) -> str:
    fill(directory / "17", b"")
    return "holds no TimescaleDB for PostgreSQL 18"


def no_library(directory: Path) -> str:
    fill(directory / "18", b"this is no shared library")
    return "does not load: .*timescaledb"


def another_library(directory: Path) -> str:
    """A real shared library that is no PostgreSQL module, as one built for another major is refused too."""
    fill(directory, next(packaged_binaries()[0].bindir.parent.glob("lib/libpq.so.5.*")).read_bytes())
    return "does not load: .*timescaledb"


def fill(part: Path, library: bytes) -> None:
    (part / "share" / "extension").mkdir(parents=True)
    (part / "share" / "extension" / "timescaledb.control").write_text("default_version = '1'\n")
    (part / "lib").mkdir()
    (part / "lib" / "timescaledb.so").write_bytes(library)


@pytest.mark.parametrize("make", [empty, absent, for_another_major, no_library, another_library])
def test_a_directory_that_does_not_serve_leaves_a_plain_server_that_says_so(state_dir: Path, make) -> None:  # type: ignore[no-untyped-def]
    words = make(state_dir / "extensions")
    server = server_with(state_dir, state_dir / "extensions")
    with connect(server.up()) as connection:
        assert connection.execute("show shared_preload_libraries").fetchone() == ("",)
    status = server.status()
    assert status.extension_dir is None
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(status.note)


@pytest.mark.skipif(
    not [one for one in system_binaries() if one.major < 18], reason="no system PostgreSQL older than 18"
)
def test_an_older_postgresql_says_that_it_cannot_load_it(state_dir: Path) -> None:
    old = next(one for one in system_binaries() if one.major < 18)
    fill(state_dir / "extensions" / str(old.major), b"")
    server = server_with(state_dir, state_dir / "extensions", old)
    server.up()
    note = server.status().note
    assert note is not None
    assert note.startswith(f"PostgreSQL {old.major} cannot load TimescaleDB")


@needs_timescaledb
def test_the_named_timescaledb_is_loaded_and_remembered(state_dir: Path) -> None:
    with connect(server_with(state_dir, Path(str(GIVEN))).up(), autocommit=True) as connection:
        connection.execute("create extension timescaledb")
        assert connection.execute("show timescaledb.telemetry_level").fetchone() == ("off",)
        connection.execute("create table bars (time timestamptz not null)")
        connection.execute("select create_hypertable('bars', 'time')")
    server = server_with(state_dir, None)
    server.down()
    with connect(server.up()) as connection:
        assert connection.execute("select count(*) from bars").fetchone() == (0,)
    assert server.status().extension_dir == GIVEN


@needs_timescaledb
def test_a_warehouse_built_on_it_is_not_run_without_it(state_dir: Path) -> None:
    copy = state_dir / "extensions"
    shutil.copytree(str(GIVEN), copy)
    server = server_with(state_dir, copy)
    with connect(server.up(), autocommit=True) as connection:
        connection.execute("create extension timescaledb")
    server.down()
    shutil.rmtree(copy)
    with pytest.raises(ServerFailed, match=r"built on TimescaleDB.*holds no.*Set HYPERTAPE_EXTENSION_DIR"):
        server.up()
    assert server.status().state == "stopped"
    shutil.copytree(str(GIVEN), copy)
    assert server.up()


@needs_timescaledb
@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")
def test_a_timescaledb_only_root_can_read_is_copied(state_dir: Path) -> None:
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(str(GIVEN), private / "extensions")
    server = server_with(state_dir, private / "extensions")
    server.up()
    assert server.status().note is None
    assert server.status().extension_dir == str(private / "extensions")
