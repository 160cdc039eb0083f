"""Ask again for what is missing: plan windows from open gaps, and afterwards count the attempts.

Between the two lie the steps of every run (extract, gate, load, and what follows any load), in load mode `missing`:
bars that are stored stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from hypertape.markets import get_market
from hypertape.model import HEAL_ATTEMPTS, HEALABLE, Interval, Window
from hypertape.settings import Settings
from hypertape.steps.plan import SourceWish, bars_expected, batches_of, resolve_source, span_of
from hypertape.steps.refresh import refresh_waiting
from hypertape.steps.run_spec import Batch, Json, OnStep, Plan, RunSpec, silent
from hypertape.steps.sync import SyncResult, carry_out
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.healing import (
    HealableGap,
    count_attempts,
    count_resting,
    healable_gaps,
    resting_line,
    sessions_line,
)
from hypertape.warehouse.gaps.ledger import GapCounts, note_gaps

MODE, REASON = "missing", "heal gaps"

_LONG_PERIOD = {Interval.D1: 12, Interval.H1: 3, Interval.M1: 1}
"""Months. Where many tickers lack the beginning of history, each up to a day of its own, few windows hold them."""


@dataclass(frozen=True, slots=True)
class HealPlan(Plan):
    """A plan to ask for `gaps` gaps with `sessions` sessions; `resting` ones were asked for often enough, `found` is
    what the look at the ledger changed."""

    gaps: int = 0
    sessions: int = 0
    resting: int = 0
    found: GapCounts = field(default_factory=lambda: GapCounts(0, 0, 0, {}))

    def to_json(self) -> Json:
        """Return a JSON object."""
        more = {"gaps": self.gaps, "sessions": self.sessions, "resting": self.resting}
        return {**Plan.to_json(self), **more, "found": self.found.to_json()}


def find_gaps(
    dsn: str,
    market: str,
    interval: str,
    *,
    now: datetime,
    window: Window | None = None,
    tickers: Sequence[str] | None = None,
) -> GapCounts:
    """Hold all series (or `tickers`) against the calendar and bring the ledger up to date; return the counts.

    Without a window, each ticker since it was first asked for or began; with one, its sessions, whether anybody ever
    asked for them or not. Rollups that wait are refreshed on the way.
    """
    run_id = f"gaps_find__{now:%Y%m%dT%H%M%S}"
    with connect(dsn) as connection:
        place = (get_market(market), Interval.parse(interval))
        counts = note_gaps(connection, *place, window, now, run_id, tickers=tickers)
        connection.commit()
    refresh_waiting(dsn, run_id, market, interval, now)
    return counts


def plan_heal(
    dsn: str,
    market: str,
    interval: str,
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    tickers: Sequence[str] | None = None,
    reasons: Sequence[str] | None = None,
    max_attempts: int | None = None,
    source: SourceWish | None = None,
) -> HealPlan:
    """Look for gaps, and plan a run over those worth asking for.

    Without gaps there are no batches, and what waits of the rollups is refreshed. `reasons` default to what may still
    arrive, `max_attempts` to 3. Raises UnknownMarket, UnknownInterval, UnknownSource, BadInput and what `connect`
    raises.
    """
    of_market, of_interval = get_market(market), Interval.parse(interval)
    config = resolve_source(of_market, source, settings)
    with connect(dsn) as connection:
        found = note_gaps(connection, of_market, of_interval, None, now, run_id)
        which: _Which = {
            "tickers": tickers or None,
            "reasons": reasons or HEALABLE,
            "max_attempts": HEAL_ATTEMPTS if max_attempts is None else max_attempts,
        }
        gaps = healable_gaps(connection, of_market, of_interval, **which)
        resting = count_resting(connection, of_market, of_interval, **which)
        connection.commit()
    batches = heal_batches(of_interval, gaps, now, settings.batch_size)
    if not batches:
        refresh_waiting(dsn, run_id, market, of_interval.value, now)
    window = span_of(batches) or Window(now, now)
    return HealPlan(
        RunSpec(run_id, of_market, of_interval, config, window, MODE, REASON),
        tuple(batches),
        bars_expected(of_market, of_interval, batches),
        gaps=len(gaps),
        sessions=sum(gap.sessions for gap in gaps),
        resting=resting,
        found=found,
    )


class _Which(TypedDict):
    tickers: Sequence[str] | None
    reasons: Sequence[str]
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Healed:
    """How many of the gaps that were asked for still have no bars, and what the ledger says now."""

    still_missing: int
    gaps: GapCounts

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {"still_missing": self.still_missing, **self.gaps.to_json()}


def finish_heal(dsn: str, spec: RunSpec, *, now: datetime) -> Healed:
    """Count the attempts of what is still missing, and judge it again with the new answers."""
    place = (spec.market, spec.interval, spec.window, now, spec.run_id)
    with connect(dsn) as connection:
        note_gaps(connection, *place)
        attempted = count_attempts(connection, spec.market, spec.interval, spec.run_id, now)
        counts = note_gaps(connection, *place)
        connection.commit()
    return Healed(attempted, counts)


def heal(
    dsn: str, planned: HealPlan, *, now: datetime, settings: Settings, on_step: OnStep = silent
) -> tuple[SyncResult, Healed]:
    """Carry out a plan of `plan_heal` in this process; return what the run did and what `finish_heal` says."""
    result = carry_out(dsn, planned, now=now, settings=settings, on_step=on_step)
    return result, finish_heal(dsn, planned.spec, now=now)


def plan_lines(planned: HealPlan) -> list[str]:
    """A plan in words: what was found, what will be asked for."""
    found = sessions_line(planned.found.open, planned.found.refused)
    lines = [
        f"open sessions: {found or 'none'}",
        f"{planned.gaps} gaps with {planned.sessions} sessions to ask for, in {len(planned.batches)} batches",
    ]
    if planned.resting:
        lines.append(resting_line(planned.resting))
    return lines + [f"{batch.window}: {', '.join(batch.tickers)}" for batch in planned.batches]


def heal_batches(interval: Interval, gaps: Sequence[HealableGap], now: datetime, size: int) -> list[Batch]:
    """Few windows for many gaps: each is widened to whole months (1d), weeks (1h) or days (1m), and neighbours join.

    So a ticker's scattered gaps take few requests, and tickers that lack the same days share a batch. A window as long
    as a year (1d), quarter (1h) or month (1m) ends with one: tickers that were listed one by one since the market's
    history began are asked for together. Nothing is asked for before a ticker's bars are due, or after `now`.
    """
    periods: dict[str, set[datetime]] = defaultdict(set)
    for gap in gaps:
        periods[gap.ticker].update(_periods(interval, gap.window))
    due_from = {gap.ticker: gap.due_from for gap in gaps}
    windows: dict[Window, list[str]] = defaultdict(list)
    for ticker, starts in sorted(periods.items()):
        for window in _shared(interval, _joined(interval, sorted(starts))):
            clipped = Window(max(window.start, due_from[ticker]), min(window.end, now))
            windows[clipped].append(ticker)
    return batches_of(windows, size)


def _periods(interval: Interval, window: Window) -> Iterable[datetime]:
    """The beginnings of the periods that a window touches."""
    start = _floor(interval, window.start)
    while start < window.end:
        yield start
        start = _next(interval, start)


def _joined(interval: Interval, starts: Sequence[datetime]) -> list[Window]:
    """Periods in a row as one window each."""
    joined: list[Window] = []
    for start in starts:
        end = _next(interval, start)
        if joined and joined[-1].end == start:
            joined[-1] = Window(joined[-1].start, end)
        else:
            joined.append(Window(start, end))
    return joined


def _shared(interval: Interval, windows: Sequence[Window]) -> list[Window]:
    """The windows, long ones widened to long periods; those that touch then become one."""
    shared: list[Window] = []
    months = _LONG_PERIOD[interval]
    for window in windows:
        if window.end - window.start >= timedelta(days=31 * months):
            window = Window(_long_floor(months, window.start), _long_ceiling(months, window.end))
        while shared and window.start <= shared[-1].end:
            before = shared.pop()
            window = Window(min(before.start, window.start), max(before.end, window.end))
        shared.append(window)
    return shared


def _long_floor(months: int, at: datetime) -> datetime:
    return at.replace(month=at.month - (at.month - 1) % months, day=1, hour=0)


def _long_ceiling(months: int, at: datetime) -> datetime:
    floor = _long_floor(months, at)
    return at if floor == at else _long_floor(months, floor + timedelta(days=31 * months))


def _floor(interval: Interval, at: datetime) -> datetime:
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if interval is Interval.D1:
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if interval is Interval.H1 else day


def _next(interval: Interval, start: datetime) -> datetime:
    if interval is Interval.D1:
        return (start + timedelta(days=31)).replace(day=1)
    return start + timedelta(days=7 if interval is Interval.H1 else 1)
