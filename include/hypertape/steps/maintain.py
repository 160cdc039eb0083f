"""What keeps a warehouse in order by the clock: old bars, open chunks, leftovers of killed work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from hypertape.errors import BackupBroken, HypertapeError
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.steps.backup import Checked, verify
from hypertape.steps.backup_files import Backup, BackupPlace
from hypertape.steps.landing import sweep
from hypertape.warehouse.backup_databases import sweep_scratch
from hypertape.warehouse.connect import connect
from hypertape.warehouse.schema import tier

BACKUP_EVERY = timedelta(hours=20)
"""A backup younger than this makes another one of the day needless; less than a day, because starts vary."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed: runs of the landing area, settled rows of quarantine, scratch databases."""

    landing: int
    quarantine: int
    scratch: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "scratch": list(self.scratch)}


def run_policies(dsn: str) -> list[str] | None:
    """Run the jobs that drop old bars, then those that compress; return their relations. None: this tier has none.

    One that fails does not keep the others from running; the first failure is raised at the end.
    """
    failed: list[HypertapeError] = []
    done = []
    with connect(dsn, autocommit=True) as connection:
        if tier(connection) != "timescaledb":
            return None
        for job, kind, relation in connection.execute(query("maintain_jobs")).fetchall():
            try:
                connection.execute(query("maintain_run_job"), [job])
                done.append(f"{kind.removeprefix('policy_')} of {relation}")
            except HypertapeError as error:
                failed.append(error)
    if failed:
        raise failed[0]
    return done


def sweep_leftovers(dsn: str, *, now: datetime, settings: Settings) -> Swept:
    """Remove old landed files and raw answers, refused rows settled long ago, and scratch databases nobody uses."""
    landing = sweep(settings.landing, now, settings.landing_days, settings.raw_days)
    before = now - timedelta(days=settings.quarantine_days)
    with connect(dsn, autocommit=True) as connection:
        quarantine = connection.execute(query("quarantine_forget"), [before]).rowcount
        return Swept(landing, quarantine, tuple(sweep_scratch(connection)))


def backup_is_due(there: Sequence[Backup], now: datetime) -> bool:
    """Whether the newest backup that is whole, as far as anybody knows, is a day old."""
    good = [each.made_at for each in there if each.state in ("verified", "unverified")]
    return not good or now - max(good) >= BACKUP_EVERY


def verify_all(dsn: str, place: BackupPlace, *, now: datetime, settings: Settings) -> list[Checked]:
    """Verify the newest backup by a restore, and the files of all others. Raises nothing for what is not whole."""
    there = [each for each in place.backups() if not each.is_unfinished]
    return [
        verify(
            dsn, place, each, now=now, files_only=number > 0, bindir=settings.pg_bindir,
            scratch_server=settings.backup_scratch_url,
        )
        for number, each in enumerate(there)
    ]  # fmt: skip


def require_whole(found: Sequence[Checked]) -> None:
    """Raise BackupBroken where one of several backups is not whole."""
    broken = [each for each in found if not each.whole]
    if broken:
        raise BackupBroken(
            f"{len(broken)} of {len(found)} backups not whole: {broken[0].name}: {broken[0].reason}"
        )
