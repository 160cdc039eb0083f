"""The synthetic set with another last day, and for the markets of a project: every span and every planted defect moved
along the market's own calendar.

A defect keeps its distance from the end in sessions, and its bar its place in the session, so that it falls on no
holiday and on no closed hour. With the last day that the plan is written for, nothing of the shipped markets moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np

from hypertape.calendars import expected_times
from hypertape.frame import Micros, instant, micros
from hypertape.markets import all_markets
from hypertape.model import Interval, Market, Window, midnight
from hypertape.project import Project, find_project
from hypertape.sources._sample_own import pattern_of, planted_in
from hypertape.sources._sample_plan import CORRECTED_AT, PLANTED, SPANS, Planted

LAST_DAY = (SPANS[Interval.D1].end - timedelta(days=1)).date()
"""The last day of the set as the plan has it."""

_DAY = timedelta(days=1)
_SLACK = timedelta(days=60)
"""How much longer the same number of sessions may take at another time of the year."""


@dataclass(frozen=True)
class Plan:
    """A set that ends with `last_day`, with the markets of a project. `spans` by market and interval, `corrected_at` by
    market."""

    last_day: date
    project: Project | None
    spans: Mapping[tuple[str, Interval], Window] = field(hash=False, compare=False)
    corrected_at: Mapping[str, datetime] = field(hash=False, compare=False)
    planted: tuple[Planted, ...] = field(hash=False, compare=False)


def plan_until(last_day: date = LAST_DAY) -> Plan:
    """The set that ends with a day (UTC); its last session is the last one on or before it."""
    return _plan(last_day, find_project())


@lru_cache(maxsize=4)
def _plan(last_day: date, project: Project | None) -> Plan:
    moves = {
        code: _Move.along(pattern_of(market), market, last_day) for code, market in all_markets().items()
    }
    unmoved = {code for code, move in moves.items() if last_day == LAST_DAY and move.pattern is move.market}
    own = [
        each for move in moves.values() if move.pattern is not move.market for each in planted_in(move.market)
    ]
    shipped = (each for each in PLANTED if each.market in moves)  # a project may have broken a market
    end = midnight(last_day) + _DAY
    return Plan(
        last_day,
        project,
        {
            (code, interval): span if code in unmoved else Window(move.day(span.start), end)
            for code, move in moves.items()
            for interval, span in SPANS.items()
        },
        {code: CORRECTED_AT if code in unmoved else move.day(CORRECTED_AT) for code, move in moves.items()},
        tuple(
            each if each.market in unmoved else _moved(each, moves[each.market]) for each in (*shipped, *own)
        ),
    )


@dataclass(frozen=True)
class _Move:
    """Session dates, in micros and oldest first: up to the plan's last day those of the market that it is written
    for, and up to the wanted last day those of the market itself."""

    pattern: Market
    market: Market
    planned: Micros
    wanted: Micros

    @classmethod
    def along(cls, pattern: Market, market: Market, last_day: date) -> _Move:
        span, shift = SPANS[Interval.D1], last_day - LAST_DAY
        wanted = Window(span.start + shift - _SLACK, span.end + shift)
        return cls(
            pattern,
            market,
            expected_times(pattern, Interval.D1, span),
            expected_times(market, Interval.D1, wanted),
        )

    def day(self, at: datetime) -> datetime:
        """The session that is as far from the end as the first one on or after `at`; the first there is, at least."""
        before_end = len(self.planned) - int(np.searchsorted(self.planned, micros(at)))
        return instant(int(self.wanted[max(len(self.wanted) - before_end, 0)]))

    def days(self, window: Window) -> Window:
        """A window of whole sessions."""
        last = instant(int(self.planned[np.searchsorted(self.planned, micros(window.end)) - 1]))
        return Window(self.day(window.start), self.day(last) + _DAY)

    def bar(self, interval: Interval, window: Window) -> Window:
        """A bar's window: the bar that is as far from the nearer end of its session."""
        old = midnight(window.start.date())
        before, after = (
            expected_times(market, interval, Window(day, day + _DAY))
            for market, day in ((self.pattern, old), (self.market, self.day(old)))
        )
        place = int(np.searchsorted(before, micros(window.start)))
        if place >= len(before) / 2:
            place += len(after) - len(before)
        opening = instant(int(after[min(max(place, 0), len(after) - 1)]))
        return Window(opening, opening + (window.end - window.start))


def _moved(planted: Planted, move: _Move) -> Planted:
    whole_days = (planted.window.end - planted.window.start) >= _DAY
    window = move.days(planted.window) if whole_days else move.bar(planted.interval, planted.window)
    told = planted.explanation.replace(f"{CORRECTED_AT:%Y-%m-%d}", f"{move.day(CORRECTED_AT):%Y-%m-%d}")
    return replace(planted, window=window, explanation=told)
