"""`hypertape backup base|bases|recover`: back to a point in time, by base backups and the archived log."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli import backup
from hypertape.cli.backup import OutputOption, server_dsn
from hypertape.cli.common import console, now
from hypertape.cli.listing import JsonOption, show_table
from hypertape.errors import BadInput, HypertapeError
from hypertape.model import format_instant, parse_instant
from hypertape.settings import Settings, load_settings

if TYPE_CHECKING:
    from hypertape.warehouse.base_backup import Base

ArchiveOption = Annotated[
    Path | None,
    typer.Option("--archive", help="Directory of the archived log; default: HYPERTAPE_WAL_ARCHIVE_DIR."),
]

_COLUMNS = ("name", "serves since", "bytes", "builds on")


app = backup.app
"""Verbs of the same group, in a module of their own."""


@app.command(epilog="Example: hypertape backup base --output /srv/backups --incremental")
def base(
    output: OutputOption = None,
    incremental: Annotated[
        bool,
        typer.Option(
            "--incremental", help="Only what changed since the newest base (PostgreSQL 17 and newer)."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy the server's files: with the log archived since, `backup recover` leads to any instant after it.

    The server must archive its log: HYPERTAPE_WAL_ARCHIVE_DIR for the embedded one.
    """
    from hypertape.warehouse.base_backup import make_base

    settings = load_settings()
    with console(stderr=True).status("copying the server's files"):
        made = make_base(
            server_dsn(settings), _directory(settings, output), now=now(), incremental=incremental,
            bindir=settings.pg_bindir,
        )  # fmt: skip
    show_table("base backup", _COLUMNS, [_line(made)], as_json=as_json)


@app.command(epilog="Example: hypertape backup bases --json")
def bases(output: OutputOption = None, as_json: JsonOption = False) -> None:
    """List the base backups, newest first; each serves every instant since it was made."""
    from hypertape.warehouse.base_backup import bases as listed

    rows = [_line(each) for each in listed(_directory(load_settings(), output))]
    show_table("base backups", _COLUMNS, rows, as_json=as_json)


@app.command(
    epilog="Example: hypertape backup recover --to-time 2026-11-30T11:59:00 --into /srv/recovered --output /srv/backups"
)
def recover(
    to_time: Annotated[str, typer.Option("--to-time", help="The instant (UTC) to go back to.")],
    into: Annotated[
        Path, typer.Option("--into", help="A new state directory; the present server is not touched.")
    ],
    archive: ArchiveOption = None,
    output: OutputOption = None,
    start: Annotated[
        bool,
        typer.Option("--start/--no-start", help="Start it as an embedded server, or only make its files."),
    ] = True,
) -> None:
    """Bring the server back as it was at an instant, as a server of its own beside the present one."""
    from hypertape.warehouse.base_backup import chain_to
    from hypertape.warehouse.embedded.recover import archive_newest, prepare_recovery
    from hypertape.warehouse.embedded.recover import recover as run

    settings = load_settings()
    log = _archive(settings, archive)
    instant, place = _past(to_time, now()), _directory(settings, output)
    chain = chain_to(place, instant)
    with suppress(HypertapeError):  # it may be gone: that is what all this is for
        archive_newest(server_dsn(settings))
    with console(stderr=True).status("reading the log"):
        data = prepare_recovery(settings, chain, place, log, instant, into.absolute())
        if start:
            run(settings, into.absolute())
    said = (
        f"The server of {format_instant(instant)} runs in {into}: HYPERTAPE_STATE_DIR={into} hypertape doctor"
        if start
        else f"Start PostgreSQL {chain[-1].server_version // 10_000} on {data}; it goes back to {to_time}"
    )
    console().print(said, highlight=False)


def _past(text: str, at: datetime) -> datetime:
    instant = parse_instant(text)
    if instant > at:
        raise BadInput(f"{text} is yet to come", next_step=f"It is {format_instant(at)} (UTC) now.")
    return instant


def _archive(settings: Settings, given: Path | None) -> Path:
    found = given or settings.wal_archive_dir
    if found is None or not found.is_dir():
        raise BadInput(
            f"{found} is no directory" if found else "No archive of the log is named",
            next_step="Name it with --archive, or in HYPERTAPE_WAL_ARCHIVE_DIR.",
        )
    return found.absolute()


def _directory(settings: Settings, output: str | None) -> Path:
    """Base backups lie in a directory: pg_basebackup and pg_combinebackup write files."""
    given = (output or settings.backups).removeprefix("file://")
    if "://" in given:
        raise BadInput(
            f"Base backups lie in a directory, and {given} is none",
            next_step="Name one with --output, and copy it where you want.",
        )
    return Path(given).absolute()


def _line(each: Base) -> tuple[object, ...]:
    return each.name, format_instant(each.ended_at), each.bytes, each.after
