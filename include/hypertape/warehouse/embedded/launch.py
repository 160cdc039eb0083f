"""Bringing the embedded server up: which account, programs and extension, and what to do when one does not fit."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hypertape.errors import DatabaseBusy, DatabaseRefused, DatabaseUnreachable, ServerFailed
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded import process
from hypertape.warehouse.embedded.account import Account, server_account
from hypertape.warehouse.embedded.archive import archive_configuration, prepare_archive
from hypertape.warehouse.embedded.binaries import Binaries, choose_binaries, inspect, runnable
from hypertape.warehouse.embedded.extension import EXTENSION, find_extension, readable
from hypertape.warehouse.embedded.home import prepare
from hypertape.warehouse.embedded.state import DATABASE, Home, Remembered

MAINTENANCE_DATABASE = "postgres"
_LOG = logging.getLogger(__name__)


def launch(home: Home, settings: Settings, options: Mapping[str, str]) -> None:
    """Start the stopped server, making its cluster the first time; `server.json` then says how it runs.

    TimescaleDB is loaded when there is one that fits and loads; else the server runs without, and says why.
    Raises BadSetting, DiskFull or ServerFailed.
    """
    account = server_account(home.data)
    prepare(home, account)
    before = home.remembered() or Remembered(port=0, bindir="")
    last = Path(before.bindir) if before.bindir else None
    binaries = runnable(choose_binaries(settings, home.major, last), account, home)
    if home.major is None:
        process.make_cluster(home, account, binaries, durable=options["fsync"] != "off")
    process.forget_stale_pid(home)
    if settings.wal_archive_dir is not None:
        archive = settings.wal_archive_dir.absolute()
        prepare_archive(archive, account)
        options = {**options, **archive_configuration(archive, binaries.major)}
    plan = replace(before, bindir=str(binaries.bindir), extension_dir=None, note=None)
    directory = settings.extension_dir or (Path(before.extension_dir) if before.extension_dir else None)
    if directory is None:
        _start(home, account, binaries, options, plan)
    else:
        _start_extended(home, account, binaries, options, plan, directory.absolute())


def settle(home: Home) -> process.Postmaster | None:
    """Wait while a server is starting, recovering or stopping; return it if it runs then.

    Raises ServerFailed when it answers nothing for too long.
    """
    deadline = time.monotonic() + process.STARTUP_SECONDS
    while (running := process.postmaster(home)) and not answers(home, running.port):
        if time.monotonic() > deadline:
            raise ServerFailed(
                f"PostgreSQL (process {running.pid}) does not answer at port {running.port}",
                next_step=f"See {home.log}.",
            )
        time.sleep(0.2)
    remembered = home.remembered()
    if running and remembered and remembered.port != running.port:  # its start was interrupted
        home.remember(replace(remembered, port=running.port))
    return running


def answers(home: Home, port: int) -> bool:
    """Whether the server accepts a login. Raises DatabaseRefused when the password file is not its password."""
    try:
        connect(f"{home.dsn(port, MAINTENANCE_DATABASE)}?connect_timeout=2").close()
    except DatabaseUnreachable:
        return False
    except DatabaseBusy:
        return True
    except DatabaseRefused as error:
        raise DatabaseRefused(error.what, next_step=f"Write the password to {home.password_file}.") from error
    return True


def replaced_programs(home: Home, port: int) -> str | None:
    """Say so when the server runs another version than its programs on the disk have by now; None when they agree."""
    remembered = home.remembered()
    found = inspect(Path(remembered.bindir)) if remembered else None
    with connect(home.dsn(port, MAINTENANCE_DATABASE)) as connection:
        runs = (connection.info.parameter_status("server_version") or "").split()[0]
    if remembered is None or (found is not None and found.version == runs):
        return None
    there = f"are {found.version} by now" if found else "are gone"
    return f"PostgreSQL {runs} runs, and its programs in {remembered.bindir} {there}"


def _start_extended(
    home: Home,
    account: Account,
    binaries: Binaries,
    options: Mapping[str, str],
    plan: Remembered,
    directory: Path,
) -> None:
    extension, note = find_extension(directory, binaries.major)
    if extension is not None:
        loading = {**options, **readable(extension, account, home).configuration()}
        try:
            return _start(home, account, binaries, loading, replace(plan, extension_dir=str(directory)))
        except ServerFailed as error:
            note = f"TimescaleDB of {directory} does not load: {error.what}"
    _LOG.warning("%s; PostgreSQL runs without TimescaleDB", note)
    _start(home, account, binaries, options, replace(plan, note=note))


def _start(
    home: Home, account: Account, binaries: Binaries, options: Mapping[str, str], plan: Remembered
) -> None:
    fresh = home.remembered() is None
    home.remember(plan)  # before the start, so that an interruption leaves a server that is known
    home.remember(replace(plan, port=process.start(home, account, binaries, options, plan.port)))
    if not fresh and plan.extension_dir is None and _built_on_extension(home):
        _stop_again(home)
        raise ServerFailed(
            f"The warehouse in {home.link} was built on TimescaleDB and cannot be read without it"
            + (f": {plan.note}" if plan.note else ""),
            next_step=f"Set HYPERTAPE_EXTENSION_DIR to one for PostgreSQL {binaries.major}, "
            "or HYPERTAPE_STATE_DIR to a new place.",
        )


def _built_on_extension(home: Home) -> bool:
    running = process.postmaster(home)
    try:
        with connect(home.dsn(running.port if running else 0, DATABASE)) as connection:
            return connection.execute(query("has_extension"), [EXTENSION]).fetchone() is not None
    except DatabaseRefused:  # the database was not made yet
        return False


def _stop_again(home: Home) -> None:
    running = process.postmaster(home)
    if running is not None:
        process.stop(home, running.pid)
