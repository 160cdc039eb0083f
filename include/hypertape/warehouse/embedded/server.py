"""The embedded PostgreSQL server: a warehouse without an installation, on loopback, in the state directory."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from psycopg import conninfo, errors, sql

from hypertape.errors import DatabaseUnreachable, ServerFailed, ServerReplaced
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded import process
from hypertape.warehouse.embedded.binaries import choose_binaries
from hypertape.warehouse.embedded.home import erase, file_errors, locked
from hypertape.warehouse.embedded.launch import (
    MAINTENANCE_DATABASE,
    answers,
    launch,
    replaced_programs,
    settle,
)
from hypertape.warehouse.embedded.state import DATABASE, HOST, ROLE, Home, write_private

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerStatus:
    """What is known of the embedded server.

    `state` is `absent` before the first start. `dsn` (it holds the password) is None unless the server answers.
    `extension_dir` is where TimescaleDB was loaded from; `note` says why HYPERTAPE_EXTENSION_DIR was not; `replaced`
    says that its programs were upgraded under it, which a restart mends.
    """

    state: Literal["absent", "stopped", "starting", "running"]
    directory: Path
    log: Path
    major: int | None = None
    bindir: Path | None = None
    port: int | None = None
    pid: int | None = None
    dsn: str | None = field(default=None, repr=False)
    extension_dir: str | None = None
    note: str | None = None
    replaced: str | None = None


class EmbeddedServer:
    """The server of one state directory. `options` are PostgreSQL settings that override our defaults."""

    def __init__(self, settings: Settings, *, options: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._options = {**process.CONFIGURATION, **(options or {})}
        self._home = Home(settings.state_dir)

    @property
    def data_directory(self) -> Path:
        """The database cluster's real directory."""
        return self._home.data

    def up(self) -> str:
        """Start the server unless it runs, make the database `hypertape`, and return its DSN.

        Safe to call from several processes at once. Raises BadSetting, DiskFull, ServerFailed, or
        DatabaseRefused when the role's password was changed in the server but not in the password file.
        """
        with file_errors(self._home), locked(self._home):
            running = settle(self._home)
            if running is None:
                launch(self._home, self._settings, self._options)
            elif stale := replaced_programs(self._home, running.port):
                _LOG.warning("%s. %s", stale, ServerReplaced.next_step)
        return self.ensure_database(DATABASE)

    def down(self) -> None:
        """Stop the server if it runs."""
        with file_errors(self._home):
            if not self._home.link.exists():
                return
            with locked(self._home):
                running = process.postmaster(self._home)
                if running is not None:
                    process.stop(self._home, running.pid)

    def remove(self) -> None:
        """Stop the server and delete its directory with every database in it."""
        self.down()
        with file_errors(self._home), locked(self._home):
            erase(self._home)

    def status(self) -> ServerStatus:
        """Say whether the server runs, and from where. Changes nothing."""
        home = self._home
        with file_errors(home):
            running, status = process.postmaster(home), self._remembered_status()
            if running is None:
                return status
            status = replace(status, state="starting", pid=running.pid, port=running.port)
            if not answers(home, running.port):
                return status
            stale = replaced_programs(home, running.port)
            return replace(status, state="running", dsn=home.dsn(running.port), replaced=stale)

    def ensure_database(self, name: str) -> str:
        """Make a database of the running server unless it exists, and return its DSN."""
        port = self._running().port
        with connect(self._home.dsn(port, MAINTENANCE_DATABASE), autocommit=True) as server:
            if server.execute(query("database_exists"), [name]).fetchone() is None:
                # Someone else may make it in between: that is as good.
                with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                    server.execute(query("create_database").format(database=sql.Identifier(name)))
        return self._home.dsn(port, name)

    def tool(self, name: str) -> Path:
        """Return the path of a client program (`psql`, `pg_dump`) that fits the server. Raises ServerFailed."""
        bindir = self.status().bindir or choose_binaries(self._settings, self._home.major).bindir
        found = bindir / name if (bindir / name).is_file() else shutil.which(name)
        if found is None:
            raise ServerFailed(
                f"There is no {name} in {bindir}", next_step="Install PostgreSQL's client programs."
            )
        return Path(found)

    def psql(self, arguments: Sequence[str] = ()) -> int:
        """Run `psql` on the warehouse in our terminal and return its exit code; Ctrl-C is psql's own."""
        port, program = self._running().port, self.tool("psql")
        passwords = (
            self._home.path / "pgpass"
        )  # a file: the command line is public, the environment inherited
        write_private(passwords, f"{HOST}:*:*:{ROLE}:{self._home.password()}\n")
        address = conninfo.make_conninfo(
            host=HOST, port=port, user=ROLE, dbname=DATABASE, passfile=str(passwords)
        )
        with subprocess.Popen([program, "-d", address, *arguments]) as psql:
            while True:
                try:
                    return psql.wait()
                except KeyboardInterrupt:
                    continue

    def _remembered_status(self) -> ServerStatus:
        home, remembered, major = self._home, self._home.remembered(), self._home.major
        state: Literal["absent", "stopped"] = "absent" if major is None else "stopped"
        status = ServerStatus(state, home.link, home.log, major)
        if remembered is None:
            return status
        loaded, note = remembered.extension_dir, remembered.note
        if self._settings.extension_dir and not loaded and not note:
            note = "HYPERTAPE_EXTENSION_DIR is loaded at the next start (`hypertape db down`, then `up`)"
        bindir = Path(remembered.bindir)
        return replace(status, bindir=bindir, port=remembered.port, extension_dir=loaded, note=note)

    def _running(self) -> process.Postmaster:
        with file_errors(self._home):
            running = process.postmaster(self._home)
        if running is None:
            raise DatabaseUnreachable(
                f"The embedded server of {self._home.link} is not running",
                next_step="Start it with `hypertape db up`.",
            )
        return running
