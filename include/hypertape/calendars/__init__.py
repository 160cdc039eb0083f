"""When a market trades, and which bars it should therefore have.

Every function takes the market first and speaks UTC. Arrays of times are int64 microseconds since 1970 UTC.

- Sessions: `sessions`, `session_of`, `last_closed_session`, `session_lag`, `is_open`.
- Bars that should exist: `expected_times` is what a ticker that trades all the time has; `coverage` judges
  what is there. A daily bar must exist for every session. An intraday bar exists only when somebody traded,
  so what must exist is one bar per session; the rest is a ratio.
- Bars that may exist: `on_grid`, `in_session`. A bar is accepted in the lunch break (vendors stamp delayed
  prints there) and when it opens at the very close (the last deals are stamped 15:00:00).
- Bars that are final: `bar_end`, `bar_ends`, `provisional_from`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hypertape.calendars.exceptions import CalendarOf, days_of
from hypertape.calendars.exchange import DAY, Days
from hypertape.errors import BadInput
from hypertape.frame import Micros, instant, micros
from hypertape.model import Interval, Market, Window

Mask = npt.NDArray[np.bool_]

NO_SESSION = np.iinfo(np.int64).min
"""What `sessions_of` says about a bar outside every session."""

LONGEST_CLOSURE = timedelta(days=60)
"""Longer than any market has been shut; how far back `last_closed_session` looks."""


@dataclass(frozen=True, slots=True)
class Session:
    """A trading day: its date in the market's own zone and its UTC instants; no break is None."""

    date: date
    opens: datetime
    closes: datetime
    break_starts: datetime | None = None
    break_ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one series has of what a window should have.

    `judged` counts the sessions that lie wholly in the window; `missing` are those among them without any
    bar, as 00:00 UTC of their dates (for daily bars: the missing bars' times). `expected` counts the openings
    of a ticker that never rests, `present` how many of these are there.
    """

    judged: int
    missing: Micros
    expected: int
    present: int

    @property
    def is_complete(self) -> bool:
        """True when every judged session has a bar."""
        return len(self.missing) == 0

    @property
    def ratio(self) -> float:
        """Share of the expected openings that are there; 1.0 when none is expected."""
        return self.present / self.expected if self.expected else 1.0


def sessions(market: Market, start: date, end: date) -> tuple[Session, ...]:
    """The sessions of the dates `[start, end)`, oldest first. Raises BadInput beyond the calendar's end."""
    return _sessions(CalendarOf.of(market), start, end)


@lru_cache(maxsize=64)
def _sessions(market: CalendarOf, start: date, end: date) -> tuple[Session, ...]:
    found = days_of(market, start, end)
    return tuple(_session(found, position) for position in range(len(found)))


def _session(found: Days, position: int) -> Session:
    opens, closes = instant(found.opens[position]), instant(found.closes[position])
    day = instant(found.dates[position]).date()
    if found.break_starts[position] == found.closes[position]:
        return Session(day, opens, closes)
    return Session(
        day, opens, closes, instant(found.break_starts[position]), instant(found.break_ends[position])
    )


def session_of(market: Market, at: datetime) -> Session | None:
    """The session in whose hours (break included, the instant of the close included) `at` lies, or None."""
    found = _around(market, at)
    position = int(np.searchsorted(found.opens, micros(at), side="right")) - 1
    if position < 0 or micros(at) > found.closes[position]:
        return None
    return _session(found, position)


def is_open(market: Market, at: datetime) -> bool:
    """True while the market trades: from the opening to just before the close, not in the lunch break."""
    session = session_of(market, at)
    if session is None or at >= session.closes:
        return False
    resting = session.break_starts is not None and session.break_ends is not None
    return not (resting and session.break_starts <= at < session.break_ends)  # type: ignore[operator]


def last_closed_session(market: Market, now: datetime) -> Session | None:
    """The newest session that has closed at `now`; None before the calendar's beginning."""
    found = _around(market, now, before=LONGEST_CLOSURE)
    position = int(np.searchsorted(found.closes, micros(now), side="right")) - 1
    return _session(found, position) if position >= 0 else None


def session_lag(market: Market, newest: datetime, now: datetime) -> int:
    """How many sessions, closed at `now`, came after the session of the bar that opens at `newest`.

    0 means up to date. Weekends and holidays never count.
    """
    start = newest.astimezone(UTC).date() + timedelta(days=1)
    found = days_of(market, start, max(start, _next_day(now)))
    return int(np.searchsorted(found.closes, micros(now), side="right"))


def expected_times(market: Market, interval: Interval, window: Window) -> Micros:
    """The openings in `window` of a ticker that trades in every session and every minute, ascending.

    1d: 00:00 UTC of the session dates. Narrower: the grid's marks whose bar overlaps trading; for 1m
    continuous trading only, because an opening or closing match makes one bar, whose minute differs by
    exchange.
    """
    found = _overlapping(market, window)
    if interval is Interval.D1:
        return _inside(found.dates, window)
    step = _intraday_step(interval)
    lead, tail = (found.lead, found.tail) if interval is Interval.M1 else (0, 0)
    starts = np.column_stack([found.opens + lead, found.break_ends]).ravel()
    ends = np.column_stack([np.minimum(found.break_starts, found.closes - tail), found.closes - tail]).ravel()
    return _inside(_marks(starts, ends, step, _offset(market, interval)), window)


def coverage(market: Market, interval: Interval, window: Window, times: Micros) -> Coverage:
    """Judge the openings `times` of one series against the calendar, within `window`.

    Pass a window that ends at the last instant the series could know of: a session cut by the window's edge
    is not judged. Times outside the window or the sessions are not counted.
    """
    expected = expected_times(market, interval, window)
    times = _inside(np.sort(times), window)
    if interval is Interval.D1:
        judged, visited = expected, times
    else:
        found = _overlapping(market, window)
        whole = (found.opens >= micros(window.start)) & (found.closes <= micros(window.end))
        judged, visited = found.dates[whole], np.sort(sessions_of(market, interval, times))
    missing = judged[~_among(judged, visited)]
    return Coverage(len(judged), missing, len(expected), int(_among(expected, times).sum()))


def on_grid(market: Market, interval: Interval, times: Micros) -> Mask:
    """True where a bar may open: 00:00 UTC (1d), the market's mark of the hour (1h), the full minute (1m)."""
    step = DAY if interval is Interval.D1 else _intraday_step(interval)
    mask: Mask = (times - _offset(market, interval)) % step == 0
    return mask


def in_session(market: Market, interval: Interval, times: Micros) -> Mask:
    """True where the bar belongs to a session: a Sunday's daily bar or a bar before the opening does not."""
    mask: Mask = sessions_of(market, interval, times) != NO_SESSION
    return mask


def sessions_of(market: Market, interval: Interval, times: Micros) -> Micros:
    """00:00 UTC of the date of each bar's session, NO_SESSION where there is none.

    An intraday bar belongs to the session it overlaps, break included, or at whose very close it opens.
    """
    if len(times) == 0:
        return np.empty(0, np.int64)
    found = _overlapping(market, Window(instant(times.min()), instant(times.max() + 1)))
    if len(found) == 0:
        return np.full(len(times), NO_SESSION, np.int64)
    if interval is Interval.D1:
        return np.where(_among(times, found.dates), times, NO_SESSION)
    last_moment = times + _intraday_step(interval) - 1
    position = np.searchsorted(found.opens, last_moment, side="right") - 1
    belongs = (position >= 0) & (times <= found.closes[position])
    return np.where(belongs, found.dates[position], NO_SESSION)


def bar_ends(market: Market, interval: Interval, times: Micros) -> Micros:
    """When the bars that open at `times` are final.

    1d: the close of the session (a date without one: 24 hours later). Else: where the next bar opens.
    """
    if interval is Interval.MO1:
        months = times.astype("datetime64[us]").astype("datetime64[M]")
        return (months + 1).astype("datetime64[us]").astype(np.int64)
    ends = times + _width(interval)
    if interval is not Interval.D1 or len(times) == 0:
        return ends
    found = _overlapping(market, Window(instant(times.min()), instant(times.max() + 1)))
    if len(found):
        at = np.minimum(np.searchsorted(found.dates, times), len(found) - 1)
        ends = np.where(found.dates[at] == times, found.closes[at], ends)
    return ends


def bar_end(market: Market, interval: Interval, opening: datetime) -> datetime:
    """When the bar that opens at `opening` is final; see `bar_ends`."""
    return instant(int(bar_ends(market, interval, np.array([micros(opening)]))[0]))


def provisional_from(market: Market, interval: Interval, now: datetime) -> datetime:
    """The earliest opening whose bar is not final at `now`: bars from here on may still change.

    1d: 00:00 UTC of the first session that has not closed. Everything narrower: the running bar's opening.
    """
    if interval is not Interval.D1:
        step, offset = _intraday_step(interval), _offset(market, interval)
        return instant((micros(now) - offset) // step * step + offset)
    found = days_of(market, now.astimezone(UTC).date() - timedelta(days=1), _next_day(now) + LONGEST_CLOSURE)
    position = int(np.searchsorted(found.closes, micros(now), side="right"))
    return instant(found.dates[position])


def _around(market: Market, at: datetime, before: timedelta = timedelta(days=2)) -> Days:
    return days_of(market, at.astimezone(UTC).date() - before, _next_day(at))


def _next_day(at: datetime) -> date:
    # A session's date is the market's own and may be ahead of UTC's.
    return at.astimezone(UTC).date() + timedelta(days=2)


def _overlapping(market: Market, window: Window) -> Days:
    """Sessions that may have a bar in the window: a day more on either side, for zones far from UTC."""
    return days_of(market, window.start.astimezone(UTC).date() - timedelta(days=1), _next_day(window.end))


def _inside(times: Micros, window: Window) -> Micros:
    return times[(times >= micros(window.start)) & (times < micros(window.end))]


def _among(wanted: Micros, ascending: Micros) -> Mask:
    """Which of `wanted` are in `ascending`. Many times faster than np.isin, which cannot know the order."""
    if len(ascending) == 0:
        return np.zeros(len(wanted), np.bool_)
    position = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    mask: Mask = ascending[position] == wanted
    return mask


def _marks(starts: Micros, ends: Micros, step: int, offset: int) -> Micros:
    """The grid's marks (every `step`, shifted by `offset`) whose bars overlap the ascending `[start, end)`."""
    firsts = (starts - offset) // step * step + offset
    counts = np.where(ends > starts, -((firsts - ends) // step), 0)
    positions = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    marks: Micros = np.repeat(firsts, counts) + positions * step
    repeats: Mask = marks[1:] == marks[:-1]  # a bar that overlaps two stretches
    return np.delete(marks, np.flatnonzero(repeats))


def _offset(market: Market, interval: Interval) -> int:
    return _micros(market.hour_mark) if interval is Interval.H1 else 0


def _intraday_step(interval: Interval) -> int:
    width = _width(interval)
    if width >= DAY:
        raise BadInput(
            f"The calendar has no grid for {interval.value} bars",
            next_step="Ask for 1d or a narrower interval.",
        )
    return width


def _width(interval: Interval) -> int:
    if interval.delta is None:
        raise BadInput("A month has no fixed width", next_step="Ask for a fixed interval.")
    return _micros(interval.delta)


def _micros(width: timedelta) -> int:
    return width // timedelta(microseconds=1)
