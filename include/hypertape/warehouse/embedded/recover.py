"""An embedded server brought back to a point in time, in a state directory of its own: nothing else is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from hypertape.errors import BadInput, HypertapeError, ServerFailed
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.warehouse.base_backup import Base, unpack
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.account import server_account
from hypertape.warehouse.embedded.archive import restore_command
from hypertape.warehouse.embedded.home import locked, prepare
from hypertape.warehouse.embedded.process import STARTUP_SECONDS
from hypertape.warehouse.embedded.server import EmbeddedServer
from hypertape.warehouse.embedded.state import Home, write_private

ARCHIVED_SECONDS = 60
"""So long is waited for a living server to archive the newest of its log."""


def prepare_recovery(
    settings: Settings, chain: Sequence[Base], bases: Path, archive: Path, instant: datetime, into: Path
) -> Path:
    """Make the data directory of an embedded server in the state directory `into`; it recovers when it is started.

    It has the password of the server of `settings`. Raises BadInput where there is a server already.
    """
    home, before = Home(into), Home(settings.state_dir)
    with locked(home):
        if home.data.exists():
            raise BadInput(f"{into} holds a server already", next_step="Name a new directory with --into.")
        account = server_account(home.data)
        prepare(home, account)
        if before.password_file.exists():
            write_private(home.password_file, before.password_file.read_text())
        unpack(bases, chain, home.data, bindir=settings.pg_bindir)
        _let_recover(home.data, archive, instant)
        for path in (home.data, *home.data.rglob("*")):
            if account.other:
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
        home.data.chmod(0o700)
    return home.data


def recover(settings: Settings, into: Path) -> str:
    """Start the prepared server, wait until it has read its log, and return its DSN.

    Raises ServerFailed where the archive does not reach to the instant, with what the server said.
    """
    server = EmbeddedServer(settings.model_copy(update={"state_dir": into, "wal_archive_dir": None}))
    dsn = server.up()
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        with connect(dsn) as connection:
            if connection.execute(query("base_recovering")).fetchone() == (False,):
                return dsn
        time.sleep(0.2)
    raise ServerFailed(
        f"The server in {into} is still reading its log", next_step=f"See {server.status().log}; wait for it."
    )


def archive_newest(dsn: str) -> bool:
    """Let a living server archive what it has not yet; False where it is not there or does not do it in time."""
    with suppress(HypertapeError), connect(dsn, autocommit=True) as connection:
        (segment,) = connection.execute(query("base_switch")).fetchone() or (None,)
        deadline = time.monotonic() + ARCHIVED_SECONDS
        while time.monotonic() < deadline:
            if connection.execute(query("base_archived"), [segment]).fetchone() == (True,):
                return True
            time.sleep(0.1)
    return False


def _let_recover(data: Path, archive: Path, instant: datetime) -> None:
    wanted = {
        "restore_command": restore_command(archive),
        "recovery_target_time": instant.isoformat(),
        "recovery_target_action": "promote",
    }
    with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as configuration:
        for name, value in wanted.items():
            configuration.write(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n")
    (data / "recovery.signal").touch()
