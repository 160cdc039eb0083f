"""The ledger of backfills: what was asked, what the warehouse had then, and how far each unit of the work is.

A unit is one window of one batch of tickers. It is noted as done on its own, strictly after its bars are committed, so
a kill at any moment leaves a ledger that knows at most too little: what it does not know is loaded again, and loading
again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hypertape.errors import BadInput
from hypertape.model import EXPLAINED, Interval, Market, Window, midnight
from hypertape.queries import query

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

COUNTS = ("inserted", "updated", "unchanged", "quarantined")

CONTINUED_FOR = timedelta(days=7)
"""An unfinished backfill is continued by the same wishes for so long; later they plan anew."""

_TIMED_CALLS = 1000


@dataclass(frozen=True, slots=True)
class Present:
    """What one ticker has in one part of a window, in sessions that are over (see `backfill_sessions.sql`); `holes` are
    the bars missing inside them that nothing explains."""

    bars: int = 0
    sessions: int = 0
    thin: int = 0
    explained: int = 0
    holes: int = 0


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """One window of one batch of tickers; counts are sums over its tickers."""

    unit: int
    window: Window
    tickers: tuple[str, ...]
    expected: int
    present: int
    sessions_missing: int
    sessions_thin: int
    calls: int

    def to_json(self) -> dict[str, Any]:
        """The columns of its row, as JSON."""
        row = asdict(self)
        row["window_start"], row["window_end"] = self.window.to_json()
        del row["window"]
        return row


@dataclass(frozen=True, slots=True)
class Planned:
    """A backfill's plan: what was asked, what is there, what it would cost."""

    run_id: str
    fingerprint: str
    market: str
    interval: str
    mode: str
    window: Window
    tickers: tuple[str, ...]
    source: Mapping[str, Any]
    reason: str | None
    dry_run: bool
    sessions: int
    expected: int
    present: int
    missing: int
    sessions_missing: int
    sessions_thin: int
    explained: int
    seconds_per_call: float
    timed_calls: int
    planned_at: datetime
    units: tuple[PlannedUnit, ...] = field(default=())

    @property
    def calls(self) -> int:
        """Requests the source would get."""
        return sum(unit.calls for unit in self.units)


def present(
    connection: Connection,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    window: Window,
    sessions: Sequence[date],
    parts: Sequence[int],
) -> dict[tuple[str, int], Present]:
    """What the warehouse has of some tickers, by (ticker, part): one query for the bars and one for the gap ledger.

    `sessions` are the dates that are judged and `parts` the part of the plan that each belongs to. A pair that has
    nothing is absent.
    """
    daily = interval is Interval.D1
    names = {
        "relation": sql.Identifier("bars", market.relation(interval)),
        "zone": sql.Literal("UTC" if daily else market.timezone),
    }
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "tickers": list(tickers),
        "start": window.start,
        "end": window.end,
        "sessions": list(sessions),
        "opens": [midnight(session) for session in sessions],
        "parts": list(parts),
        "explained": list(EXPLAINED),
    }
    with connection.transaction():
        connection.execute("set local work_mem = '64MB'")
        statement = query("backfill_days" if daily else "backfill_sessions").format(**names)
        bars = connection.execute(statement, parameters).fetchall()
        excused = connection.execute(query("backfill_explained").format(**names), parameters).fetchall()
    found = {(ticker, part): Present(*counts) for ticker, part, *counts in bars}
    for ticker, part, count in excused:
        found[ticker, part] = replace(found.get((ticker, part), Present()), explained=count)
    return found


def holes(
    connection: Connection,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    windows: Sequence[Window],
) -> dict[tuple[str, int], int]:
    """Bars missing inside sessions that nothing explains, as the gap ledger has them, by (ticker, part of the plan)."""
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "tickers": list(tickers),
        "explained": list(EXPLAINED),
        "starts": [window.start for window in windows],
        "ends": [window.end for window in windows],
    }
    rows = connection.execute(query("backfill_holes"), parameters).fetchall()
    return {(ticker, part): bars for ticker, part, bars in rows}


