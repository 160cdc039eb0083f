"""Bring the gap ledger up to date, run the quality suite of a run's window and keep its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from hypertape.quality.results import record, summary
from hypertape.quality.run import validate as run_suite
from hypertape.settings import Settings, load_settings
from hypertape.steps.plan import RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import note_gaps
from hypertape.warehouse.ledger import register_calendar


def validate(
    dsn: str,
    plan_head: Mapping[str, Any],
    *,
    now: datetime,
    progress: Callable[[str], None] | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Check the bars of the run's window, record every result, and return their summary as JSON.

    The gap ledger comes first: a missing bar that it explains (holiday, not listed, delisted, halted) is no defect.
    Bad data does not raise here: publish does, after the rollups are refreshed and the report is written.
    """
    head = RunSpec.from_json(plan_head)
    with connect(dsn) as connection:
        note_gaps(connection, head.market, head.interval, head.window, now, head.run_id)
        connection.commit()
        register_calendar(connection, head.market, head.window, now)
        connection.commit()
        results = run_suite(
            dsn,
            connection,
            head.market,
            head.interval,
            head.window,
            run_id=head.run_id,
            now=now,
            progress=progress,
            limit=timedelta(seconds=(settings or load_settings()).rule_seconds),
        )
        record(connection, results)
        connection.commit()
    return summary(results)
