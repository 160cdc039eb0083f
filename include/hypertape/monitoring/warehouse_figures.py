"""The warehouse's figures, part by part: each part is a statement and the families its rows become.

Nothing is judged here: what is wrong is read from `finding`. Staleness is a measure (`calendars.session_lag`), which is
told together with what the market allows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape import calendars
from hypertape.markets import all_markets
from hypertape.meters import Family, counters, gauges, summaries
from hypertape.model import EXPLAINED
from hypertape.queries import query
from hypertape.stream.status import ALIVE, stream_counts
from hypertape.warehouse.findings.observer import rows
from hypertape.warehouse.source_state import source_states

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

PART_SECONDS = 2.0
"""What one part may take."""

log = logging.getLogger("hypertape.metrics")

_OUTCOMES = ("fetched", "inserted", "updated", "recomputed", "unchanged", "quarantined", "duplicates")


@dataclass(frozen=True, slots=True)
class Ask:
    """When is asked (UTC), after how long a silent worker is dead, and how many seconds a source is left alone."""

    now: datetime
    lease: timedelta
    pause: float


Part = Callable[[Connection, Ask], Iterator[Family]]


def findings(connection: Connection, ask: Ask) -> Iterator[Family]:
    """Open findings by place, kind and severity."""
    found = rows(connection, "finding_counts", now=ask.now)
    labels = ("market", "interval", "kind", "severity")
    yield gauges(
        "hypertape_findings", [(tuple(row[name] for name in labels), row["findings"]) for row in found]
    )


def series(connection: Connection, ask: Ask) -> Iterator[Family]:
    """What there is of each market and interval, and how far behind its calendar the newest of it is."""
    found = rows(connection, "metrics_series")
    yield _of_places("hypertape_tickers", found, "tickers")
    yield _of_places("hypertape_last_bar_timestamp_seconds", found, "last_bar")
    yield _of_places("hypertape_watermark_timestamp_seconds", found, "watermark")
    markets = all_markets()
    known = [row for row in found if row["market"] in markets]
    lags = [
        (_place(row), calendars.session_lag(markets[row["market"]], row["last_bar"], ask.now))
        for row in known
    ]
    yield gauges("hypertape_staleness_sessions", lags)
    allowed = [((code,), market.freshness_sessions) for code, market in markets.items()]
    yield gauges("hypertape_staleness_allowed_sessions", allowed)
    trading = [((code,), float(calendars.is_open(market, ask.now))) for code, market in markets.items()]
    yield gauges("hypertape_market_open", trading)


def loads(connection: Connection, ask: Ask) -> Iterator[Family]:
    """What the load ledger counts: loads, rows, seconds."""
    found = rows(connection, "metrics_loads")
    held = _summed(found, lambda row: row["status"] != "failed", "inserted")
    yield gauges("hypertape_bars", list(held.items()))
    newest: dict[tuple[str, ...], float] = {}
    for row in found:
        if row["status"] == "loaded":
            place = _place(row)
            newest[place] = max(newest.get(place, 0.0), row["last_load"].timestamp())
    yield gauges("hypertape_last_sync_timestamp_seconds", list(newest.items()))
    by_status = [((*_sourced(row), row["status"]), row["loads"]) for row in found]
    yield counters("hypertape_loads_total", by_status)
    by_outcome: dict[tuple[str, ...], int] = {}
    for row in found:
        for outcome in _OUTCOMES:
            key = (*_sourced(row), outcome)
            by_outcome[key] = by_outcome.get(key, 0) + row[outcome]
    yield counters("hypertape_load_rows_total", list(by_outcome.items()))
    taken: dict[tuple[str, ...], tuple[int, float]] = {}
    for row in found:
        count, seconds = taken.get(_sourced(row), (0, 0.0))
        taken[_sourced(row)] = (count + row["loads"], seconds + row["seconds"])
    yield summaries("hypertape_load_seconds", [(key, *value) for key, value in taken.items()])


def entries(connection: Connection, ask: Ask) -> Iterator[Family]:
    """Open gaps, refused rows, and how the newest checked run ended."""
    found = rows(connection, "api_open_entries", explained=list(EXPLAINED))
    yield _of_places("hypertape_open_gap_bars", found, "gap_bars")
    yield _of_places("hypertape_open_quarantine_rows", found, "quarantined")
    yield _of_places("hypertape_failed_checks", found, "failed_checks")
    yield _of_places("hypertape_not_evaluated_checks", found, "not_evaluated_checks")


def rollups(connection: Connection, ask: Ask) -> Iterator[Family]:
    """Ranges that wait for a refresh."""
    found = rows(connection, "report_pending", markets=None, intervals=None)
    yield _of_places("hypertape_rollup_pending_ranges", found, "ranges")


def work(connection: Connection, ask: Ask) -> Iterator[Family]:
    """Claims, workers and streams."""
    found = rows(connection, "metrics_work", lease=ask.lease, stream_lease=ALIVE)
    for what in ("claims", "workers"):
        of_it = [((row["kind"], row["state"]), row["number"]) for row in found if row["what"] == what]
        yield gauges(f"hypertape_{what}", of_it)


def sources(connection: Connection, ask: Ask) -> Iterator[Family]:
    """Whether sources are asked, and when they answered."""
    found = source_states(connection, ask.pause)
    paused = [((state.source,), float(state.state != "closed")) for state in found]
    yield gauges("hypertape_source_paused", paused)
    yield gauges("hypertape_source_failures", [((state.source,), state.failures) for state in found])
    answered = [((state.source,), _seconds(state.last_ok_at)) for state in found]
    yield gauges("hypertape_source_answered_timestamp_seconds", answered)


def ticks(connection: Connection, ask: Ask) -> Iterator[Family]:
    """What is open of the streams, and the newest tick."""
    found = stream_counts(connection, ask.now)
    yield gauges("hypertape_feed_gaps", [((), found["open_gaps"])])
    yield gauges("hypertape_dead_letters", [((), found["dead_letters"])])
    yield gauges("hypertape_tick_pending_ranges", [((), found["pending_ranges"])])
    yield gauges("hypertape_last_tick_timestamp_seconds", [((), _seconds(found["newest_tick"]))])


def waiting(connection: Connection, ask: Ask) -> Iterator[Family]:
    """What waits for mirrors."""
    found = rows(connection, "metrics_waiting")
    yield gauges("hypertape_mirror_waiting_series", [((row["mirror"],), row["series"]) for row in found])


def server(connection: Connection, ask: Ask) -> Iterator[Family]:
    """The database's size, connections and messages."""
    (found,) = rows(connection, "metrics_server")
    yield gauges("hypertape_database_bytes", [((), found["bytes"])])
    yield gauges("hypertape_connections", [((), found["connections"])])
    yield gauges("hypertape_connections_allowed", [((), found["allowed"])])
    yield gauges("hypertape_messages_waiting", [((), found["messages"])])


