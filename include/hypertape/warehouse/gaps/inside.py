"""Holes inside sessions, as entries of the gap ledger.

What is missing is `holes`' to say, from the bars of the sessions that were looked at and what was learned of the
series. Why it is missing: a refused row that waits in quarantine, a known halt, the last load whose window holds all of
it (failed, or answered), or nobody asked. A hole that grows, shrinks or changes its reason keeps its row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from hypertape.calendars import expected_times
from hypertape.calendars.halts import halts_of
from hypertape.frame import Micros, find_times, instant, micros
from hypertape.model import Window, midnight
from hypertape.queries import query
from hypertape.warehouse.gaps.difference import ARRIVED, NOT_DUE
from hypertape.warehouse.gaps.grid import Grid, Series, Span, span_arrays
from hypertape.warehouse.gaps.holes import Habit, Hole, Openings, find_holes, learn
from hypertape.warehouse.loading.stored import relation
from hypertape.warehouse.pg_binary import TimeArray, array_cursor

Connection = psycopg.Connection[Any]

_TICKERS_AT_ONCE = 20
_LEARN_AGAIN = 20
"""Sessions that are looked at from which a habit is learned anew; fewer say less than what was learned before."""


@dataclass(frozen=True, slots=True)
class Found:
    """A hole of a ticker with its reason, and the ledger's row that it takes over."""

    ticker: str
    hole: Hole
    reason: str
    detail: str | None
    gap_id: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An open hole of the ledger; `key` is what makes it the same."""

    gap_id: int
    ticker: str
    first: int
    end: int
    rest: tuple[int, int, str, str | None]


class HoleLedger:
    """One look at the holes of a market and (intraday) interval over the spans in which bars are read.

    `close` and `write` are apart because a session's own entry may start where a hole did: holes that are gone go
    first, and new ones come last.
    """

    def __init__(
        self,
        connection: Connection,
        grid: Grid,
        series: Mapping[str, Series],
        spans: Mapping[str, Span],
        hulls: Mapping[str, Span],
    ) -> None:
        self.connection, self.grid, self.series = connection, grid, series
        assert grid.interval.delta is not None
        self.width = int(grid.interval.delta.total_seconds()) * 1_000_000
        self.names = {"market": grid.market.code, "interval": grid.interval.value}
        self.joined = len(grid) > 1 and bool((grid.closes[:-1] == grid.starts[1:]).all())
        self.parts = {
            ticker: part
            for ticker, span in spans.items()
            if (part := self._widened(grid.positions(span), hulls[ticker])).start < part.stop
        }
        self.old = self._read_open()
        self.habits: dict[str, Habit] = {}
        self.found = self._explain(dict(self._find()))
        self._claim()

    def _widened(self, part: slice, hull: Span) -> slice:
        """A session more on either side where the market never closes: a hole may go over midnight."""
        if not self.joined or part.start >= part.stop:
            return part
        known = self.grid.positions(hull)
        return slice(max(part.start - 1, known.start), min(part.stop + 1, known.stop))

    def _read_open(self) -> list[Kept]:
        rows = self.connection.execute(query("gap_inside_open"), self.names).fetchall()
        return [
            Kept(number, ticker, micros(a), micros(b), tuple(rest)) for number, ticker, a, b, *rest in rows
        ]

    def _find(self) -> Iterator[tuple[str, list[Hole]]]:
        rows = self.connection.execute(query("gap_habits"), self.names).fetchall()
        known = {ticker: Habit(ordinary, tuple(unusual)) for ticker, ordinary, unusual in rows}
        openings = self._openings()
        for ticker, times in self._times():
            part, one = self.parts[ticker], self.series.get(ticker)
            low, high = np.searchsorted(openings.session, [part.start, part.stop])
            due = Openings(
                *(column[low:high] for column in (openings.times, openings.session, openings.mark))
            )
            present = find_times(due.times, times)[0]
            if ticker not in known or len(np.unique(due.session[present])) >= _LEARN_AGAIN:
                self.habits[ticker] = learn(due, present)
            habit = self.habits.get(ticker) or known[ticker]
            self.habits[ticker] = habit
            bounds = (
                (int(times[0]), int(times[-1]))
                if one is None or one.first is None
                else (one.first, one.last or 0)
            )
            yield ticker, find_holes(due, present, habit, bounds, joined=self.joined)

    def _openings(self) -> Openings:
        first = min((part.start for part in self.parts.values()), default=0)
        stop = max((part.stop for part in self.parts.values()), default=0)
        if stop <= first:
            none = np.empty(0, np.int64)
            return Openings(none, none, none)
        grid = self.grid
        window = Window(
            instant(int(grid.starts[first]) - self.width), instant(int(grid.closes[stop - 1]) + self.width)
        )
        times = expected_times(grid.market, grid.interval, window)
        return Openings.of(times, grid.firsts, np.minimum(grid.lasts, grid.closes - 1))

    def _times(self) -> Iterator[tuple[str, Micros]]:
        statement = query("gap_times").format(bars=relation(self.grid.market, self.grid.interval))
        tickers = list(self.parts)
        for at in range(0, len(tickers), _TICKERS_AT_ONCE):
            some = tickers[at : at + _TICKERS_AT_ONCE]
            lows = np.array([self.grid.firsts[self.parts[ticker].start] for ticker in some])
            highs = np.array([self.grid.lasts[self.parts[ticker].stop - 1] for ticker in some])
            with array_cursor(self.connection) as cursor:
                rows = cursor.execute(statement, span_arrays(some, lows, highs)).fetchall()
            for ticker, times in rows:
                yield ticker, np.asarray(times, np.int64)

    def _explain(self, holes: Mapping[str, Sequence[Hole]]) -> list[Found]:
        listed = [(ticker, hole) for ticker, some in sorted(holes.items()) for hole in some]
        if not listed:
            return []
        loads, refused = self._loads(listed), self._refused(sorted({ticker for ticker, _ in listed}))
        return [Found(ticker, hole, *self._reason(ticker, hole, loads, refused)) for ticker, hole in listed]

    def _reason(
        self,
        ticker: str,
        hole: Hole,
        loads: Mapping[str, list[Any]],
        refused: Mapping[str, list[tuple[int, str]]],
    ) -> tuple[str, str | None]:
        end = hole.last + self.width
        rule = next((rule for at, rule in refused.get(ticker, ()) if hole.first <= at < end), None)
        if rule is not None:
            return "fetch failed", f"refused: {rule}; the row is in quarantine"
        for halt in halts_of(self.grid.market.calendar):
            inside = micros(midnight(halt.first)) <= hole.first < micros(midnight(halt.last)) + 86_400_000_000
            if inside and (halt.tickers is None or ticker in halt.tickers):
                return "halted", f"{halt.reason} ({halt.source})"
        covering = [load for load in loads.get(ticker, ()) if load[0] <= hole.first and load[1] >= end]
        if not covering:
            return "unknown", str(self.habits[ticker])
        answered, error = covering[-1][2:]
        return (
            ("provider empty", str(self.habits[ticker]))
            if answered
            else ("fetch failed", error or "the load failed")
        )

    def _loads(
        self, listed: Sequence[tuple[str, Hole]]
    ) -> dict[str, list[tuple[int, int, bool, str | None]]]:
        """Per ticker the loads that touch one of its holes, oldest first: start, end, answered, error."""
        parameters = {
            **self.names,
            "tickers": [ticker for ticker, _ in listed],
            "starts": TimeArray(np.array([hole.first for _, hole in listed], np.int64)),
            "ends": TimeArray(np.array([hole.last + self.width for _, hole in listed], np.int64)),
        }
        with array_cursor(self.connection) as cursor:
            rows = cursor.execute(query("gap_loads"), parameters).fetchall()
        found: dict[str, list[tuple[int, int, bool, str | None]]] = defaultdict(list)
        for _, ticker, start, end, answered, error in rows:
            found[ticker].append((micros(start), micros(end), answered, error))
        return found

    def _refused(self, tickers: list[str]) -> dict[str, list[tuple[int, str]]]:
        rows = self.connection.execute(query("gap_refused"), self.names | {"tickers": tickers}).fetchall()
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for ticker, time, rule in rows:
            found[ticker].append((micros(time), rule))
        return found

    def _claim(self) -> None:
        """Settle which rows stay as they are, which are rewritten, and which are gone."""
        looked = [entry for entry in self.old if self._looked_at(entry)]
        free: dict[str, list[Kept]] = defaultdict(list)
        for entry in looked:
            free[entry.ticker].append(entry)
        self.rows: list[Found] = []
        self.unchanged: list[Found] = []
        for found in self.found:
            end = found.hole.last + self.width
            heirs = [e for e in free[found.ticker] if e.first < end and found.hole.first < e.end]
            heir = min(heirs, key=lambda e: e.first != found.hole.first, default=None)
            if heir is not None:
                free[found.ticker].remove(heir)
            same = heir is not None and (heir.first, heir.end, heir.rest) == (
                found.hole.first, end, (found.hole.bars, found.hole.sessions, found.reason, found.detail),
            )  # fmt: skip
            row = Found(found.ticker, found.hole, found.reason, found.detail, heir.gap_id if heir else None)
            (self.unchanged if same else self.rows).append(row)
        self.gone = [entry for entries in free.values() for entry in entries]
        self.elsewhere = [entry for entry in self.old if entry not in looked]

    def _looked_at(self, entry: Kept) -> bool:
        part = self.parts.get(entry.ticker)
        if part is None:
            return False
        return bool(
            entry.first < self.grid.closes[part.stop - 1] and entry.end > self.grid.starts[part.start]
        )

    def close(self, run_id: str, now: datetime) -> None:
        """Close the holes that are gone: their bars arrived, or the series is known to leave them out."""
        if not self.gone:
            return
        present = dict(self._present(self.gone))
        reasons = [ARRIVED if present.get(entry.gap_id) else NOT_DUE for entry in self.gone]
        self.connection.execute(
            query("gap_inside_close"),
            {"gap_ids": [e.gap_id for e in self.gone], "reasons": reasons, "run_id": run_id, "now": now},
        )

    def _present(self, entries: Sequence[Kept]) -> Iterator[tuple[int, bool]]:
        """Whether there is a bar now where each of some holes was."""
        statement = query("gap_times").format(bars=relation(self.grid.market, self.grid.interval))
        for entry in entries:
            span = span_arrays([entry.ticker], np.array([entry.first]), np.array([entry.end - 1]))
            with array_cursor(self.connection) as cursor:
                yield entry.gap_id, bool(cursor.execute(statement, span).fetchall())

    def write(self, run_id: str, now: datetime) -> None:
        """Write what is new or other than it was, and what was learned."""
        if self.rows:
            self.connection.execute(query("gap_inside_write"), self._columns(run_id, now))
        if self.habits:
            parameters = {
                **self.names,
                "tickers": list(self.habits),
                "ordinary": [habit.ordinary for habit in self.habits.values()],
                "unusual": ["{" + ",".join(map(str, habit.unusual)) + "}" for habit in self.habits.values()],
            }
            self.connection.execute(query("gap_keep_habits"), parameters)

    def _columns(self, run_id: str, now: datetime) -> dict[str, Any]:
        return {
            **self.names,
            "run_id": run_id,
            "now": now,
            "gap_ids": [row.gap_id for row in self.rows],
            "tickers": [row.ticker for row in self.rows],
            "starts": [instant(row.hole.first) for row in self.rows],
            "ends": [instant(row.hole.last + self.width) for row in self.rows],
            "bars": [row.hole.bars for row in self.rows],
            "sessions": [row.hole.sessions for row in self.rows],
            "reasons": [row.reason for row in self.rows],
            "details": [row.detail for row in self.rows],
        }

    @property
    def open_sessions(self) -> Counter[str]:
        """Sessions that have a hole, by its reason."""
        counted: Counter[str] = Counter()
        for row in (*self.rows, *self.unchanged):
            counted[row.reason] += row.hole.sessions
        for entry in self.elsewhere:
            counted[entry.rest[2]] += entry.rest[1]
        return counted
