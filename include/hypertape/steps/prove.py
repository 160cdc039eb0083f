"""Prove what is derived over all of history: rollups month by month, indicators series by series; mend what differs.

A run proves what it refreshed. What somebody wrote past hypertape, into bars or a rollup, is found here: all of it by
`hypertape rollups verify`, a thirtieth a day by the DAG `maintain_warehouse`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, format_instant, midnight
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.steps.findings import watch
from hypertape.steps.refresh import refresh_waiting
from hypertape.steps.run_spec import OnStep, silent
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import stored_tickers
from hypertape.warehouse.reindicate import Reindicated, foreign_tickers, reindicate_series
from hypertape.warehouse.rollups import Refreshed, RollupCheck, buckets, check_rollups, rebuild

Connection = psycopg.Connection[Any]

WITHIN_DAYS = 30
"""A part a day proves everything within so many days."""

_WHOLE = date(1970, 1, 1)
"""The part under which a whole series' indicators are kept."""


@dataclass(frozen=True, slots=True)
class Part:
    """A month of a rollup: the whole buckets that begin in it."""

    market: Market
    interval: Interval
    month: date

    @property
    def window(self) -> Window:
        """From its first bucket's opening to its last one's end."""
        last = midnight(_next(self.month)) - timedelta(microseconds=1)
        found = buckets(self.interval, midnight(self.month), last)
        width = self.interval.delta
        late = width is not None and found.start < midnight(self.month)
        return Window(min(found.start + width, found.end), found.end) if late and width else found


@dataclass(frozen=True, slots=True)
class Proved:
    """What a comparison found. `differing` buckets (or bars) before, `left` after a repair; `first`: where."""

    market: str
    interval: str
    what: str
    compared: int
    differing: int
    left: int
    tickers: tuple[str, ...]
    first: str | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "market": self.market, "interval": self.interval, "what": self.what, "compared": self.compared,
            "differing": self.differing, "left": self.left, "tickers": list(self.tickers), "first": self.first,
        }  # fmt: skip


def verify_rollups(
    dsn: str,
    markets: Sequence[Market],
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    intervals: Sequence[Interval] | None = None,
    since: datetime | None = None,
    repair: bool = False,
    on_step: OnStep = silent,
) -> list[Proved]:
    """Prove rollups from `since` (UTC; None: all of history) on, and the indicators of stored intervals.

    With `repair` what differs is computed anew and compared again. What is found opens a finding, mending closes it.
    """
    wanted = tuple(Interval) if intervals is None else tuple(intervals)
    bases = dict.fromkeys(level.base for level in wanted)
    found: list[Proved] = []
    for market in markets:
        for base in bases:
            refresh_waiting(dsn, run_id, market.code, base.value, now)
            if base in wanted:
                found += reindicate(
                    dsn, market.code, base, run_id=run_id, now=now, settings=settings, dry_run=not repair,
                    on_step=on_step, then_watch=False,
                )  # fmt: skip
        for level in (level for level in wanted if not level.is_stored):
            with connect(dsn) as connection:
                parts = list(parts_of(connection, market, level, now, since))
            found += _prove(dsn, parts, run_id=run_id, now=now, repair=repair, on_step=on_step)
    watch(dsn, run_id, now=now, settings=settings, thorough=False)
    return found


