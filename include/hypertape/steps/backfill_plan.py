"""Plan a backfill: what the calendar expects, what the warehouse has, and the units of work that are left.

A unit is one window of one batch of tickers. Windows end where months do, and are as long as a unit's bars allow
(HYPERTAPE_BACKFILL_BARS). The plan is stored, so that a run that is started again continues it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import psycopg

from hypertape.calendars import expected_times, provisional_from, sessions
from hypertape.frame import Micros, micros
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, midnight
from hypertape.reports.backfill import plan_figures
from hypertape.settings import Settings
from hypertape.sources import Limits, calls_for
from hypertape.steps.backfill_request import BackfillRequest, ResolvedBackfill, resolve
from hypertape.steps.plan import stored_interval
from hypertape.steps.run_spec import Batch, BatchKind, Json, Plan, RunSpec
from hypertape.warehouse import backfills
from hypertape.warehouse.backfills import Planned, PlannedUnit, Present
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import database_now, register_calendar
from hypertape.warehouse.locks import lock_name

ASSUMED_SECONDS = {"csv_tree": 0.05, "sample": 0.02}
"""Seconds a call is assumed to take of a source nobody measured yet; vendors get the longer one below."""

ASSUMED_VENDOR_SECONDS = 1.0

Connection = psycopg.Connection[Any]
Pairs = Mapping[tuple[str, int], Present]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the window: what a ticker that never rests has in it of bars that are final, and its sessions."""

    window: Window
    expected: int
    sessions: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class BackfillPlan(Plan):
    """A backfill's plan: its batches are the units that are open, `figures` what it found and would cost.

    `since` is when it was made, by the database's clock: what others have ended since needs no work of ours.
    """

    backfill_id: int = 0
    dry_run: bool = True
    resumed: bool = False
    figures: Json = field(default_factory=dict)
    since: datetime | None = None

    def to_json(self) -> Json:
        """Return a JSON object."""
        since = self.since.isoformat() if self.since else None
        more = {
            "backfill_id": self.backfill_id,
            "dry_run": self.dry_run,
            "resumed": self.resumed,
            "since": since,
        }
        return {**Plan.to_json(self), **more, "plan": self.figures}


def plan_backfill(
    dsn: str,
    market: str,
    interval: str,
    request: BackfillRequest,
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    dry_run: bool = True,
) -> BackfillPlan:
    """Plan and store the plan.

    A run that planned before, or the same request as an unfinished backfill of the last days, continue that one under
    its run id. A dry run has no batches. Raises BadInput and what `connect` raises.
    """
    with connect(dsn) as connection:
        asked = resolve(connection, get_market(market), stored_interval(interval), request, now, settings)
        lock_name(connection, f"backfill/{asked.fingerprint}")  # two with one wish make one backfill
        before = None if dry_run else backfills.continued(connection, run_id, asked.fingerprint, now)
        if before is None:
            register_calendar(connection, asked.market, asked.window, asked.window.end)
            backfills.begin(connection, _plan(connection, asked, run_id, now, dry_run, settings))
        connection.commit()
        stored = before or backfills.get(connection, run_id)
        since = database_now(connection)
        units = backfills.units(connection, stored["backfill_id"])
    return replace(_planned(asked, stored, units, resumed=before is not None), since=since)


def _planned(
    asked: ResolvedBackfill, stored: backfills.Row, units: Sequence[backfills.Row], *, resumed: bool
) -> BackfillPlan:
    left = [] if stored["dry_run"] else [unit for unit in units if unit["state"] != "done"]
    window = Window(stored["window_start"], stored["window_end"])
    spec = RunSpec(
        stored["run_id"],
        asked.market,
        asked.interval,
        asked.source,
        window,
        mode=stored["mode"],
        reason=stored["reason"],
    )
    batches = tuple(
        Batch(
            BatchKind.PLAN,
            unit["unit"],
            tuple(unit["open_tickers"]),
            Window(unit["window_start"], unit["window_end"]),
        )
        for unit in left
    )
    backfill_id, dry_run = stored["backfill_id"], stored["dry_run"]
    figures = plan_figures(stored, units)
    return BackfillPlan(spec, batches, stored["expected"], backfill_id, dry_run, resumed, figures)


def _plan(
    connection: Connection,
    asked: ResolvedBackfill,
    run_id: str,
    now: datetime,
    dry_run: bool,
    settings: Settings,
) -> Planned:
    parts = parts_of(asked, now, settings)
    judged = [(session, number) for number, part in enumerate(parts) for session in part.sessions]
    there: Pairs = backfills.present(
        connection, asked.market, asked.interval, asked.tickers, asked.window,
        [session for session, _ in judged], [number for _, number in judged],
    )  # fmt: skip
    there = _with_holes(connection, asked, parts, there)
    name = asked.source.name
    measured = backfills.timing(connection, asked.market, asked.interval, name)
    seconds, timed = measured or (ASSUMED_SECONDS.get(name, ASSUMED_VENDOR_SECONDS), 0)
    due = len(asked.tickers) * sum(len(part.sessions) for part in parts)
    expected = len(asked.tickers) * sum(part.expected for part in parts)
    present = sum(pair.bars for pair in there.values())
    explained = sum(pair.explained for pair in there.values())
    absent = due - sum(pair.sessions for pair in there.values()) - explained
    daily = asked.interval is Interval.D1
    return Planned(
        run_id=run_id,
        fingerprint=asked.fingerprint,
        market=asked.market.code,
        interval=asked.interval.value,
        mode=asked.mode,
        window=asked.window,
        tickers=asked.tickers,
        source=asked.source.to_json(),
        reason=asked.reason,
        dry_run=dry_run,
        sessions=sum(len(part.sessions) for part in parts),
        expected=expected,
        present=present,
        missing=absent if daily else _bars_to_ask_for(asked, parts, there),
        sessions_missing=absent,
        sessions_thin=0 if daily else sum(pair.thin for pair in there.values()),
        explained=explained,
        seconds_per_call=seconds,
        timed_calls=timed,
        planned_at=now,
        units=tuple(units_of(asked, parts, there, now, settings)),
    )


