"""Minutes finalised from stored ticks, in event time, and proven equal to the candles of the same ticks.

When a minute is final is decided here, by the ticks' own time: once a tick lies later than its end by the allowed
lateness. What is in it is read from the stored ticks, so that a restart, several streams at once, a tick sent twice
or ticks out of order change nothing. A tick that comes after that corrects the bar: `corrected_at` and the log say so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from hypertape.errors import HypertapeError
from hypertape.frame import instant, micros
from hypertape.model import Window
from hypertape.queries import query
from hypertape.stream.model import MINUTE, Tick
from hypertape.stream.symbols import MARKET
from hypertape.warehouse.connect import connect
from hypertape.warehouse.pg_binary import TimeArray, array_cursor

Connection = psycopg.Connection[Any]
Minute = tuple[str, int]
"""A symbol and the opening of a minute in µs since 1970."""

_AT_ONCE = 5_000
"""Minutes that one statement builds."""

_log = logging.getLogger(__name__)


class MinuteClock:
    """Which minutes are final, by event time. `lateness` in µs."""

    def __init__(self, lateness: int) -> None:
        self._lateness = lateness
        self._newest: int | None = None
        self._open: set[Minute] = set()
        self._due: set[Minute] = set()

    def touch(self, ticks: Iterable[Tick]) -> None:
        """Note where ticks came. One for a minute that was final already makes it due again."""
        touched = {(tick.symbol, tick.time // MINUTE * MINUTE) for tick in ticks}
        newest = max((tick.time for tick in ticks), default=None)
        for minute in touched:
            (self._due if self._is_final(minute) else self._open).add(minute)
        if newest is not None and (self._newest is None or newest > self._newest):
            self._newest = newest

    def take(self, *, idle: bool = False) -> set[Minute]:
        """The minutes that are final and not built since; when nothing comes any more (`idle`), all that were
        touched."""
        final = {minute for minute in self._open if idle or self._is_final(minute)}
        self._open -= final
        due, self._due = self._due | final, set()
        return due

    def give_back(self, minutes: Iterable[Minute]) -> None:
        """They could not be built: they stay due."""
        self._due |= set(minutes)

    def _is_final(self, minute: Minute) -> bool:
        return self._newest is not None and minute[1] + MINUTE + self._lateness <= self._newest


@dataclass(frozen=True, slots=True)
class BuiltBar:
    """A bar that was written: new, or corrected by late ticks."""

    symbol: str
    time: datetime
    corrected: bool


class BarStream:
    """Builds `bars_1m` behind a writer of ticks: give its `touch` as `on_stored`, and call `build` now and then."""

    def __init__(self, dsn: str, *, lateness: float = 5.0) -> None:
        self._dsn = dsn
        self._clock = MinuteClock(round(lateness * 1_000_000))
        self.built = self.corrected = 0

    def touch(self, ticks: Sequence[Tick]) -> None:
        """Note stored ticks."""
        self._clock.touch(ticks)

    async def build(self, *, idle: bool = False) -> list[BuiltBar]:
        """Write the bars that are due; return those that changed. A database that is away leaves them due.

        `idle`: nothing comes any more (the feed ended or is silent), so every minute that was touched is final.
        """
        due = self._clock.take(idle=idle)
        if not due:
            return []
        try:
            built = await asyncio.to_thread(self._with_connection, lambda c: build_bars(c, due))
        except HypertapeError as error:
            self._clock.give_back(due)
            _log.warning("%d bars wait: %s", len(due), error)
            return []
        self.built += len(built)
        for bar in built:
            if bar.corrected:
                self.corrected += 1
                _log.info("%s %s is corrected by a late tick", bar.symbol, f"{bar.time:%Y-%m-%d %H:%M}")
        return built

    def _with_connection(self, work: Callable[[Connection], list[BuiltBar]]) -> list[BuiltBar]:
        with connect(self._dsn, autocommit=True, application_name="hypertape stream") as connection:
            return work(connection)


@dataclass(frozen=True, slots=True)
class BarCheck:
    """`bars_1m` compared with the one-minute candles of a window; `differing` are the minutes that are not the same."""

    compared: int
    differing: tuple[Minute, ...]


def build_bars(connection: Connection, minutes: Iterable[Minute]) -> list[BuiltBar]:
    """Write the bars of these minutes from their stored ticks; return those that changed.

    Minutes without ticks, or older than raw ticks are kept, are left alone.
    """
    wanted = sorted(minutes, key=lambda minute: (minute[1], minute[0]))
    built: list[BuiltBar] = []
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        parameters = {
            "market": MARKET,
            "symbols": [symbol for symbol, _ in part],
            "times": TimeArray(np.array([time for _, time in part], np.int64)),
            "first_time": instant(part[0][1]),
            "end_time": instant(part[-1][1] + MINUTE),
        }
        with array_cursor(connection) as cursor:
            rows = cursor.execute(query("stream_build_bars"), parameters).fetchall()
        built += [BuiltBar(symbol, time, corrected) for symbol, time, corrected in rows]
    return built


def check_bars(connection: Connection, window: Window) -> BarCheck:
    """Compare the bars that open in a window with `ohlc_1m`, as far as raw ticks are kept. Candles must be refreshed
    before."""
    parameters = {"market": MARKET, "start": window.start, "end": window.end}
    rows = connection.execute(query("stream_check_bars"), parameters).fetchall()
    differing = tuple((symbol, micros(time)) for _, symbol, time in rows if symbol is not None)
    return BarCheck(rows[0][0] if rows else 0, differing)


def repair_bars(connection: Connection, window: Window) -> list[BuiltBar]:
    """Build the bars of a window that are not what their ticks say: after a kill, or written by somebody else."""
    return build_bars(connection, check_bars(connection, window).differing)
