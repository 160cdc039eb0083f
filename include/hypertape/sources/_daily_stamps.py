"""Where a daily bar belongs: vendors stamp it somewhere on its session's date, and not everything they stamp is one.

| stamp, in the exchange's zone | who does so |
|---|---|
| 00:00 | VCI, exchanges that ccxt asks, Yahoo for crypto |
| 00:00 UTC, in zones east of it | VCI |
| around trading hours | Yahoo (the opening; of a running session the last deal), VCI (the close) |

Judged is the vendor's own instant, before it is rounded to a day: a market that never closes has its days from 00:00 to
00:00 UTC, and a candle that opens at 16:00 is another day's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from hypertape.calendars import sessions
from hypertape.frame import Micros, instant
from hypertape.model import Market

_AROUND = 2 * 3_600
"""Seconds before the opening and after the close at which a session's bar may be stamped."""

_DAY = 86_400
_ORDINARY = (date(2024, 3, 4), date(2024, 3, 9))
"""A week in which every market has its usual hours."""

Mask = npt.NDArray[np.bool_]


def daily_times(
    market: Market, stamps: Micros, zone: str | None = None, running: date | None = None
) -> tuple[Micros, Mask]:
    """Daily bars' times of their vendor's stamps: 00:00 UTC of the date in `zone` (default: the market's).

    Also where a stamp is none of a daily bar. A bar of the `running` day may be stamped at any time of it.
    """
    local = [instant(int(at)).astimezone(ZoneInfo(zone or market.timezone)) for at in stamps]
    dates = [at.date() for at in local]
    days: Micros = np.array(dates, "datetime64[us]").astype(np.int64)
    opens, closes = usual_hours(market)
    fits = [day == running or _fits(at, opens, closes) for at, day in zip(local, dates, strict=True)]
    return days, ~np.array(fits, np.bool_)


def usual_hours(market: Market) -> tuple[int, int]:
    """Seconds of the day, in the market's zone, between which it trades: (0, 86 400) where it never closes."""
    found = sessions(market, *_ORDINARY)
    zone = ZoneInfo(market.timezone)
    opens = min(_seconds(one.opens.astimezone(zone)) for one in found)
    longest = max((one.closes - one.opens).total_seconds() for one in found)
    return opens, opens + int(longest)


def _fits(at: datetime, opens: int, closes: int) -> bool:
    second = _seconds(at)
    if second == 0 and at.microsecond == 0:
        return True
    if closes - opens >= _DAY - 60:
        return False
    offset = at.utcoffset()
    is_midnight_utc = offset is not None and second == offset.total_seconds() and at.microsecond == 0
    return is_midnight_utc or opens - _AROUND <= second <= closes + _AROUND


def _seconds(at: datetime | time) -> int:
    return at.hour * 3_600 + at.minute * 60 + at.second


def off_grid_rejects(ticker: str, stamps: Sequence[int], rows: Sequence[str]) -> list[tuple[Any, ...]]:
    """The reject rows (frame.reject_frame) of daily bars at such stamps (µs); `rows` are their texts."""
    times = [instant(int(stamp)) for stamp in stamps]
    return [(ticker, at, "off_grid", at.isoformat(), row) for at, row in zip(times, rows, strict=True)]
