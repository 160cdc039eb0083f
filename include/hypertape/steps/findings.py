"""Looking for what is wrong: after a load at its place, by the clock or when somebody asks at all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from hypertape.errors import DatabaseRefused, DatabaseUnreachable, SchemaMissing
from hypertape.settings import Settings
from hypertape.steps.notify import tell
from hypertape.steps.run_spec import RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Changes, Look, look
from hypertape.warehouse.findings.look import look_at
from hypertape.warehouse.findings.observe_backups import BACKUP_OBSERVERS

Connection = psycopg.Connection[Any]


def note_findings(
    dsn: str, connection: Connection, spec: RunSpec, *, now: datetime, settings: Settings
) -> Changes:
    """Look for what is wrong at a run's place, after its load, and tell whoever wants to know; commits."""
    place = (spec.market.code, spec.interval.value)
    changes = look(connection, Look(now, spec.run_id, *place, pause=settings.source_pause))
    connection.commit()
    if changes.opened or changes.closed:
        tell(dsn, now=now, settings=settings)
    return changes


def note_backup_findings(dsn: str, run_id: str, *, now: datetime, settings: Settings) -> Changes:
    """Look at what is known of backups, and tell whoever wants to know of a change; commits.

    A warehouse that does not answer has no findings: backups are looked after where it is gone, too.
    """
    try:
        with connect(dsn) as connection:
            changes = look_at(connection, BACKUP_OBSERVERS, Look(now, run_id))
            connection.commit()
    except (DatabaseUnreachable, DatabaseRefused, SchemaMissing):
        return Changes()
    if changes.opened or changes.closed:
        tell(dsn, now=now, settings=settings)
    return changes


def watch(dsn: str, run_id: str, *, now: datetime, settings: Settings, thorough: bool = True) -> Changes:
    """Look for what is wrong everywhere; `thorough` reads the bars' ends too."""
    with connect(dsn) as connection:
        changes = look(connection, Look(now, run_id, thorough=thorough, pause=settings.source_pause))
        connection.commit()
    return changes
