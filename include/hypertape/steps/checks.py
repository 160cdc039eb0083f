"""What a run's checks look at: its own window, what it changed elsewhere, and what lies unpublished of its series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape.model import Window
from hypertape.quality.results import QualityResult, Summary, record, summary
from hypertape.quality.run import validate as run_suite
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.steps.run_spec import RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import GapCounts, note_gaps
from hypertape.warehouse.ledger import database_now, register_calendar, run_loads
from hypertape.warehouse.publication import known_now, not_looked_at, published_tickers, unpublished

Connection = psycopg.Connection[Any]


def validate(
    dsn: str,
    spec: RunSpec,
    *,
    now: datetime,
    settings: Settings,
    tickers: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Summary:
    """Bring the gap ledger up to date, run the suite over the run's window, record every result, and sum them up.

    What the run changed outside of its window (a history that was read again) is looked at too, and what lies there of
    its series unpublished since an earlier run. The gap ledger comes first: a missing bar that it explains (holiday,
    not listed, delisted, halted) is no defect.
    Bad data does not raise here: publish does, after the rollups are refreshed and the report is written.
    """
    with connect(dsn) as connection:
        note_run_gaps(connection, spec, now, tickers)
        now = min(now, database_now(connection))
        instant = known_now(connection)
        results: list[QualityResult] = []
        for window, some in _to_check(connection, spec, instant, tickers):
            register_calendar(connection, spec.market, window, now)
            connection.commit()
            results += run_suite(
                dsn, connection, spec.market, spec.interval, window, run_id=spec.run_id, now=now,
                tickers=some, progress=progress, limit=timedelta(seconds=settings.rule_seconds),
            )  # fmt: skip
        record(connection, [replace(result, known_at=instant) for result in results])
        connection.commit()
    return summary(results)


def _to_check(
    connection: Connection, spec: RunSpec, instant: datetime, tickers: Sequence[str] | None
) -> list[tuple[Window, Sequence[str] | None]]:
    """The windows to run the suite over, each with the tickers it is confined to (None: all).

    The second one is about what earlier runs left unpublished of this run's series: without it their bars would be
    published unseen.
    """
    window = _with_changed(connection, spec)
    found = unpublished(
        connection, spec.market, spec.interval, spec.run_id, instant, own_tickers(connection, spec, tickers)
    )
    more = not_looked_at(found, window)
    return [(window, None)] if more is None else [(window, None), (more[1], more[0])]


def own_tickers(connection: Connection, spec: RunSpec, tickers: Sequence[str] | None) -> list[str]:
    """What a run publishes: the tickers it was told to look at, else those it loaded, else all there are."""
    if tickers is not None:
        return list(tickers)
    loads = run_loads(connection, spec.market, spec.interval, spec.run_id)
    if loads:
        return [load.ticker for load in loads if load.status == "loaded"]
    return published_tickers(connection, spec.market, spec.interval)


def _with_changed(connection: Connection, spec: RunSpec) -> Window:
    """The run's window, widened to all that its loads changed."""
    parameters = {"run_id": spec.run_id, "market": spec.market.code, "interval": spec.interval.value}
    first, last = connection.execute(query("run_changed"), parameters).fetchone() or (None, None)
    if first is None or last is None:
        return spec.window
    end = last + timedelta(microseconds=1)
    return Window(min(spec.window.start, first), max(spec.window.end, end))


def note_run_gaps(
    connection: Connection, spec: RunSpec, now: datetime, tickers: Sequence[str] | None
) -> GapCounts:
    """Bring the ledger up to date: over the run's own windows, or all there is of some tickers. Commits."""
    window = spec.window if tickers is None else None
    counts = note_gaps(connection, spec.market, spec.interval, window, now, spec.run_id, tickers=tickers)
    connection.commit()
    return counts
