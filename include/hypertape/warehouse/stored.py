"""What the warehouse already holds around the bars of a load, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from hypertape.frame import Bars, instant, micros
from hypertape.model import LONGEST_LOOKBACK, VALUE_COLUMNS, Interval, Market
from hypertape.queries import query
from hypertape.warehouse.wire import array_cursor

Connection = psycopg.Connection[Any]

_GUESS = {Interval.D1: timedelta(days=420), Interval.H1: timedelta(days=70), Interval.M1: timedelta(days=12)}
"""A span that usually holds LONGEST_LOOKBACK bars, weekends and holidays included; widened when it does not."""


@dataclass(frozen=True, slots=True)
class SeriesState:
    """One row of `series`: the span of a stored series (int64 µs) and its open bar, if any."""

    first: int
    last: int
    provisional: int | None


def relation(market: Market, interval: Interval) -> sql.Identifier:
    """The stored relation, `bars.market_data_1d`."""
    return sql.Identifier("bars", market.relation(interval))


def series_states(connection: Connection, market: Market, interval: Interval, tickers: Sequence[str]) -> dict[str, SeriesState]:
    """Return the state of every ticker that has bars."""
    rows = connection.execute(query("series_states"), (market.code, interval.value, list(tickers))).fetchall()
    return {
        ticker: SeriesState(micros(first), micros(last), None if open_bar is None else micros(open_bar))
        for ticker, first, last, open_bar in rows
    }


def read_stored(
    connection: Connection, market: Market, interval: Interval, tickers: Sequence[str], start: int, end: int
) -> dict[str, Bars]:
    """Return the bars of [start, end) (µs) of every ticker that has some, each sorted by time."""
    if not tickers or start >= end:
        return {}
    statement = query("stored_arrays").format(bars=relation(market, interval))
    bounds = (list(tickers), instant(start), instant(end))
    with array_cursor(connection) as cursor:
        rows = cursor.execute(statement, bounds).fetchall()
    return {ticker: _sorted(Bars(*columns)) for ticker, *columns in rows}


def read_neighbours(
    connection: Connection,
    market: Market,
    interval: Interval,
    states: Mapping[str, SeriesState],
    spans: Mapping[str, tuple[int, int]],
) -> dict[str, tuple[Bars, Bars]]:
    """Return, per ticker, at least LONGEST_LOOKBACK stored bars before and after its span [first, last] (µs).

    Fewer come back only where the series has no more. Tickers without a state are left out.
    """
    found = {ticker: (Bars.empty(), Bars.empty()) for ticker in spans if ticker in states}
    reach = int(_GUESS[interval] / timedelta(microseconds=1))
    lacking = _lacking(found, states, spans)
    while lacking:
        lowest = min(spans[ticker][0] for ticker in lacking)
        highest = max(spans[ticker][1] for ticker in lacking)
        inside_low, inside_high = max(spans[t][0] for t in lacking), min(spans[t][1] for t in lacking)
        before = read_stored(connection, market, interval, lacking, lowest - reach, inside_low)
        after = read_stored(connection, market, interval, lacking, inside_high + 1, highest + reach + 1)
        for ticker in lacking:
            first, last = spans[ticker]
            early, late = before.get(ticker, Bars.empty()), after.get(ticker, Bars.empty())
            found[ticker] = (early.take(early.time < first), late.take(late.time > last))
        reach *= 4
        lacking = [t for t in _lacking(found, states, spans) if not _exhausted(states[t], spans[t], reach // 4)]
    return found


def _lacking(
    found: Mapping[str, tuple[Bars, Bars]],
    states: Mapping[str, SeriesState],
    spans: Mapping[str, tuple[int, int]],
) -> list[str]:
    """Tickers with too few neighbours although the series reaches further."""
    return [
        ticker
        for ticker, (before, after) in found.items()
        if (len(before) < LONGEST_LOOKBACK and _reaches_before(states[ticker], before, spans[ticker]))
        or (len(after) < LONGEST_LOOKBACK and _reaches_after(states[ticker], after, spans[ticker]))
    ]


def _reaches_before(state: SeriesState, before: Bars, span: tuple[int, int]) -> bool:
    return state.first < (int(before.time[0]) if len(before) else span[0])


def _reaches_after(state: SeriesState, after: Bars, span: tuple[int, int]) -> bool:
    return state.last > (int(after.time[-1]) if len(after) else span[1])


def _exhausted(state: SeriesState, span: tuple[int, int], reach: int) -> bool:
    """True once a read of `reach` on both sides has covered the whole series."""
    return span[0] - reach <= state.first and span[1] + reach >= state.last


def _sorted(bars: Bars) -> Bars:
    return bars if np.all(bars.time[1:] > bars.time[:-1]) else bars.take(np.argsort(bars.time, kind="stable"))


def span_instants(first: int, last: int) -> tuple[datetime, datetime]:
    """Both ends as instants."""
    return instant(first), instant(last)


assert VALUE_COLUMNS == Bars.__match_args__[1:], "the arrays query returns the columns in this order"
