"""Ask again for what is missing: plan windows from open gaps, and afterwards count the attempts.

Between the two lie the steps of every run (extract, enrich, load, validate, refresh, publish), in load mode `missing`:
bars that are stored stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypertape.calendars import expected_times
from hypertape.markets import get_market
from hypertape.model import Interval, Window
from hypertape.settings import Settings, load_settings
from hypertape.steps.plan import Batch, RunSpec, resolve_source
from hypertape.steps.sync import OnStep, SyncResult, carry_out
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.healing import (
    HEALABLE,
    MAX_ATTEMPTS,
    HealableGap,
    count_attempts,
    count_resting,
    healable_gaps,
    resting_line,
    sessions_line,
)
from hypertape.warehouse.gaps.ledger import note_gaps

MODE, REASON = "missing", "heal gaps"

_LONG_PERIOD = {Interval.D1: 12, Interval.H1: 3, Interval.M1: 1}
"""Months. Where many tickers lack the beginning of history, each up to a day of its own, few windows hold them."""


def plan_heal(
    dsn: str,
    market: str,
    interval: str,
    *,
    run_id: str,
    now: datetime,
    tickers: Sequence[str] | None = None,
    reasons: Sequence[str] | None = None,
    max_attempts: int | None = None,
    source: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Look for gaps, and plan a run over those worth asking for: the same JSON as `steps.plan.plan`.

    It has `gaps` and `sessions` (how many will be asked for), `resting` (gaps that were asked for often enough) and
    `found` (what the look changed) beside. Without gaps there are no batches. `reasons` default to what may still
    arrive, `max_attempts` to 3. Raises UnknownMarket, UnknownInterval, UnknownSource, BadInput and what `connect`
    raises.
    """
    settings = settings or load_settings()
    of_market, of_interval = get_market(market), Interval.parse(interval)
    config = resolve_source(of_market, source, settings)
    with connect(dsn) as connection:
        found = note_gaps(connection, of_market, of_interval, None, now, run_id)
        which: dict[str, Any] = {
            "tickers": tickers or None,
            "reasons": reasons or HEALABLE,
            "max_attempts": MAX_ATTEMPTS if max_attempts is None else max_attempts,
        }
        gaps = healable_gaps(connection, of_market, of_interval, **which)
        resting = count_resting(connection, of_market, of_interval, **which)
        connection.commit()
    batches = heal_batches(of_interval, gaps, now, settings.batch_size)
    expected = sum(len(expected_times(of_market, of_interval, b.window)) * len(b.tickers) for b in batches)
    return {
        **RunSpec(run_id, of_market, of_interval, config, _span(batches, now)).to_json(),
        "mode": MODE,
        "reason": REASON,
        "batches": [batch.to_json() for batch in batches],
        "expected_bars": expected,
        "gaps": len(gaps),
        "sessions": sum(gap.sessions for gap in gaps),
        "resting": resting,
        "found": found.to_json(),
    }


def finish_heal(dsn: str, plan_head: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """Count the attempts of what is still missing, judge it again with the new answers, and return counts as JSON."""
    head = RunSpec.from_json(plan_head)
    with connect(dsn) as connection:
        note_gaps(connection, head.market, head.interval, head.window, now, head.run_id)
        attempted = count_attempts(connection, head.market, head.interval, head.run_id, now)
        counts = note_gaps(connection, head.market, head.interval, head.window, now, head.run_id)
        connection.commit()
    return {"still_missing": attempted, **counts.to_json()}


def heal(
    dsn: str,
    planned: dict[str, Any],
    *,
    now: datetime,
    settings: Settings | None = None,
    on_step: OnStep | None = None,
) -> tuple[SyncResult, dict[str, Any]]:
    """Carry out a plan of `plan_heal` in this process; return what the run did and what `finish_heal` says."""
    result = carry_out(dsn, planned, now=now, settings=settings, on_step=on_step)
    return result, finish_heal(dsn, planned, now=now)


def plan_lines(planned: Mapping[str, Any]) -> list[str]:
    """A plan in words: what was found, what will be asked for."""
    found = sessions_line(planned["found"]["open"], planned["found"]["refused"])
    lines = [
        f"open sessions: {found or 'none'}",
        f"{planned['gaps']} gaps with {planned['sessions']} sessions to ask for, in {len(planned['batches'])} batches",
    ]
    if planned["resting"]:
        lines.append(resting_line(planned["resting"]))
    for batch in planned["batches"]:
        start, end = batch["window"]
        lines.append(f"{start} – {end}: {', '.join(batch['tickers'])}")
    return lines


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
    chunks = [
        (tuple(tickers[at : at + size]), window)
        for window, tickers in sorted(windows.items(), key=lambda item: (item[0].start, item[0].end))
        for at in range(0, len(tickers), size)
    ]
    return [Batch(index, tickers, window) for index, (tickers, window) in enumerate(chunks)]


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


def _span(batches: Sequence[Batch], now: datetime) -> Window:
    if not batches:
        return Window(now, now)
    return Window(min(batch.window.start for batch in batches), max(batch.window.end for batch in batches))
