"""The sessions of a market: its calendar's, but for the dates that its exceptions name (`calendars/vn.csv` of a
project)."""

from __future__ import annotations

from datetime import date, datetime, time
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from hypertape.calendars.exchange import Days, days, midnight
from hypertape.frame import micros
from hypertape.model import Market, SessionException


class CalendarOf(NamedTuple):
    """What a market's sessions follow from: what they are kept by."""

    calendar: str
    timezone: str
    exceptions: tuple[SessionException, ...]

    @classmethod
    def of(cls, market: Market) -> CalendarOf:
        """That of a market."""
        return cls(market.calendar, market.timezone, market.exceptions)


def days_of(market: Market | CalendarOf, start: date, end: date) -> Days:
    """A market's sessions of the dates `[start, end)`. Raises BadInput beyond what its calendar is known for."""
    found = days(market.calendar, start, end)
    changed = tuple(it for it in market.exceptions if start <= it.date < end)
    if not changed:
        return found
    return _changed(CalendarOf(market.calendar, market.timezone, changed), start, end)


@lru_cache(maxsize=64)
def _changed(market: CalendarOf, start: date, end: date) -> Days:
    """The calendar's sessions with the exceptions in their place.

    A break stays where it lies inside the hours that an exception names.
    """
    found = days(market.calendar, start, end)
    columns = (found.dates, found.opens, found.break_starts, found.break_ends, found.closes)
    rows = {int(row[0]): row for row in zip(*columns, strict=True)}
    for it in market.exceptions:
        day = midnight(it.date)
        before = rows.pop(day, None)
        if it.hours is not None:
            opens, closes = (_instant(it.date, at, market.timezone) for at in it.hours)
            rests = before is not None and opens < before[2] < before[3] < closes
            pause = (before[2], before[3]) if before is not None and rests else (closes, closes)
            rows[day] = (day, opens, *pause, closes)
    table = np.array([rows[day] for day in sorted(rows)], np.int64).reshape(-1, len(columns))
    dates, opens, break_starts, break_ends, closes = np.ascontiguousarray(table.T)
    return Days(dates, opens, break_starts, break_ends, closes, found.lead, found.tail)


def _instant(day: date, at: time, timezone: str) -> int:
    return micros(datetime.combine(day, at, ZoneInfo(timezone)))
