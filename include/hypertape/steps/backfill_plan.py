"""Plan a backfill: what the calendar expects, what the warehouse has, and the units of work that are left.

A unit is one window of one batch of tickers. Windows end where months do, and are as long as a unit's bars allow
(HYPERTAPE_BACKFILL_BARS). The plan is stored, so that a run that is started again continues it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from hypertape.calendars import expected_times, provisional_from, sessions
from hypertape.errors import BadInput
from hypertape.frame import Micros, micros
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, midnight
from hypertape.settings import Settings, load_settings
from hypertape.sources import SourceConfig, calls_for
from hypertape.steps.plan import Batch, Head, choose_tickers, resolve_source, stored_interval
from hypertape.warehouse import backfills
from hypertape.warehouse.backfills import MODES, Planned, PlannedUnit, Present
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import register_sessions, series_starts

ASSUMED_SECONDS = {"csv_tree": 0.05, "sample": 0.02}
"""Seconds a call is assumed to take of a source nobody measured yet; vendors get the longer one below."""

ASSUMED_VENDOR_SECONDS = 1.0

Pairs = Mapping[tuple[str, int], Present]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a backfill is asked for, resolved: every ticker by name, the window with both ends."""

    market: Market
    interval: Interval
    mode: str
    tickers: tuple[str, ...]
    window: Window
    source: SourceConfig
    reason: str | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the window: what a ticker that never rests has in it of bars that are final, and its sessions."""

    window: Window
    expected: int
    sessions: tuple[date, ...]


def plan_backfill(
    dsn: str,
    market: str,
    interval: str,
    *,
    run_id: str,
    now: datetime,
    mode: str = "missing",
    tickers: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    source: Mapping[str, Any] | None = None,
    reason: str | None = None,
    dry_run: bool = True,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Plan, store the plan, and return it as JSON: the head's keys, `batches` (the units that are open), `plan`.

    Mode `missing` asks only for the (ticker, window) pairs that miss bars and keeps what is stored; `overwrite` reads
    everything in `[start, end)` again; `restate` reads the whole history of the tickers again, at any scale, and needs
    a reason. Without `start` the market's history begins it, without `end` it reaches up to `now`. A run that planned
    before, or the same wishes as an unfinished backfill of the last days, continue that one under its run id. A dry run
    has no batches. Raises BadInput and what `connect` raises.
    """
    settings = settings or load_settings()
    with connect(dsn) as connection:
        wish = _wish(
            connection, get_market(market), stored_interval(interval), mode, tickers, groups, (start, end), source,
            reason, now, settings,
        )  # fmt: skip
        before = None if dry_run else backfills.continued(connection, run_id, wish.fingerprint, now)
        if before is None:
            planned = _plan(connection, wish, run_id, now, dry_run, settings)
            backfills.begin(connection, planned)
            window = wish.window
            span = sessions(wish.market, window.start.date(), window.end.date() + timedelta(days=1))
            register_sessions(connection, wish.market, span)
        connection.commit()
        stored = before or backfills.get(connection, run_id)
        left = [] if dry_run else backfills.units(connection, stored["backfill_id"], ("pending", "running", "failed"))
    return _as_json(wish, stored, left, resumed=before is not None)


def _as_json(
    wish: Wish, stored: Mapping[str, Any], left: Sequence[Mapping[str, Any]], *, resumed: bool
) -> dict[str, Any]:
    window = Window(stored["window_start"], stored["window_end"])
    head = Head(
        stored["run_id"], wish.market, wish.interval, wish.source, window, mode=stored["mode"], reason=stored["reason"]
    )
    batches = [
        Batch(unit["unit"], tuple(unit["open_tickers"]), Window(unit["window_start"], unit["window_end"]))
        for unit in left
    ]
    return {
        **head.to_json(),
        "backfill_id": stored["backfill_id"],
        "dry_run": stored["dry_run"],
        "resumed": resumed,
        "batches": [batch.to_json() for batch in batches],
        "expected_bars": stored["expected"],
        "plan": summary(stored),
    }


