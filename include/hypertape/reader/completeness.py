"""Which bars of a request are not there, and why: what `complete=True` raises for.

The gap ledger knows what is missing from a series' first bar on. What lies before it counts for a request that names a
start, and what lies after its last bar for one that names an end: also sessions that nobody has loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from hypertape import calendars
from hypertape.errors import Incomplete, MissingBars
from hypertape.model import EXPLAINED, Interval, midnight
from hypertape.reader.request import BarRequest
from hypertape.reader.statements import Connection, Span
from hypertape.warehouse.gaps.healing import GapFilter, list_gaps

_ONE, _DAY = timedelta(microseconds=1), timedelta(days=1)


def require_complete(
    connection: Connection, request: BarRequest, spans: Sequence[Span], now: datetime
) -> None:
    """Raise Incomplete when bars are missing that nothing explains (`model.EXPLAINED` does)."""
    if found := missing_bars(connection, request, spans, now):
        raise Incomplete.of(f"{request.market.code} {request.interval}", found)


def missing_bars(
    connection: Connection, request: BarRequest, spans: Sequence[Span], now: datetime
) -> list[MissingBars]:
    """What is missing of a request, by ticker and time; `now` (UTC) is the instant until which sessions count."""
    interval = request.interval.base
    wanted = GapFilter(
        (request.market.code,),
        (interval.value,),
        tuple(span.ticker for span in spans),
        start=request.start,
        end=request.end,
    )
    begins = {span.ticker: span.first for span in spans}
    entries = [
        entry
        for entry in list_gaps(connection, wanted)
        if request.start is not None or entry["end_time"] > begins[entry["ticker"]]
    ]
    found = [
        MissingBars(e["ticker"], e["start_time"], e["end_time"], e["bars"], e["reason"], e["detail"])
        for e in entries
        if e["reason"] not in EXPLAINED
    ]
    noted = {(e["ticker"], e["start_time"]) for e in entries}
    for span in spans:
        found += _outside(request, span, now, noted)
    return sorted(found, key=lambda each: (each.ticker, each.start))


def _outside(
    request: BarRequest, span: Span, now: datetime, noted: set[tuple[str, datetime]]
) -> list[MissingBars]:
    """Sessions of the asked window before the first bar and after the last that no entry of the ledger speaks of."""
    before = any(name == span.ticker and start < span.first for name, start in noted)
    after = any(name == span.ticker and start > span.last for name, start in noted)
    found = []
    if request.start is not None and not before:
        found.append(_sessions(request, span.ticker, request.start, span.first, now, "before its first bar"))
    if request.end is not None and not after:
        found.append(
            _sessions(request, span.ticker, span.last + _ONE, request.end, now, "after its last bar")
        )
    return [each for each in found if each is not None]


def _sessions(
    request: BarRequest, ticker: str, start: datetime, end: datetime, now: datetime, where: str
) -> MissingBars | None:
    """The whole sessions between two instants that are over at `now`; None when there is none."""
    if start >= end:
        return None
    daily = request.interval.base is Interval.D1
    days = calendars.sessions(request.market, start.date() - _DAY, min(end, now).date() + 2 * _DAY)
    found = [
        (low, high)
        for session in days
        if session.closes <= now
        for low, high in [_bars_of(session.date, session.opens, session.closes, daily)]
        if start <= low and (high <= end or (daily and low < end))
    ]
    if not found:
        return None
    return MissingBars(
        ticker, found[0][0], found[-1][1], None, "not loaded", f"{len(found)} sessions {where}"
    )


def _bars_of(day: date, opens: datetime, closes: datetime, daily: bool) -> tuple[datetime, datetime]:
    """Between which instants the bars of a session lie."""
    return (midnight(day), midnight(day) + _DAY) if daily else (opens, closes)
