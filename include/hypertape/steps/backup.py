"""Backups of the warehouse: made, listed, verified by a restore into a scratch database, pruned.

What a backup is stands beside its file (`backup_files`); the warehouse's table `backup` is told, where it answers, for
findings and `doctor`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from hypertape.errors import BackupBroken, DatabaseRefused, DatabaseUnreachable, ProgramFailed, SchemaMissing
from hypertape.steps.backup_files import Backup, BackupPlace, OnBytes, Verdict, new_name
from hypertape.steps.run_spec import OnStep, silent
from hypertape.warehouse.backup import (
    Manifest,
    contents,
    differences,
    dump,
    restore,
)
from hypertape.warehouse.backup_databases import scratch_database
from hypertape.warehouse.backup_ledger import note_backup, note_removed, note_verdict
from hypertape.warehouse.connect import connect

Connection = psycopg.Connection[Any]
_LOG = logging.getLogger(__name__)

ABANDONED = timedelta(days=1)
"""What has no manifest after so long is nobody's work any more."""

_MEGABYTE = 1_000_000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at one backup found; `restored`: it was restored and compared, not only read."""

    name: str
    whole: bool
    reason: str
    restored: bool
    seconds: float


def create(
    dsn: str,
    place: BackupPlace,
    *,
    run_id: str,
    now: datetime,
    fresh_for: timedelta,
    bindir: Path | None = None,
    on_step: OnStep = silent,
) -> Manifest:
    """Make a backup. Raises what `dump` raises; then nothing is left that looks like one."""
    started, name = time.monotonic(), new_name(now)
    written: list[tuple[int, str]] = []
    try:
        dumped = dump(
            dsn,
            lambda stream: written.append(place.write_dump(name, stream, _megabytes("write", on_step))),
            bindir=bindir, on_step=on_step,
        )  # fmt: skip
        size, sha256 = written[0]
        manifest = Manifest(
            name=name, made_at=now.replace(microsecond=0), database=dumped.database, tier=dumped.tier,
            server_version=dumped.server_version, extensions=dumped.extensions,
            schema_version=dumped.schema_version, code_version=dumped.code_version, bytes=size, sha256=sha256,
            seconds=round(time.monotonic() - started, 1), relations=dumped.relations,
        )  # fmt: skip
        place.write_manifest(manifest)
    except BaseException:
        place.remove(name)
        raise
    _tell(
        dsn,
        lambda connection: note_backup(connection, manifest, place.shown, run_id=run_id, fresh_for=fresh_for),
    )
    return manifest


def verify(
    dsn: str,
    place: BackupPlace,
    backup: Backup,
    *,
    now: datetime,
    scratch_server: str | None = None,
    files_only: bool = False,
    bindir: Path | None = None,
    on_step: OnStep = silent,
) -> Checked:
    """Look whether a backup is whole: its file, and (unless `files_only`) what it restores to.

    It is restored into a database made for that on `scratch_server` (a DSN; None: the warehouse's), which is removed in
    every case. What is found is written beside the backup and into the table `backup`; only what keeps it from being
    looked at (no room, no permission, no program) is raised.
    """
    started = time.monotonic()
    try:
        if backup.manifest is None or backup.problem:
            raise BackupBroken(f"{backup.name}: {backup.problem}")
        if files_only:
            place.check_file(backup.manifest, _megabytes("read", on_step, backup.bytes))
        else:
            _restored(scratch_server or dsn, place, backup.manifest, bindir, on_step)
        reason = ""
    except BackupBroken as error:
        reason = error.what
    found = Checked(backup.name, not reason, reason, not files_only, round(time.monotonic() - started, 1))
    if not backup.is_unfinished:
        _keep_verdict(dsn, place, backup, found, now)
    return found


def _restored(
    server: str, place: BackupPlace, manifest: Manifest, bindir: Path | None, on_step: OnStep
) -> None:
    """Restore into a scratch database and compare. Raises BackupBroken where it does not restore or differs."""
    on_bytes = _megabytes("read", on_step, manifest.bytes)
    with place.dump_file(manifest, on_bytes) as file, scratch_database(server) as scratch:
        restore_and_compare(scratch, file, manifest, bindir=bindir, on_step=on_step)


def restore_and_compare(
    dsn: str, file: Path, manifest: Manifest, *, bindir: Path | None, at_once: bool = False, on_step: OnStep
) -> list[int]:
    """Restore a dump into an empty database and compare it with its manifest.

    Returns TimescaleDB's jobs, which do not run there until `wake_jobs`. Raises BackupBroken.
    """
    try:
        jobs = restore(dsn, file, manifest, bindir=bindir, at_once=at_once, on_step=on_step)
    except ProgramFailed as error:
        raise BackupBroken(f"{manifest.name} does not restore: {error.what}") from error
    with connect(dsn) as connection:
        wrong = differences(manifest.relations, contents(connection, on_step))
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise BackupBroken(f"{manifest.name} restores to something else: {'; '.join(wrong[:_SHOWN])}{more}")
    return jobs


def prune(
    dsn: str, place: BackupPlace, *, now: datetime, keep_days: int, broken: bool = False
) -> list[Backup]:
    """Remove backups older than `keep_days`, what was never finished, and with `broken` those that are not whole.

    The newest verified one stays whatever its age; where none is, the newest that nobody found fault with.
    """
    there = place.backups()
    gone = [each for each in there if _may_go(each, there, now, keep_days, broken)]
    for each in gone:
        place.remove(each.name)
    if gone:
        _tell(dsn, lambda connection: note_removed(connection, [each.name for each in gone], now))
    return gone


def newest_good(there: Sequence[Backup]) -> Backup | None:
    """The newest verified backup; where there is none, the newest that nobody found fault with."""
    order = ("verified", "unverified")
    return next((each for state in order for each in there if each.state == state), None)


def _may_go(backup: Backup, there: Sequence[Backup], now: datetime, keep_days: int, broken: bool) -> bool:
    if backup.is_unfinished:
        return now - backup.made_at > ABANDONED
    if backup == newest_good(there):
        return False
    return now - backup.made_at > timedelta(days=keep_days) or (broken and backup.state == "broken")


def _keep_verdict(dsn: str, place: BackupPlace, backup: Backup, found: Checked, now: datetime) -> None:
    before = backup.verdict.verified_at if backup.verdict else None
    verified_at = (now if found.restored else before) if found.whole else None
    place.write_verdict(backup.name, Verdict(found.whole, found.reason, now, verified_at))
    _tell(
        dsn,
        lambda connection: note_verdict(
            connection, found.name, whole=found.whole, reason=found.reason, restored=found.restored, now=now
        ),
    )


def _tell(dsn: str, note: Callable[[Connection], None]) -> None:
    """Tell the warehouse, where it answers and its schema is not older: what is to be upgraded is backed up first."""
    try:
        with connect(dsn) as connection:
            note(connection)
    except (DatabaseUnreachable, DatabaseRefused, SchemaMissing) as error:
        _LOG.warning("The warehouse is not told: %s", error)


def _megabytes(step: str, on_step: OnStep, total: int | None = None) -> OnBytes:
    """Progress in megabytes; without a total it is not known how many there will be."""

    def count(size: int) -> None:
        done = size // _MEGABYTE
        on_step(f"{step} (MB)", done, max(done, (total or 0) // _MEGABYTE))

    return count
