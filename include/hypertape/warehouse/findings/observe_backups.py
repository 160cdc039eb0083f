"""Observer of backups: one that is not whole, and the newest verified one too old."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import psycopg

from hypertape.model import CRITICAL, format_instant
from hypertape.warehouse.backup_ledger import BROKEN, age_of_newest, known_backups
from hypertape.warehouse.findings.ledger import Observation
from hypertape.warehouse.findings.observer import Look, Observer

Connection = psycopg.Connection[Any]


def see_backups(connection: Connection, at: Look) -> Iterator[Observation]:
    """Backups that are not whole, and that there is no verified one that is new enough.

    Who never made one is not told: `hypertape doctor` says so.
    """
    found = known_backups(connection)
    for each in found:
        if each.verdict == BROKEN:
            output = f"--output {shlex.quote(each.place)}"
            yield Observation(
                cause=f"backup/{each.name}",
                kind="backup",
                title=f"The backup {each.name} is not whole: {each.reason}",
                mend=f"hypertape backup create {output}; then hypertape backup prune --broken {output}",
                severity=CRITICAL,
                essence=each.reason,
                evidence={"place": each.place, "made_at": each.made_at, "checked_at": each.checked_at},
            )
    verified, over = age_of_newest(found, at.now)
    if over is not None:
        output = f"--output {shlex.quote(found[0].place)}"
        title = (
            f"The newest verified backup is of {format_instant(verified.made_at)}"
            if verified
            else f"No backup was ever verified, the first is of {format_instant(found[-1].made_at)}"
        )
        yield Observation(
            cause="backup",
            kind="backup",
            title=title,
            mend=f"hypertape backup create {output}; then hypertape backup verify {output}",
            essence="",
            evidence={
                "place": found[0].place,
                "newest": found[0].name,
                "made_at": found[0].made_at,
                "hours_allowed": found[0].fresh_for.total_seconds() / 3600,
            },
        )


BACKUP_OBSERVERS = (Observer(("backup",), see_backups, reach="everywhere"),)
