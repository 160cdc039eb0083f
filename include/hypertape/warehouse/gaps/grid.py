"""The sessions a gap ledger is about, and what is stored of each ticker in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from hypertape.calendars.exchange import DAY, Days
from hypertape.frame import Micros, instant, micros
from hypertape.model import Interval, Market
from hypertape.queries import query
from hypertape.warehouse.gaps.rules import Mask
from hypertape.warehouse.loading.stored import relation
from hypertape.warehouse.pg_binary import TimeArray, array_cursor

Connection = psycopg.Connection[Any]

Span = tuple[int, int]
"""A half-open span of time, int64 microseconds since 1970 UTC."""


@dataclass(frozen=True)
class Grid:
    """The sessions a ledger is about, as arrays (int64 microseconds): one position each.

    `starts` and `ends` are what a ledger entry shows. A bar belongs to a session when it opens from `firsts` to `lasts`
    (both included); a load covers it when its window holds `starts` to `closes`.
    """

    market: Market
    interval: Interval
    dates: Micros
    starts: Micros
    ends: Micros
    firsts: Micros
    lasts: Micros
    closes: Micros

    @classmethod
    def of(cls, market: Market, interval: Interval, days: Days) -> Grid:
        """The grid of an interval over a calendar's sessions."""
        if interval is Interval.D1:
            dates = days.dates
            return cls(market, interval, dates, dates, dates + DAY, dates, dates, days.closes)
        assert interval.delta is not None
        width = int(interval.delta.total_seconds()) * 1_000_000
        firsts = days.opens - width + 1
        return cls(market, interval, days.dates, days.opens, days.closes, firsts, days.closes, days.closes)

    def __len__(self) -> int:
        return len(self.dates)

    def positions(self, span: Span) -> slice:
        """The sessions that lie wholly in a span."""
        first = int(np.searchsorted(self.starts, span[0], "left"))
        return slice(first, max(first, int(np.searchsorted(self.closes, span[1], "right"))))

    def touched(self, span: Span) -> tuple[int, int]:
        """First and last position of the sessions between an entry's start and end; reversed when there is none."""
        first, end = (
            np.searchsorted(self.ends, span[0], "right"),
            np.searchsorted(self.starts, span[1], "left"),
        )
        return int(first), int(end) - 1


@dataclass(frozen=True, slots=True)
class Series:
    """One ticker: what was judged of it, its first and last bar, and its first of any interval; None: there is none."""

    judged: Span | None
    first: int | None
    last: int | None
    listed: int | None


def read_series(connection: Connection, market: Market, interval: Interval) -> dict[str, Series]:
    """Every ticker that was judged or has bars."""
    names = {"market": market.code, "interval": interval.value}
    rows = connection.execute(query("gap_spans"), names).fetchall()
    return {
        ticker: Series(None if start is None else (micros(start), micros(end)), *map(_micros, rest))
        for ticker, start, end, *rest in rows
    }


def read_asked(
    connection: Connection,
    market: Market,
    interval: Interval,
    run_id: str | None,
    tickers: Sequence[str] | None,
) -> dict[str, Span]:
    """The span each ticker was asked for: by one run, or by any."""
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "run_id": run_id,
        "tickers": None if tickers is None else list(tickers),
    }
    rows = connection.execute(query("gap_asked"), parameters).fetchall()
    return {ticker: (micros(start), micros(end)) for ticker, start, end in rows}


def read_present(connection: Connection, grid: Grid, wanted: Mapping[str, slice]) -> dict[str, Mask]:
    """Per ticker, which of the wanted sessions have a bar."""
    asked = {ticker: part for ticker, part in wanted.items() if part.start < part.stop}
    found = {ticker: np.zeros(len(grid), np.bool_) for ticker in wanted}
    if not asked:
        return found
    lows = np.array([grid.firsts[part.start] for part in asked.values()])
    highs = np.array([grid.lasts[part.stop - 1] for part in asked.values()])
    parameters = span_arrays(list(asked), lows, highs)
    daily = grid.interval is Interval.D1
    if daily:
        parameters |= {"highs": TimeArray(highs + 1), "high": instant(int(highs.max()) + 1)}
    else:
        parameters |= {"firsts": TimeArray(grid.firsts), "lasts": TimeArray(grid.lasts)}
    statement = query("gap_daily_bars" if daily else "gap_traded_sessions").format(
        bars=relation(grid.market, grid.interval)
    )
    with array_cursor(connection) as cursor:
        rows = cursor.execute(statement, parameters).fetchall()
    for ticker, seen in rows:
        at = np.searchsorted(grid.dates, seen) if daily else np.array(seen, np.int64) - 1
        found[ticker][at[grid.dates[np.minimum(at, len(grid) - 1)] == seen] if daily else at] = True
    return found


def span_arrays(tickers: list[str], lows: Micros, highs: Micros) -> dict[str, Any]:
    """The parameters of statements that look at one span per ticker: arrays, and their extremes for pruning."""
    return {
        "tickers": tickers,
        "lows": TimeArray(lows),
        "highs": TimeArray(highs),
        "low": instant(int(lows.min())),
        "high": instant(int(highs.max())),
    }


def entry_span(grid: Grid, first: int, last: int) -> tuple[datetime, datetime]:
    """What an entry over some sessions shows as start and end."""
    return instant(int(grid.starts[first])), instant(int(grid.ends[last]))


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)
