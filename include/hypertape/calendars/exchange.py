"""Sessions of one calendar as arrays, by the calendar's name. What `hypertape.calendars` is made of.

Names: `24/7` (every UTC day), `HOSE` (rules in `hose`), and every name `exchange_calendars` knows (`XNYS`,
`XTKS`, …), early closes and daylight saving included. Only the last kind imports pandas, on first use (1.3
s).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from hypertape.calendars import hose
from hypertape.errors import BadInput
from hypertape.frame import Micros, micros
from hypertape.model import Window

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE


@dataclass(frozen=True)
class Days:
    """Consecutive sessions of a calendar, oldest first. All arrays are int64 microseconds since 1970 UTC.

    `dates` are 00:00 UTC of the sessions' dates. Without a lunch break, `break_starts` and `break_ends` equal
    `closes`. In the first `lead` and the last `tail` microseconds of a session there is no continuous
    trading.
    """

    dates: Micros
    opens: Micros
    break_starts: Micros
    break_ends: Micros
    closes: Micros
    lead: int = 0
    tail: int = 0

    def __len__(self) -> int:
        return len(self.dates)

    def between(self, first: int, last: int) -> Days:
        """Sessions at positions `[first, last)`."""
        part = slice(max(first, 0), max(last, 0))
        return Days(
            self.dates[part],
            self.opens[part],
            self.break_starts[part],
            self.break_ends[part],
            self.closes[part],
            self.lead,
            self.tail,
        )

    def dated(self, start: date, end: date) -> Days:
        """Sessions of the dates `[start, end)`."""
        first, last = np.searchsorted(self.dates, [midnight(start), midnight(end)])
        return self.between(int(first), int(last))


_Known = tuple[date, date, Days]
_known: dict[str, _Known] = {}


def days(calendar: str, start: date, end: date) -> Days:
    """Sessions of the dates `[start, end)`; none before the calendar's beginning.

    Whole decades are computed once per process and kept. Raises BadInput for a name nobody knows, or
    dates beyond what the calendar is known for.
    """
    if calendar == "24/7":
        return _always(start, end)
    known = _known.get(calendar)
    if known is None or start < known[0] or end > known[1]:
        known = _known[calendar] = _decades(calendar, start, end, known)
    if end > known[1]:
        raise BadInput(f"The calendar {calendar} is not known on {end}", next_step=f"Ask up to {known[1]}.")
    return known[2].dated(start, end)


def open_time(calendar: str, window: Window) -> timedelta:
    """How long a calendar was open in a window, breaks left out. Raises BadInput for a name nobody knows."""
    start, end = (at.astimezone(UTC).date() for at in (window.start, window.end))
    found = days(calendar, start - timedelta(days=1), end + timedelta(days=1))
    first, last = micros(window.start), micros(window.end)

    def within(opens: Micros, closes: Micros) -> int:
        return int(np.maximum(np.minimum(closes, last) - np.maximum(opens, first), 0).sum())

    open_for = within(found.opens, found.break_starts) + within(found.break_ends, found.closes)
    return timedelta(microseconds=open_for)


def _decades(calendar: str, start: date, end: date, known: _Known | None) -> _Known:
    """Compute the decades around `[start, end)` and what was known before, as far as the calendar goes."""
    if known is not None:
        start, end = min(start, known[0]), max(end, known[1])
    first = date(start.year // 10 * 10, 1, 1)
    upto = date((end - timedelta(days=1)).year // 10 * 10 + 10, 1, 1)
    if calendar == "HOSE":
        upto = min(upto, hose.UNKNOWN_FROM)
        return first, upto, _hose(first, upto)
    return _exchange(calendar, first, upto)


def _always(start: date, end: date) -> Days:
    dates = np.arange(midnight(start), max(midnight(start), midnight(end)), DAY, dtype=np.int64)
    closes = dates + DAY
    return Days(dates, dates, closes, closes, closes)


def _hose(start: date, end: date) -> Days:
    every = np.arange(np.datetime64(max(start, hose.FIRST_SESSION)), np.datetime64(end))
    closed = np.array(hose.closures(start.year, end.year - 1), dtype="datetime64[D]")
    dates = every[np.is_busday(every, holidays=closed)].astype("datetime64[us]").astype(np.int64)
    return Days(
        dates,
        opens=dates + _utc_offset(hose.OPENS),
        break_starts=dates + _utc_offset(hose.BREAK_STARTS),
        break_ends=dates + _utc_offset(hose.BREAK_ENDS),
        closes=dates + _utc_offset(hose.CLOSES),
        lead=hose.OPENING_MATCH_MINUTES * MINUTE,
        tail=hose.CLOSING_MATCH_MINUTES * MINUTE,
    )


def _utc_offset(mark: time) -> int:
    # Vietnam has kept UTC+7 since 1975, so that one day stands for all.
    local = datetime.combine(hose.FIRST_SESSION, mark, ZoneInfo(hose.TIMEZONE))
    midnight = datetime.combine(hose.FIRST_SESSION, time(), UTC)
    return (local - midnight) // timedelta(microseconds=1)


def _exchange(calendar: str, start: date, end: date) -> _Known:
    import exchange_calendars  # 1.1 s: it imports pandas

    try:
        found = exchange_calendars.get_calendar(calendar, start=start, end=end - timedelta(days=1))
    except exchange_calendars.errors.CalendarError as error:
        raise BadInput(
            f"There is no calendar {calendar!r}",
            next_step="Use 24/7, HOSE or a name of exchange_calendars.get_calendar_names().",
        ) from error
    except ValueError:  # beyond the calendar's bounds: take what it knows
        kind = type(exchange_calendars.get_calendar(calendar))
        earliest, latest = kind.bound_min(), kind.bound_max()
        end = end if latest is None else min(end, latest.date() + timedelta(days=1))
        first = start if earliest is None else max(start, earliest.date())
        found = kind(start=first, end=max(end, first + timedelta(days=30)) - timedelta(days=1))
    return start, end, _from_schedule(found.schedule)


def _from_schedule(schedule: Any) -> Days:
    closes = _column(schedule["close"])
    break_starts, break_ends = _column(schedule["break_start"]), _column(schedule["break_end"])
    return Days(
        np.asarray(schedule.index.to_numpy(), "datetime64[us]").astype(np.int64),
        opens=_column(schedule["open"]),
        break_starts=np.where(break_starts == _NOT_A_TIME, closes, break_starts),
        break_ends=np.where(break_ends == _NOT_A_TIME, closes, break_ends),
        closes=closes,
    )


_NOT_A_TIME = np.iinfo(np.int64).min


def _column(instants: Any) -> Micros:
    naive = instants.dt.tz_localize(None).to_numpy()
    return np.asarray(naive, "datetime64[us]").astype(np.int64)


def midnight(day: date) -> int:
    """00:00 UTC of a date, in microseconds since 1970."""
    return int(np.datetime64(day, "us").astype(np.int64))
