"""The table `backup`: what the warehouse knows of its backups, for findings and `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from hypertape.queries import query
from hypertape.warehouse.backup import Manifest

Connection = psycopg.Connection[Any]

WHOLE, BROKEN = "whole", "broken"


@dataclass(frozen=True, slots=True)
class Known:
    """One row of `backup` that was not removed. Times are UTC; `verified_at`: restored, and all there."""

    name: str
    place: str
    made_at: datetime
    seconds: float
    bytes: int
    rows: int
    fresh_for: timedelta
    checked_at: datetime | None
    verified_at: datetime | None
    verdict: str | None
    reason: str | None

    @property
    def is_verified(self) -> bool:
        """Whether it was verified, and nobody found it broken since."""
        return self.verified_at is not None and self.verdict == WHOLE


def known_backups(connection: Connection) -> list[Known]:
    """The backups that were not removed, newest first."""
    with connection.cursor(row_factory=class_row(Known)) as cursor:
        return cursor.execute(query("backup_ledger")).fetchall()


def note_backup(
    connection: Connection, manifest: Manifest, place: str, *, run_id: str, fresh_for: timedelta
) -> None:
    """Keep a backup that was made; commits."""
    connection.execute(
        query("backup_note"),
        {
            "name": manifest.name,
            "place": place,
            "made_at": manifest.made_at,
            "seconds": manifest.seconds,
            "bytes": manifest.bytes,
            "rows": manifest.rows,
            "sha256": manifest.sha256,
            "run_id": run_id,
            "fresh_for": fresh_for,
        },
    )
    connection.commit()


def note_verdict(
    connection: Connection, name: str, *, whole: bool, reason: str, restored: bool, now: datetime
) -> None:
    """Keep what a look at a backup found; commits. A backup of another warehouse is not noted."""
    connection.execute(
        query("backup_note_verdict"),
        {
            "name": name,
            "checked_at": now,
            "verified_at": now if whole and restored else None,
            "verdict": WHOLE if whole else BROKEN,
            "reason": reason or None,
        },
    )
    connection.commit()


def note_removed(connection: Connection, names: Sequence[str], now: datetime) -> None:
    """Keep that backups are gone; commits."""
    connection.execute(query("backup_note_removed"), {"names": list(names), "now": now})
    connection.commit()


def age_of_newest(found: Sequence[Known], now: datetime) -> tuple[Known | None, timedelta | None]:
    """The newest verified backup, and how much longer ago it was made than is allowed (None: it is new enough).

    Where none was ever verified, the time is counted from the oldest: it has had its chance.
    """
    verified = next((each for each in found if each.is_verified), None)
    since = verified or (found[-1] if found else None)
    if since is None:
        return None, None
    over = now - since.made_at - found[0].fresh_for
    return verified, over if over > timedelta() else None
