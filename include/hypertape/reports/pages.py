"""The reports: one HTML file each, complete in itself, readable without a network.

They answer three questions: is every bar there, is every bar right, and how would I know?
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hypertape.model import format_instant
from hypertape.reports.backfill import backfill_of, gather_backfill
from hypertape.reports.context import ReportContext
from hypertape.reports.cumulative import gather_all
from hypertape.reports.migration import gather_migration
from hypertape.reports.narrow import name_cells
from hypertape.reports.run import gather_run
from hypertape.warehouse.findings.mends import Failed, check_mend

Connection = psycopg.Connection[Any]

ALONE = ReportContext()
"""Of whom nothing is known but the warehouse."""


def run_report(connection: Connection, run_id: str, around: ReportContext = ALONE) -> str:
    """Render what one run loaded, checked and refused.

    Missing sessions, pending rollups and restated bars are shown as they are now; everything else as it was recorded.
    Raises BadInput when the ledger does not know the run.
    """
    backfill = backfill_of(connection, run_id)
    return _page("run.html", **gather_run(connection, run_id), backfill=backfill, around=around)


def cumulative_report(
    connection: Connection,
    *,
    now: datetime,
    since: datetime | None = None,
    markets: Collection[str] | None = None,
    around: ReportContext = ALONE,
) -> str:
    """Render the state of the whole warehouse as of `now`: holdings, freshness, trends, coverage, open quarantine.

    `since` (default: 90 days before now) bounds trends and offenders; `markets` (codes) narrows everything. What is new
    and what is over is told since the report before (`around.before`), else since a day.
    """
    found = gather_all(connection, now, since, markets, around.before)
    return _page("cumulative.html", **found, around=around)


def backfill_report(connection: Connection, run_id: str) -> str:
    """Render the plan of a backfill that was only rehearsed. Raises BadInput when the ledger does not know the run."""
    return _page("backfill.html", **gather_backfill(connection, run_id))


def migration_report(connection: Connection, migration_id: int | None = None) -> str:
    """Render what a migration found in its files, copied, refused and proved; the newest one without an id.

    Raises BadInput when the ledger does not know it.
    """
    return _page("migration.html", **gather_migration(connection, migration_id))


def _page(template: str, **values: Any) -> str:
    return name_cells(_environment().get_template(template).render(**values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=_count, number=_number, instant=_instant, percent=_percent, seconds=_seconds, key=_key
    )
    environment.globals["mend"] = lambda result: check_mend(Failed.of(result))
    return environment


def _count(value: int | None) -> str:
    """Thousands apart, so that large counts can be read."""
    return "–" if value is None else f"{value:,}".replace(",", " ")


def _number(value: float | None) -> str:
    """A price or volume with twelve digits at most, thousands apart."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.12g}".replace(",", " ")


def _instant(value: datetime | date | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return format_instant(value).replace("T", " ").removesuffix(":00")
    return value.isoformat()


def _percent(value: float | None) -> str:
    """Never rounds a small share down to nothing."""
    if value is None:
        return "–"
    return "< 0.01 %" if 0 < value < 0.01 else f"{value:.2f} %"


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _key(entry: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What explains an offender beside its ticker and time, as (name, text) pairs."""
    return [(name, _plain(value)) for name, value in entry.items() if name not in ("ticker", "time")]


def _plain(value: Any) -> str:
    return (
        _number(value)
        if isinstance(value, int | float)
        else value
        if isinstance(value, str)
        else json.dumps(value)
    )
