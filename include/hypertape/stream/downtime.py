"""What came between an earlier run of a feed and this one: a gap, found from the ticks that are stored.

The last tick of an earlier run and its number are in the warehouse whatever ended it, a kill included. Once nothing
waits in the spool, the first tick of this run is compared with the newest stored before it: numbers between the two are
a gap (`sequence`); a feed whose count begins anew with each connection missed whatever came meanwhile (`reconnect`),
unless its calendar was closed all the time. A gap without an end that the earlier run left open gets one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape.calendars.exchange import open_time
from hypertape.frame import instant, micros
from hypertape.model import Window
from hypertape.queries import query
from hypertape.stream.gaps import add_gaps
from hypertape.stream.model import FeedGap, Tick
from hypertape.stream.symbols import MARKET

Connection = psycopg.Connection[Any]
Count = tuple[str, str | None]
"""A feed, and the symbol that counts its own ticks there (None: the feed counts)."""

LOOK_BACK = timedelta(days=7)
"""An earlier run's tick that is older is not looked for."""


@dataclass(frozen=True, slots=True)
class _Begun:
    tick: Tick
    """The tick with the lowest number that this run has of it."""
    heard_at: int


class Downtime:
    """Watches where counts begin in this run. `numbering` and `calendars` by the feed's name."""

    def __init__(self, numbering: dict[str, str], calendars: dict[str, str]) -> None:
        self._numbering, self._calendars = numbering, calendars
        self._begun: dict[Count, _Begun] = {}
        self._done: dict[str, frozenset[str | None]] = {}

    @property
    def waiting(self) -> bool:
        """Whether a count began that was not compared yet."""
        return bool(self._begun)

    def see(self, source: str, ticks: Sequence[Tick], heard_at: int) -> None:
        """Note ticks of a feed as they came, `heard_at` µs since 1970."""
        numbering = self._numbering[source]
        known = self._done.get(source, frozenset())
        if numbering == "none" or None in known:
            return
        for tick in ticks:
            if tick.symbol not in known:
                count = source, tick.symbol if numbering == "symbol" else None
                begun = self._begun.get(count)
                if begun is None or tick.sequence < begun.tick.sequence:
                    self._begun[count] = _Begun(tick, heard_at)

    def compare(self, connection: Connection, started: datetime) -> list[FeedGap]:
        """Note the gaps before what has begun, once; return them. `connection` is in autocommit mode; what was
        accepted is stored. Raises what `translate_errors` raises; what was not compared waits then.
        """
        begun = dict(self._begun)
        with connection.transaction():
            for source in {source for source, _ in begun}:
                first = min(each.tick.time for (feed, _), each in begun.items() if feed == source)
                connection.execute(query("stream_end_gaps"), (instant(first), source, started))
            found = [self._gap(connection, count, each, started) for count, each in begun.items()]
            gaps = [gap for gap in found if gap is not None]
            add_gaps(connection, gaps)
        for (
            count
        ) in begun:  # in a thread: `see` goes on meanwhile, so nothing that it reads is changed in place
            self._done[count[0]] = self._done.get(count[0], frozenset()) | {count[1]}
            self._begun.pop(count, None)
        return gaps

    def _gap(self, connection: Connection, count: Count, begun: _Begun, started: datetime) -> FeedGap | None:
        source, symbol = count
        by_session = self._numbering[source] == "session"
        first = begun.tick
        before = instant(max(first.time, begun.heard_at) if by_session else first.time)
        named = {
            "market": MARKET, "source": source, "symbol": symbol, "since": before - LOOK_BACK, "before": before,
            "stored_before": started if by_session else None,
        }  # fmt: skip
        row = connection.execute(query("stream_last_tick"), named).fetchone()
        if row is None:
            return None
        last, number = micros(row[0]), int(row[1])
        if not by_session:
            missed = first.sequence > number + 1
            return (
                FeedGap(source, symbol, "sequence", last, first.time, number, first.sequence)
                if missed
                else None
            )
        end = first.time if first.time > last else max(begun.heard_at, last)
        if not open_time(self._calendars[source], Window(instant(last), instant(end))):
            return None
        return FeedGap(source, None, "reconnect", last, end, None, None)