def prove_some(
    dsn: str, markets: Sequence[Market], *, run_id: str, now: datetime, settings: Settings
) -> list[Proved]:
    """Prove the thirtieth of the rollups proven longest ago, and the indicators of a thirtieth of the series."""
    with connect(dsn) as connection:
        proved = {tuple(row[:3]): row[3] for row in connection.execute(query("proof_times"))}
        levels = [level for level in Interval if not level.is_stored]
        parts = [
            part
            for market in markets
            for level in levels
            for part in parts_of(connection, market, level, now, None)
        ]
        held = {(m.code, i): stored_tickers(connection, m, i) for m in markets for i in m.intervals}
    parts.sort(key=lambda p: proved.get((p.market.code, p.interval.value, p.month), midnight(_WHOLE)))
    found = _prove(
        dsn, parts[: -(-len(parts) // WITHIN_DAYS)], run_id=run_id, now=now, repair=False, on_step=silent
    )
    for (code, interval), tickers in held.items():
        mine = tickers[now.toordinal() % WITHIN_DAYS :: WITHIN_DAYS]
        if mine:
            found += reindicate(
                dsn, code, interval, run_id=run_id, now=now, settings=settings, tickers=mine, then_watch=False
            )
    watch(dsn, run_id, now=now, settings=settings)
    return found


def parts_of(
    connection: Connection, market: Market, level: Interval, now: datetime, since: datetime | None
) -> Iterator[Part]:
    """The months of a rollup, oldest first; where bars are dropped by age, only those of which all bars are there."""
    row = connection.execute(query("proof_span"), (market.code, level.base.value)).fetchone()
    first, last = row or (None, None)
    if first is None or last is None:
        return
    month = date(first.year, first.month, 1)
    if kept := market.retention.get(level.base):
        oldest = now - kept
        month = max(month, _next(date(oldest.year, oldest.month, 1)))
    if since is not None:
        month = max(month, date(since.year, since.month, 1))
    while month <= last.date():
        yield Part(market, level, month)
        month = _next(month)


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _prove(
    dsn: str, parts: Sequence[Part], *, run_id: str, now: datetime, repair: bool, on_step: OnStep
) -> list[Proved]:
    found = []
    for done, part in enumerate(parts):
        on_step("verify rollups", done, len(parts))
        with connect(dsn, autocommit=True) as connection:
            first = _compare(connection, part)
            last = first
            if repair and first.differing:
                rebuild(connection, part.market, part.interval, part.window)
                last = _compare(connection, part)
            _keep(connection, "rollup", part, last, run_id, now)
        found.append(_proved(part, first, last))
    if parts:
        on_step("verify rollups", len(parts), len(parts))
    return found


def _compare(connection: Connection, part: Part) -> RollupCheck:
    (check,) = check_rollups(connection, part.market, [Refreshed(part.interval, part.window)])
    return check


def _proved(part: Part, first: RollupCheck, last: RollupCheck) -> Proved:
    return Proved(
        part.market.code, part.interval.value, "buckets", first.buckets, first.differing, last.differing,
        tuple(sorted({ticker for ticker, _ in first.sample})), f"{part.month:%Y-%m}" if first.differing else None,
    )  # fmt: skip


def _keep(
    connection: Connection, kind: str, part: Part, check: RollupCheck, run_id: str, now: datetime
) -> None:
    sample = [{"ticker": ticker, "time": format_instant(time)} for ticker, time in check.sample]
    connection.execute(
        query("proof_keep"),
        {
            "kind": kind,
            "market": part.market.code,
            "interval": part.interval.value,
            "part": part.month,
            "compared": check.buckets,
            "differing": check.differing,
            "tickers": sorted({ticker for ticker, _ in check.sample}),
            "sample": Jsonb(sample),
            "now": now,
            "run_id": run_id,
        },
    )


def reindicate(
    dsn: str,
    market: str,
    interval: Interval,
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    tickers: Sequence[str] | None = None,
    dry_run: bool = True,
    on_step: OnStep = silent,
    then_watch: bool = True,
) -> list[Proved]:
    """Recompute the stored indicators of some series (None: all, also those that `series` does not know).

    Only what differs is written; the rollups follow. One entry per series that differs, and one for all that were
    compared. A dry run counts; what it finds is a finding.
    """
    of_market, name = get_market(market), f"indicators of {market} {interval.value}"
    with connect(dsn) as connection:
        known = stored_tickers(connection, of_market, interval)
        asked = (
            list(tickers)
            if tickers is not None
            else [*known, *foreign_tickers(connection, of_market, interval)]
        )
    results: list[Reindicated] = []
    with connect(dsn, autocommit=True) as connection:
        for done, ticker in enumerate(asked):
            on_step(name, done, len(asked))
            results.append(reindicate_series(connection, of_market, interval, ticker, dry_run=dry_run))
        if asked:
            on_step(name, len(asked), len(asked))
            _keep_indicators(connection, of_market, interval, results, dry_run, run_id, now)
    if not dry_run:
        refresh_waiting(dsn, run_id, market, interval.value, now)
    if then_watch:
        watch(dsn, run_id, now=now, settings=settings)
    return _summed(market, interval, results, dry_run)


def _summed(market: str, interval: Interval, results: Sequence[Reindicated], dry_run: bool) -> list[Proved]:
    wrong = [each for each in results if each.differing]
    differing = sum(each.differing for each in wrong)
    if not results:
        return []
    first = min((each.first for each in wrong if each.first), default=None)
    return [
        Proved(
            market, interval.value, "bars", sum(each.bars for each in results), differing, differing if dry_run else 0,
            tuple(each.ticker for each in wrong), format_instant(first) if first else None,
        )
    ]  # fmt: skip


def _keep_indicators(
    connection: Connection,
    market: Market,
    interval: Interval,
    results: Sequence[Reindicated],
    dry_run: bool,
    run_id: str,
    now: datetime,
) -> None:
    """Bring the proof of a place's indicators up to date for the series that were looked at."""
    place = {"kind": "indicators", "market": market.code, "interval": interval.value, "part": _WHOLE}
    with connection.transaction():
        row = connection.execute(query("proof_of"), place).fetchone()
        wrong = {each["ticker"]: each for each in (row[0] if row else [])}
        for each in results:
            wrong.pop(each.ticker, None)
            if each.differing and dry_run:
                entry = {"ticker": each.ticker, "bars": each.differing}
                wrong[each.ticker] = {**entry, "time": format_instant(each.first) if each.first else None}
        named = {
            "compared": sum(each.bars for each in results),
            "differing": sum(each["bars"] for each in wrong.values()),
            "tickers": sorted(wrong),
            "sample": Jsonb(list(wrong.values())),
        }
        connection.execute(query("proof_keep"), {**place, **named, "now": now, "run_id": run_id})
