"""Small inline pictures for the reports: SVG without scripts, fonts or anything to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from markupsafe import Markup, escape

BAR_HEIGHT = 34
BAR_STEP = 6


def bars_by_day(counts: dict[date, int], start: date, end: date, *, label: str, kind: str) -> Markup:
    """A bar per day of `[start, end]`, empty days included; `label` is read out instead of the picture.

    `kind` is the CSS class that colours it. Every bar has a tooltip.
    """
    days = [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
    values = [counts.get(day, 0) for day in days]
    peak = max(values, default=0)
    width = max(len(days) * BAR_STEP, 1)
    shapes = Markup("").join(
        _bar(index, value, peak, day, kind)
        for index, (day, value) in enumerate(zip(days, values, strict=True))
    )
    return Markup(
        '<svg class="spark" role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        '<title>{label}</title><line class="base" x1="0" x2="{width}" y1="{y}" y2="{y}"/>{shapes}</svg>'
    ).format(width=width, height=BAR_HEIGHT + 2, y=BAR_HEIGHT + 0.5, label=label, shapes=shapes)


def _bar(index: int, value: int, peak: int, day: date, kind: str) -> Markup:
    if not value:
        return Markup("")
    height = max(3.0, BAR_HEIGHT * value / peak)
    return Markup(
        '<rect class="{kind}" x="{x}" y="{y:.1f}" width="{width}" height="{height:.1f}" rx="1">'
        "<title>{tip}</title></rect>"
    ).format(
        kind=escape(kind),
        x=index * BAR_STEP + 1,
        y=BAR_HEIGHT - height,
        width=BAR_STEP - 2,
        height=height,
        tip=f"{day}: {value}",
    )


def months_between(first: date, last: date) -> list[date]:
    """First days of the months from `first`'s to `last`'s."""
    start, stop = first.year * 12 + first.month - 1, last.year * 12 + last.month - 1
    return [date(month // 12, month % 12 + 1, 1) for month in range(start, stop + 1)]


def shade(ratio: float | None) -> str:
    """CSS class of a coverage cell: `h0` (nothing) to `h5` (complete), `none` where nothing was due."""
    if ratio is None:
        return "none"
    steps: Sequence[float] = (0.0, 0.5, 0.8, 0.95, 0.9999)
    return f"h{sum(ratio > step for step in steps)}"