def summary(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a stored plan, as JSON, with the estimated `seconds` of one batch at a time."""
    names = (
        "sessions", "expected", "present", "missing", "sessions_missing", "sessions_thin", "explained", "calls",
        "seconds_per_call", "timed_calls",
    )  # fmt: skip
    figures = {name: stored[name] for name in names}
    seconds = stored["calls"] * stored["seconds_per_call"]
    return {**figures, "tickers": len(stored["tickers"]), "seconds": seconds}


def _wish(
    connection: Any,
    market: Market,
    interval: Interval,
    mode: str,
    tickers: Sequence[str] | None,
    groups: Sequence[str] | None,
    between: tuple[datetime | None, datetime | None],
    source: Mapping[str, Any] | None,
    reason: str | None,
    now: datetime,
    settings: Settings,
) -> Wish:
    """Resolve and check what was asked for. Raises BadInput for what contradicts itself."""
    _check(market, mode, groups, between, reason)
    config = resolve_source(market, source, settings)
    asked = dict.fromkeys(tickers or ())
    asked |= dict.fromkeys(entry.ticker for entry in market.tickers if entry.group in (groups or ()))
    wanted = choose_tickers(market, interval, config, tuple(asked))
    start, end = between
    if start is None:
        start = midnight(market.history_start[interval])
        if mode == "restate":
            start = min([start, *series_starts(connection, market, interval, wanted).values()])
    end = end or now
    words = [market.code, interval.value, mode, sorted(asked), [str(at) for at in between], config.to_json()]
    fingerprint = hashlib.sha256(json.dumps(words).encode()).hexdigest()
    return Wish(
        market, interval, mode, wanted, Window(min(start, end), end), config, reason or None, fingerprint
    )


def _check(
    market: Market,
    mode: str,
    groups: Sequence[str] | None,
    between: tuple[datetime | None, datetime | None],
    reason: str | None,
) -> None:
    if mode not in MODES:
        raise BadInput(f"There is no mode {mode!r}", next_step=f"Modes: {', '.join(MODES)}.")
    unknown = sorted(set(groups or ()) - set(market.groups))
    if unknown:
        raise BadInput(
            f"{market.code} has no group {', '.join(unknown)}", next_step=f"Groups: {', '.join(market.groups)}."
        )
    if mode == "restate" and not reason:
        raise BadInput("A restatement needs a reason", next_step="Say why the whole history is read again.")
    if mode == "restate" and any(between):
        raise BadInput(
            "A restatement reads the whole history", next_step="Leave start and end empty, or use mode overwrite."
        )
    start, end = between
    if start and end and start >= end:
        raise BadInput(f"The window ends at {end}, not after its start {start}", next_step="Swap them.")


def _plan(
    connection: Any, wish: Wish, run_id: str, now: datetime, dry_run: bool, settings: Settings
) -> Planned:
    parts = parts_of(wish, now, settings)
    judged = [(session, number) for number, part in enumerate(parts) for session in part.sessions]
    there = backfills.present(
        connection, wish.market, wish.interval, wish.tickers, wish.window,
        [session for session, _ in judged], [number for _, number in judged],
    )  # fmt: skip
    names = [config.name for config in (wish.source,)]
    measured = backfills.timing(connection, wish.market, wish.interval, names[0])
    seconds, timed = measured or (ASSUMED_SECONDS.get(names[0], ASSUMED_VENDOR_SECONDS), 0)
    due = len(wish.tickers) * sum(len(part.sessions) for part in parts)
    expected = len(wish.tickers) * sum(part.expected for part in parts)
    present = sum(pair.bars for pair in there.values())
    explained = sum(pair.explained for pair in there.values())
    absent = due - sum(pair.sessions for pair in there.values()) - explained
    daily = wish.interval is Interval.D1
    return Planned(
        run_id=run_id,
        fingerprint=wish.fingerprint,
        market=wish.market.code,
        interval=wish.interval.value,
        mode=wish.mode,
        window=wish.window,
        tickers=wish.tickers,
        source=wish.source.to_json(),
        reason=wish.reason,
        dry_run=dry_run,
        sessions=sum(len(part.sessions) for part in parts),
        expected=expected,
        present=present,
        missing=absent if daily else max(expected - present, 0),
        sessions_missing=absent,
        sessions_thin=0 if daily else sum(pair.thin for pair in there.values()),
        explained=explained,
        seconds_per_call=seconds,
        timed_calls=timed,
        planned_at=now,
        units=tuple(units_of(wish, parts, there, now, settings.batch_size)),
    )


def parts_of(wish: Wish, now: datetime, settings: Settings) -> list[Part]:
    """Cut the window into parts that end with a month, each within the bars a batch of tickers may ask for.

    A part is never shorter than what its window has of a month.
    """
    window = wish.window
    final = Window(window.start, max(window.start, min(window.end, provisional_from(wish.market, wish.interval, now))))
    grid = expected_times(wish.market, wish.interval, final)
    over = _sessions_over(wish.market, wish.interval, window, now)
    most = max(1, settings.backfill_bars // min(settings.batch_size, max(1, len(wish.tickers))))
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


def _sessions_over(market: Market, interval: Interval, window: Window, now: datetime) -> list[tuple[datetime, date]]:
    """The sessions that lie wholly in the window and are over, each with the instant that places it."""
    found = sessions(market, window.start.date() - timedelta(days=1), window.end.date() + timedelta(days=1))
    until = min(window.end, now)
    if interval is Interval.D1:
        return [(midnight(s.date), s.date) for s in found if midnight(s.date) in window and s.closes <= now]
    return [(s.opens, s.date) for s in found if s.opens >= window.start and s.closes <= until]


def units_of(
    wish: Wish, parts: Sequence[Part], there: Pairs, now: datetime, batch_size: int
) -> list[PlannedUnit]:
    """The units of work, oldest window first. In mode `missing` only tickers that miss bars in a window are in it."""
    units: list[PlannedUnit] = []
    for number, part in enumerate(parts):
        calls = calls_for(wish.source.name, wish.interval, part.window, now)
        wanted = [t for t in wish.tickers if wish.mode != "missing" or _misses(part, there.get((t, number)))]
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
                    calls=calls * len(tickers),
                )
            )
    return units


def _misses(part: Part, pair: Present | None) -> bool:
    pair = pair or Present()
    return _absent(part, pair) > 0 or pair.thin > 0


def _absent(part: Part, pair: Present) -> int:
    return len(part.sessions) - pair.sessions - pair.explained