def timing(
    connection: Connection, market: Market, interval: Interval, source: str
) -> tuple[float, int] | None:
    """Seconds a call of a source takes, loading its bars included, and over how many calls; None before the first."""
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "source": source,
        "most": _TIMED_CALLS,
    }
    found = connection.execute(query("backfill_timing"), parameters).fetchone()
    return found if found and found[1] else None


def begin(connection: Connection, planned: Planned) -> int:
    """Store a plan with its units and return its id. The caller commits."""
    values = asdict(planned) | {
        "window_start": planned.window.start,
        "window_end": planned.window.end,
        "tickers": list(planned.tickers),
        "source": Jsonb(dict(planned.source)),
        "calls": planned.calls,
    }
    units = Jsonb([unit.to_json() for unit in planned.units])
    connection.execute(query("backfill_forget"), {"run_id": planned.run_id})
    (backfill_id,) = connection.execute(query("backfill_begin"), values).fetchone() or (0,)
    connection.execute(query("backfill_add_units"), {"backfill_id": backfill_id, "units": units})
    return int(backfill_id)


def continued(connection: Connection, run_id: str, fingerprint: str, now: datetime) -> Row | None:
    """The backfill that a run continues, as a dict: its own, whatever its state, else an unfinished one like it."""
    since = now - CONTINUED_FOR
    found = _rows(connection, "backfill_find", run_id=run_id, fingerprint=fingerprint, since=since)
    return found[0] if found else None


def get(connection: Connection, run_id: str) -> Row:
    """The backfill of a run as a dict. Raises BadInput when there is none."""
    found = _rows(connection, "backfill_get", run_id=run_id)
    if not found:
        raise BadInput(
            f"There is no backfill of the run {run_id!r}", next_step="See `select * from backfill`."
        )
    return found[0]


def units(connection: Connection, backfill_id: int) -> list[Row]:
    """The units of a backfill as dicts, in their order."""
    return _rows(connection, "backfill_units", backfill_id=backfill_id)


def open_tickers(connection: Connection, backfill_id: int, unit: int) -> tuple[str, ...]:
    """The tickers of a unit that are not loaded yet; none when it is done."""
    values = {"backfill_id": backfill_id, "unit": unit}
    found = connection.execute(query("backfill_open_tickers"), values).fetchone()
    return tuple(found[0]) if found else ()


def unit_started(connection: Connection, backfill_id: int, unit: int) -> None:
    """Note that a unit is being loaded."""
    connection.execute(query("backfill_unit_start"), {"backfill_id": backfill_id, "unit": unit})


def unit_ended(
    connection: Connection,
    backfill_id: int,
    unit: int,
    counts: Mapping[str, int],
    failed: Mapping[str, str],
) -> None:
    """Note what a unit's load did: done, or failed with the tickers that stay open and why."""
    values: dict[str, Any] = {name: counts[name] for name in COUNTS}
    error = "; ".join(f"{ticker}: {why}" for ticker, why in sorted(failed.items())) or None
    state = "failed" if failed else "done"
    values |= {"backfill_id": backfill_id, "unit": unit, "state": state, "open_tickers": sorted(failed)}
    connection.execute(query("backfill_unit_end"), {**values, "error": error})


def unit_failed(connection: Connection, backfill_id: int, unit: int, error: str) -> None:
    """Note that a unit failed as a whole."""
    values = {"backfill_id": backfill_id, "unit": unit, "error": error}
    connection.execute(query("backfill_unit_failed"), values)


def end(connection: Connection, backfill_id: int, now: datetime) -> int:
    """Close a backfill and return how many of its units are not done."""
    values = {"backfill_id": backfill_id, "now": now}
    (left_open,) = connection.execute(query("backfill_end"), values).fetchone() or (0,)
    return int(left_open)


def _rows(connection: Connection, name: str, **parameters: Any) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters).fetchall()
