"""`hypertape backup`: dumps of the whole warehouse, proven by a restore."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hypertape.cli.common import console, now, progress
from hypertape.cli.listing import JsonOption, show_table
from hypertape.model import format_instant
from hypertape.settings import Settings, load_settings
from hypertape.warehouse.connect import resolve_dsn
from hypertape.warehouse.dsn import normalise_dsn

if TYPE_CHECKING:
    from hypertape.steps.backup_files import Backup, BackupPlace

app = typer.Typer(no_args_is_help=True, help="Backups: dumps of the whole warehouse, proven by a restore.")

OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="Directory or URL (s3://…) of the backups; default: HYPERTAPE_BACKUP_URL."
    ),
]
NameArgument = Annotated[str | None, typer.Argument(help="The backup's name; default: the newest.")]

_COLUMNS = ("name", "made at", "state", "verified at", "bytes", "rows", "schema", "version", "problem")


@app.command(epilog="Example: hypertape backup create --output /srv/backups")
def create(output: OutputOption = None, as_json: JsonOption = False) -> None:
    """Dump the whole warehouse, with a manifest of what it holds. Loads may go on meanwhile."""
    from hypertape.steps.backup import create as run

    at, settings = now(), load_settings()
    place = _place(settings, output)
    with progress() as on_step:
        made = run(
            server_dsn(settings), place, now=at, on_step=on_step, bindir=settings.pg_bindir,
            run_id=_run_id(at),
            fresh_for=timedelta(hours=settings.backup_fresh_hours),
        )  # fmt: skip
    _note(settings)
    columns = ("name", "place", "bytes", "rows", "seconds")
    show_table(
        "backup", columns, [(made.name, place.shown, made.bytes, made.rows, made.seconds)], as_json=as_json
    )


@app.command("list", epilog="Example: hypertape backup list --output s3://bucket/backups --json")
def list_backups(output: OutputOption = None, as_json: JsonOption = False) -> None:
    """List the backups, newest first, from their files: the warehouse need not be there."""
    rows = [_line(each) for each in _place(load_settings(), output).backups()]
    show_table("backups", _COLUMNS, rows, as_json=as_json)


@app.command(epilog="Example: hypertape backup verify --output /srv/backups")
def verify(
    name: NameArgument = None,
    output: OutputOption = None,
    all_: Annotated[bool, typer.Option("--all", help="Every backup there.")] = False,
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Compare the files with their manifests; restore nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into a scratch database, compare rows and digests, remove it. Exits 3 where it is not whole.

    The scratch database is made on the warehouse's server, or on that of HYPERTAPE_BACKUP_SCRATCH_URL.
    """
    from hypertape.steps.backup import verify as run
    from hypertape.steps.maintain import require_whole

    settings = load_settings()
    place, scratch = _place(settings, output), settings.backup_scratch_url
    chosen = [each for each in place.backups() if not each.is_unfinished] if all_ else [place.find(name)]
    found = []
    for each in chosen:
        with progress() as on_step:
            found.append(
                run(
                    server_dsn(settings), place, each, now=now(), files_only=files_only, on_step=on_step,
                    scratch_server=normalise_dsn(scratch) if scratch else None, bindir=settings.pg_bindir,
                )
            )  # fmt: skip
    _note(settings)
    rows = [(each.name, each.whole, each.restored, each.seconds, each.reason) for each in found]
    show_table("verified", ("name", "whole", "restored", "seconds", "reason"), rows, as_json=as_json)
    require_whole(found)


@app.command(
    epilog="Example: hypertape backup restore hypertape-20261130T033000Z-1a2b3c --database hypertape_copy"
)
def restore(
    name: NameArgument = None,
    database: Annotated[
        str | None,
        typer.Option(
            "--database", "-d", help="Database of the warehouse's server; default: the warehouse itself."
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Take the place of a database that holds tables; that one is kept."),
    ] = False,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup and compare it. A database that holds tables is refused, or kept under another name.

    With --overwrite everybody who is connected to the database is disconnected.
    """
    from hypertape.steps.backup_restore import restore_backup
    from hypertape.warehouse.backup_databases import database_of

    settings = load_settings()
    place, dsn = _place(settings, output), server_dsn(settings)
    with progress() as on_step:
        done = restore_backup(
            database_of(dsn, database) if database else dsn, place, _to_restore(place, name), now=now(),
            overwrite=overwrite, bindir=settings.pg_bindir, on_step=on_step,
        )  # fmt: skip
    columns = ("name", "database", "rows", "former")
    show_table("restored", columns, [(done.name, done.database, done.rows, done.former)], as_json=as_json)
    if done.former and not as_json:
        console().print(
            f"The former database is kept as {done.former} until you drop it.",
            highlight=False,
        )


@app.command(epilog="Example: hypertape backup prune --keep-days 7")
def prune(
    keep_days: Annotated[
        int | None, typer.Option("--keep-days", min=1, help="Days that stay; default: HYPERTAPE_BACKUP_DAYS.")
    ] = None,
    broken: Annotated[bool, typer.Option("--broken", help="Those that are not whole, too.")] = False,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove old backups, and what was never finished. The newest verified one stays, whatever its age.

    Where HYPERTAPE_WAL_ARCHIVE_DIR is set: base backups too that nothing since then needs, and the log before them.
    """
    from hypertape.steps.backup import prune as run
    from hypertape.warehouse.base_backup import prune_bases

    settings = load_settings()
    days = settings.backup_days if keep_days is None else keep_days
    at, place = now(), _place(settings, output)
    gone = [_line(each) for each in run(server_dsn(settings), place, now=at, keep_days=days, broken=broken)]
    _note(settings)
    show_table("removed", _COLUMNS, gone, as_json=as_json)
    if settings.wal_archive_dir is not None and "://" not in place.url:
        bases = prune_bases(
            Path(place.url), settings.wal_archive_dir, keep_since=at - timedelta(days=days),
            bindir=settings.pg_bindir,
        )  # fmt: skip
        console(stderr=True).print(f"{len(bases)} base backups removed, and the log before the oldest left")


def _to_restore(place: BackupPlace, name: str | None) -> Backup:
    """The backup of that name, or the newest that nobody found fault with."""
    good = (each for each in place.backups() if each.state in ("verified", "unverified"))
    return place.find(name) if name else next(good, None) or place.find(None)


def _run_id(at: datetime) -> str:
    return f"backup__{at:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"


def _note(settings: Settings) -> None:
    """Bring the findings of backups up to date."""
    from hypertape.steps.findings import note_backup_findings

    at = now()
    note_backup_findings(server_dsn(settings), _run_id(at), now=at, settings=settings)


def server_dsn(settings: Settings) -> str:
    """The warehouse's server itself, where a pooler stands before it."""
    return (
        normalise_dsn(settings.direct_database_url) if settings.direct_database_url else resolve_dsn(settings)
    )


def _place(settings: Settings, output: str | None) -> BackupPlace:
    from hypertape.steps.backup_files import BackupPlace

    return BackupPlace(output or settings.backups)


def _line(each: Backup) -> Sequence[object]:
    verified = each.verdict.verified_at if each.verdict else None
    manifest = each.manifest
    return (
        each.name,
        format_instant(each.made_at),
        each.state,
        format_instant(verified) if verified else None,
        each.bytes,
        manifest.rows if manifest else None,
        manifest.schema_version if manifest else None,
        manifest.code_version if manifest else None,
        each.problem or (each.verdict.reason if each.verdict else ""),
    )