def _with_holes(
    connection: Connection, asked: ResolvedBackfill, parts: Sequence[Part], there: Pairs
) -> Pairs:
    """Add the holes inside sessions that the gap ledger knows of."""
    windows = [part.window for part in parts]
    found = backfills.holes(connection, asked.market, asked.interval, asked.tickers, windows)
    return {
        **there,
        **{pair: replace(there.get(pair, Present()), holes=bars) for pair, bars in found.items()},
    }


def _bars_to_ask_for(asked: ResolvedBackfill, parts: Sequence[Part], there: Pairs) -> int:
    """Bars missing (hours, minutes) where something is asked for: what a series leaves out ordinarily is none."""
    missing = 0
    for number, part in enumerate(parts):
        a_session = part.expected / max(len(part.sessions), 1)
        for ticker in asked.tickers:
            pair = there.get((ticker, number), Present())
            if _misses(part, pair):
                missing += max(round(part.expected - pair.explained * a_session) - pair.bars, 0)
    return missing


def parts_of(asked: ResolvedBackfill, now: datetime, settings: Settings) -> list[Part]:
    """Cut the window into parts that end with a month, each within the bars a batch of tickers may ask for.

    A part is never shorter than what its window has of a month.
    """
    window = asked.window
    final = Window(
        window.start, max(window.start, min(window.end, provisional_from(asked.market, asked.interval, now)))
    )
    grid = expected_times(asked.market, asked.interval, final)
    over = _sessions_over(asked.market, asked.interval, window, now)
    most = max(1, settings.backfill_bars // min(settings.batch_size, max(1, len(asked.tickers))))
    parts = [
        Part(each, _count(grid, each), tuple(s for at, s in over if at in each))
        for each in _stretches(window, grid, most)
    ]
    return [part for part in parts if not part.window.is_empty]


def _stretches(window: Window, grid: Micros, most: int) -> list[Window]:
    found: list[Window] = []
    for month in _months(window):
        if found and _count(grid, Window(found[-1].start, month.end)) <= most:
            found[-1] = Window(found[-1].start, month.end)
        else:
            found.append(month)
    return found


def _months(window: Window) -> list[Window]:
    day, edges = window.start.date().replace(day=1), [window.start]
    while (day := (day + timedelta(days=32)).replace(day=1)) < window.end.date():
        edges.append(midnight(day))
    return [Window(first, last) for first, last in pairwise([*edges, window.end])]


def _count(grid: Micros, window: Window) -> int:
    first, last = np.searchsorted(grid, [micros(window.start), micros(window.end)])
    return int(last - first)


def _sessions_over(
    market: Market, interval: Interval, window: Window, now: datetime
) -> list[tuple[datetime, date]]:
    """The sessions that lie wholly in the window and are over, each with the instant that places it."""
    found = sessions(market, window.start.date() - timedelta(days=1), window.end.date() + timedelta(days=1))
    until = min(window.end, now)
    if interval is Interval.D1:
        return [(midnight(s.date), s.date) for s in found if midnight(s.date) in window and s.closes <= now]
    return [(s.opens, s.date) for s in found if s.opens >= window.start and s.closes <= until]


def units_of(
    asked: ResolvedBackfill, parts: Sequence[Part], there: Pairs, now: datetime, settings: Settings
) -> list[PlannedUnit]:
    """The units of work, oldest window first. In mode `missing` only tickers that miss bars in a window are in it."""
    units: list[PlannedUnit] = []
    name, limits, batch_size = asked.source.name, Limits.of(settings), settings.batch_size
    for number, part in enumerate(parts):
        wanted = [
            t for t in asked.tickers if asked.mode != "missing" or _misses(part, there.get((t, number)))
        ]
        for first in range(0, len(wanted), batch_size):
            tickers = tuple(wanted[first : first + batch_size])
            pairs = [there.get((ticker, number), Present()) for ticker in tickers]
            units.append(
                PlannedUnit(
                    unit=len(units),
                    window=part.window,
                    tickers=tickers,
                    expected=part.expected * len(tickers),
                    present=sum(pair.bars for pair in pairs),
                    sessions_missing=sum(_absent(part, pair) for pair in pairs),
                    sessions_thin=sum(pair.thin for pair in pairs),
                    calls=calls_for(
                        name, asked.interval, part.window, now, limits, part.expected, len(tickers)
                    ),
                )
            )
    return units


def _misses(part: Part, pair: Present | None) -> bool:
    pair = pair or Present()
    return _absent(part, pair) > 0 or pair.thin > 0 or pair.holes > 0


def _absent(part: Part, pair: Present) -> int:
    return len(part.sessions) - pair.sessions - pair.explained
