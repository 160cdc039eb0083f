"""The synthetic set with another last day: every span and every planted defect moved along the market's own calendar.

A defect keeps its distance from the end in sessions, and its bar its place in the session, so that it falls on no
holiday and on no closed hour. With the last day that the plan is written for, nothing moves.
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
from hypertape.sources._sample_plan import CORRECTED_AT, PLANTED, SPANS, Planted

LAST_DAY = (SPANS[Interval.D1].end - timedelta(days=1)).date()
"""The last day of the set as the plan has it."""

_DAY = timedelta(days=1)
_SLACK = timedelta(days=60)
"""How much longer the same number of sessions may take at another time of the year."""


@dataclass(frozen=True)
class Plan:
    """A set that ends with `last_day`. `spans` by market and interval, `corrected_at` by market."""

    last_day: date
    spans: Mapping[tuple[str, Interval], Window] = field(hash=False, compare=False)
    corrected_at: Mapping[str, datetime] = field(hash=False, compare=False)
    planted: tuple[Planted, ...] = field(hash=False, compare=False)


@lru_cache(maxsize=4)
def plan_until(last_day: date = LAST_DAY) -> Plan:
    """The set that ends with a day (UTC); its last session is the last one on or before it."""
    moves = {code: _Move.along(market, last_day) for code, market in all_markets().items()}
    if last_day == LAST_DAY:
        spans = {(code, interval): span for code in moves for interval, span in SPANS.items()}
        return Plan(last_day, spans, dict.fromkeys(moves, CORRECTED_AT), PLANTED)
    end = midnight(last_day) + _DAY
    return Plan(
        last_day,
        {
            (code, interval): Window(move.day(span.start), end)
            for code, move in moves.items()
            for interval, span in SPANS.items()
        },
        {code: move.day(CORRECTED_AT) for code, move in moves.items()},
        tuple(_moved(planted, moves[planted.market]) for planted in PLANTED),
    )


@dataclass(frozen=True)
class _Move:
    """A market's session dates, in micros and oldest first: up to the plan's last day, and up to the wanted one."""

    market: Market
    planned: Micros
    wanted: Micros

    @classmethod
    def along(cls, market: Market, last_day: date) -> _Move:
        span, shift = SPANS[Interval.D1], last_day - LAST_DAY
        wanted = Window(span.start + shift - _SLACK, span.end + shift)
        return cls(
            market,
            expected_times(market, Interval.D1, span),
            expected_times(market, Interval.D1, wanted),
        )

    def day(self, at: datetime) -> datetime:
        """The session that is as far from the end as the first one on or after `at`."""
        before_end = len(self.planned) - int(np.searchsorted(self.planned, micros(at)))
        return instant(int(self.wanted[len(self.wanted) - before_end]))

    def days(self, window: Window) -> Window:
        """A window of whole sessions."""
        last = instant(int(self.planned[np.searchsorted(self.planned, micros(window.end)) - 1]))
        return Window(self.day(window.start), self.day(last) + _DAY)

    def bar(self, interval: Interval, window: Window) -> Window:
        """A bar's window: the bar that is as far from the nearer end of its session."""
        old = midnight(window.start.date())
        before, after = (
            expected_times(self.market, interval, Window(day, day + _DAY)) for day in (old, self.day(old))
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