def backups(connection: Connection, ask: Ask) -> Iterator[Family]:
    """The newest backup, where one was made."""
    found = rows(connection, "metrics_backup")
    for name in ("made", "verified"):
        instants = [((), _seconds(row[f"{name}_at"])) for row in found]
        yield gauges(f"hypertape_backup_{name}_timestamp_seconds", instants)
    for name in ("bytes", "seconds"):
        yield gauges(f"hypertape_backup_{name}", [((), row[name]) for row in found])


PARTS: Mapping[str, Part] = {
    "findings": findings,
    "series": series,
    "loads": loads,
    "entries": entries,
    "rollups": rollups,
    "work": work,
    "sources": sources,
    "ticks": ticks,
    "waiting": waiting,
    "server": server,
    "backups": backups,
}
"""The parts, in the order of what is least to be missed."""


@dataclass(slots=True)
class Figures:
    """What was read: the families, and of each part whether it was read in time."""

    families: list[Family] = field(default_factory=list)
    read: dict[str, bool] = field(default_factory=dict)


def read_parts(
    connection: Connection, ask: Ask, left: Callable[[], float], parts: Mapping[str, Part] = PARTS
) -> Figures:
    """Read the parts, each in a read-only transaction that ends after a share of the seconds `left`.

    A part that takes longer, or may not be read, is left out and counted; the others are there. Raises what
    `connect` raises where the connection is gone.
    """
    figures = Figures()
    for name, part in parts.items():
        seconds = min(PART_SECONDS, left())
        figures.read[name] = False
        if seconds <= 0:
            continue
        try:
            with connection.transaction():
                connection.execute(query("metrics_transaction"), {"milliseconds": f"{1000 * seconds:.0f}"})
                figures.families += list(part(connection, ask))
            figures.read[name] = True
        except Exception:  # whatever a part ends with, the others are told
            if connection.closed:
                raise
            log.warning("metrics: %s could not be read", name, exc_info=True)
    return figures


def _place(row: Row) -> tuple[str, ...]:
    return (row["market"], row["interval"])


def _sourced(row: Row) -> tuple[str, ...]:
    return (row["market"], row["interval"], row["source"])


def _of_places(name: str, found: list[Row], column: str) -> Family:
    return gauges(name, [(_place(row), _number(row[column])) for row in found])


def _summed(found: list[Row], counted: Callable[[Row], bool], column: str) -> dict[tuple[str, ...], int]:
    sums: dict[tuple[str, ...], int] = {}
    for row in found:
        sums[_place(row)] = sums.get(_place(row), 0) + (row[column] if counted(row) else 0)
    return sums


def _number(value: Any) -> float | None:
    return _seconds(value) if isinstance(value, datetime) else value


def _seconds(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant is not None else None
