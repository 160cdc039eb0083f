"""Which bars of an answer are provisional: their time is not over, or they hold the bar that was open when it was read.

The stored bar that was still open when it was last asked for is noted with its series, and stays marked until it is
final. A wider bar is provisional while a bar that it is made of may still come or change. Bars of a pin never are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import numpy as np

from hypertape import calendars
from hypertape.api.bar_query import STATES, BarQuery
from hypertape.api.bar_statements import Stored
from hypertape.calendars import Mask
from hypertape.frame import Micros, micros
from hypertape.model import Interval

MONTH = timedelta(days=31)
"""The widest bar; `Width.step` is the shortest time between two."""


def open_from(query: BarQuery, stored: Iterable[Stored], now: datetime) -> dict[tuple[str, str], datetime]:
    """By market and ticker, the opening of the first bar (of the interval that is read) that is not final.

    Series whose newest bar ends before it are left out, as no bar of theirs is marked. `now` is UTC.
    """
    if query.pin is not None:
        return {}
    base = query.width.interval.base
    by_clock = {market.code: calendars.provisional_from(market, base, now) for market in query.markets}
    found = {}
    for entry in stored:
        noted = entry.provisional if query.state == STATES[0] else None  # what is published is final
        opening = min(noted or by_clock[entry.market], by_clock[entry.market])
        if opening - _width(query) < entry.last:
            found[entry.market, entry.ticker] = opening
    return found


Openings = Mapping[str, datetime]
"""By the name of a series in the answer, the opening of its first bar that is not final."""

NONE_OPEN: Openings = {}


def marks(query: BarQuery, times: Micros, opening: datetime | None) -> Mask | None:
    """Which bars with these openings (ascending) are provisional: those that end after `opening`; None for none."""
    if opening is None or not len(times) or int(times[-1]) <= micros(opening - MONTH):
        return None
    found: Mask = _ends(query, times) > micros(opening)
    return found if found.any() else None


def _width(query: BarQuery) -> timedelta:
    return MONTH if query.width.interval is Interval.MO1 else query.width.step


def _ends(query: BarQuery, times: Micros) -> Micros:
    """Where the next bars open."""
    if query.width.interval is Interval.MO1:
        months = times.astype("datetime64[us]").astype("datetime64[M]")
        return (months + 1).astype("datetime64[us]").astype(np.int64)
    return times + int(query.width.step / timedelta(microseconds=1))
