"""Weeks, fortnights and months computed from days in plain Python: the answer the warehouse's rollups are held to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import groupby

from vendor import PRICES

from hypertape.frame import Bars, instant

_MONDAY = date(2000, 1, 3)


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _fortnight(day: date) -> date:
    return _MONDAY + timedelta(days=(day - _MONDAY).days // 14 * 14)


def _month(day: date) -> date:
    return day.replace(day=1)


BUCKETS: dict[str, Callable[[date], date]] = {"1w": _week, "2w": _fortnight, "1mo": _month}


def rolled(bars: Bars, interval: str) -> list[tuple[date, float, float, float, float, float]]:
    """(first date of the bucket, open, high, low, close, volume) of one ticker, oldest first."""
    bucket = BUCKETS[interval]
    columns = [getattr(bars, name).tolist() for name in (*PRICES, "volume")]
    days = [(_date(time), *rest) for time, *rest in zip(bars.time.tolist(), *columns, strict=True)]
    found = []
    for first, group in groupby(days, key=lambda row: bucket(row[0])):
        rows = list(group)
        _, opens, highs, lows, closes, volumes = zip(*rows, strict=True)
        found.append((first, opens[0], max(highs), min(lows), closes[-1], sum(volumes)))
    return found


def _date(time: int) -> date:
    at: datetime = instant(time)
    return at.date()
