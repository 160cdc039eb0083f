"""Small pictures for the reports, as numbers: the templates draw them as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

BAR_HEIGHT = 34
BAR_STEP = 3
SMALLEST = 3.0
"""A bar this high (in pixels) is still seen beside a huge one."""

_SHADES = (0.0, 0.5, 0.8, 0.95, 0.9999)


@dataclass(frozen=True, slots=True)
class Bar:
    """One day's bar in pixels, y from the top; `tip` is shown when it is pointed at."""

    x: int
    y: float
    width: int
    height: float
    tip: str


@dataclass(frozen=True, slots=True)
class Figure:
    """Bars on a base line; `label` is read out instead of the picture, `kind` is the CSS class that colours it."""

    label: str
    kind: str
    width: int
    height: int
    bars: tuple[Bar, ...]


def bars_by_day(counts: Mapping[date, int], start: date, end: date, *, label: str, kind: str) -> Figure:
    """A place per day of `[start, end]`, with a bar where something was counted; the highest fills the height."""
    days = [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
    peak = max((counts.get(day, 0) for day in days), default=0)
    bars = tuple(_bar(place, counts[day], peak, day) for place, day in enumerate(days) if counts.get(day))
    return Figure(label, kind, max(len(days), 1) * BAR_STEP, BAR_HEIGHT, bars)


def _bar(place: int, value: int, peak: int, day: date) -> Bar:
    height = round(max(SMALLEST, BAR_HEIGHT * value / peak), 1)
    return Bar(place * BAR_STEP, round(BAR_HEIGHT - height, 1), BAR_STEP - 1, height, f"{day}: {value}")


def months_between(first: date, last: date) -> list[date]:
    """First days of the months from `first`'s to `last`'s."""
    start, stop = first.year * 12 + first.month - 1, last.year * 12 + last.month - 1
    return [date(month // 12, month % 12 + 1, 1) for month in range(start, stop + 1)]


def shade(ratio: float | None) -> str:
    """CSS class of a coverage cell: `h0` (nothing) to `h5` (complete), `none` where nothing was due."""
    if ratio is None:
        return "none"
    return f"h{sum(ratio > step for step in _SHADES)}"
