"""What the warehouse knows about missing sessions, as the matrices the rules judge (`rules.Facts`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from hypertape.calendars.halts import halts_of
from hypertape.frame import Micros, micros
from hypertape.model import Interval, midnight
from hypertape.queries import query
from hypertape.warehouse.gaps.grid import Grid, Series, span_arrays
from hypertape.warehouse.gaps.rules import (
    Elsewhere,
    Facts,
    Ints,
    Mask,
    Run,
    possible_halts,
    possible_holidays,
    runs_of,
)
from hypertape.warehouse.loading.stored import relation
from hypertape.warehouse.pg_binary import TimeArray, array_cursor

Connection = psycopg.Connection[Any]


@dataclass
class Notes:
    """Texts behind the reasons, as numbers: 0 is none."""

    texts: list[str | None] = field(default_factory=lambda: [None])
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """The number of a text."""
        if text not in self.numbers:
            self.numbers[text] = len(self.texts)
            self.texts.append(text)
        return self.numbers[text]


def gather(
    connection: Connection, grid: Grid, tickers: Sequence[str], series: Mapping[str, Series], missing: Mask
) -> tuple[Facts, npt.NDArray[np.int32], Notes]:
    """The facts about the missing cells, and per cell the number of the text behind it."""
    notes = Notes()
    refused = _refused(connection, grid, tickers, missing, notes)
    halted = _known_halts(grid, tickers, notes)
    answers, empty, failed = _loads(connection, grid, tickers, missing, notes)
    known = [series.get(ticker, Series(None, None, None, None)) for ticker in tickers]
    firsts = _vector([one.first for one in known])
    listed = _vector([one.listed for one in known])
    first = np.searchsorted(grid.lasts, firsts, "left")
    gone = _gone(connection, grid, tickers)
    facts = Facts(
        missing=missing,
        answers=answers,
        empty=empty,
        failed=failed > 0,
        refused=refused > 0,
        known_halt=halted > 0,
        gone=gone,
        has_bars=np.array([one.first is not None for one in known], np.bool_),
        first=first,
        last=np.searchsorted(grid.firsts, _vector([one.last for one in known]), "right") - 1,
        listed=np.minimum(first, np.searchsorted(grid.closes, listed, "right")),
    )
    return facts, np.where(refused > 0, refused, np.where(failed > 0, failed, halted)).astype(np.int32), notes


def look_elsewhere(connection: Connection, grid: Grid, tickers: Sequence[str], facts: Facts) -> Elsewhere:
    """Ask the other intervals about possible halts and holidays."""
    found = Elsewhere(np.zeros(facts.missing.shape, np.bool_), np.zeros(len(grid), np.bool_))
    runs, holidays = possible_halts(facts), possible_holidays(facts)
    for other in grid.market.intervals:
        if other is grid.interval:
            continue
        for run in _traded_runs(connection, grid, tickers, runs, other):
            found.ticker[run.ticker, run.first : run.last + 1] = True
        found.anybody[_traded_sessions(connection, grid, holidays, other)] = True
    return found


def _traded_sessions(connection: Connection, grid: Grid, positions: Ints, other: Interval) -> list[int]:
    """Those of some sessions in which another interval has a bar with volume of anybody."""
    if len(positions) == 0:
        return []
    lows, highs = _within_sessions(grid, positions, positions, other)
    statement = query("gap_market_open").format(bars=relation(grid.market, other))
    names = {"market": grid.market.code, "interval": other.value}
    with array_cursor(connection) as cursor:
        rows = cursor.execute(statement, span_arrays([], lows, highs) | names).fetchall()
    return [int(positions[place - 1]) for (place,) in rows]


def _within_sessions(grid: Grid, firsts: Ints, lasts: Ints, other: Interval) -> tuple[Micros, Micros]:
    """The openings that bars of another interval may have in some sessions, both ends included."""
    daily = other is Interval.D1
    return grid.dates[firsts], grid.dates[lasts] if daily else grid.closes[lasts]


def _traded_runs(
    connection: Connection, grid: Grid, tickers: Sequence[str], runs: Sequence[Run], other: Interval
) -> list[Run]:
    if not runs:
        return []
    firsts, lasts = np.array([run.first for run in runs]), np.array([run.last for run in runs])
    lows, highs = _within_sessions(grid, firsts, lasts, other)
    statement = query("gap_traded_elsewhere").format(bars=relation(grid.market, other))
    with array_cursor(connection) as cursor:
        rows = cursor.execute(
            statement, span_arrays([tickers[run.ticker] for run in runs], lows, highs)
        ).fetchall()
    return [runs[place - 1] for (place,) in rows]


def _loads(
    connection: Connection, grid: Grid, tickers: Sequence[str], missing: Mask, notes: Notes
) -> tuple[Ints, Mask, npt.NDArray[np.int32]]:
    """How many loads answered, where the last one did, and (a text's number) where the last one failed."""
    answers, empty = np.zeros(missing.shape, np.int64), np.zeros(missing.shape, np.bool_)
    failed = np.zeros(missing.shape, np.int32)
    runs = runs_of(missing.astype(np.int64))
    if len(runs) == 0:
        return answers, empty, failed
    parameters = {
        "market": grid.market.code,
        "interval": grid.interval.value,
        "tickers": [tickers[row] for row in runs[:, 0]],
        "starts": TimeArray(grid.starts[runs[:, 1]]),
        "ends": TimeArray(grid.closes[runs[:, 2]]),
    }
    with array_cursor(connection) as cursor:
        rows = cursor.execute(query("gap_loads"), parameters).fetchall()
    row_of = {ticker: row for row, ticker in enumerate(tickers)}
    for _, ticker, start, end, was_answered, error in rows:
        cells = (row_of[ticker], grid.positions((micros(start), micros(end))))
        empty[cells] = was_answered
        answers[cells] += was_answered
        failed[cells] = 0 if was_answered else notes.number(error or "the load failed")
    return answers * missing, empty & missing, np.where(missing, failed, 0).astype(np.int32)


def _refused(
    connection: Connection, grid: Grid, tickers: Sequence[str], missing: Mask, notes: Notes
) -> npt.NDArray[np.int32]:
    """Where a row for a missing session lies in quarantine."""
    found = np.zeros(missing.shape, np.int32)
    concerned = [tickers[row] for row in np.flatnonzero(missing.any(axis=1)).tolist()]
    if not concerned:
        return found
    row_of = {ticker: row for row, ticker in enumerate(tickers)}
    names = {"market": grid.market.code, "interval": grid.interval.value, "tickers": concerned}
    for ticker, time, rule in connection.execute(query("gap_refused"), names).fetchall():
        at = int(np.searchsorted(grid.starts, micros(time), "right")) - 1
        if at >= 0 and micros(time) <= grid.ends[at] - (grid.interval is Interval.D1):
            found[row_of[ticker], at] = notes.number(f"refused: {rule}; the row is in quarantine")
    return np.where(missing, found, 0).astype(np.int32)


def _known_halts(grid: Grid, tickers: Sequence[str], notes: Notes) -> npt.NDArray[np.int32]:
    found = np.zeros((len(tickers), len(grid)), np.int32)
    for halt in halts_of(grid.market.calendar):
        first = np.searchsorted(grid.dates, micros(midnight(halt.first)), "left")
        end = np.searchsorted(grid.dates, micros(midnight(halt.last)), "right")
        rows = [row for row, ticker in enumerate(tickers) if halt.tickers is None or ticker in halt.tickers]
        found[rows, first:end] = notes.number(f"{halt.reason} ({halt.source})")
    return found


def _gone(connection: Connection, grid: Grid, tickers: Sequence[str]) -> Mask:
    """The sessions after the instant since which no list of symbols has a ticker."""
    found = np.zeros((len(tickers), len(grid)), np.bool_)
    row_of = {ticker: row for row, ticker in enumerate(tickers)}
    names = {"market": grid.market.code, "tickers": list(tickers)}
    for ticker, since in connection.execute(query("gap_delisted"), names).fetchall():
        found[row_of[ticker]] = grid.closes > micros(since)
    return found


def _vector(values: Sequence[int | None]) -> Ints:
    return np.array([0 if value is None else value for value in values], np.int64)
