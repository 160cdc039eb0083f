"""Looking for what is wrong: after a load at its place, by the clock or when somebody asks at all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from hypertape.settings import Settings
from hypertape.steps.notify import tell
from hypertape.steps.run_spec import RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Changes, Look, look

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


def watch(dsn: str, run_id: str, *, now: datetime, settings: Settings, thorough: bool = True) -> Changes:
    """Look for what is wrong everywhere; `thorough` reads the bars' ends too."""
    with connect(dsn) as connection:
        changes = look(connection, Look(now, run_id, thorough=thorough, pause=settings.source_pause))
        connection.commit()
    return changes
