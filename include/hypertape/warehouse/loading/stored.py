"""What the warehouse already holds around the bars of a load, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from hypertape.frame import Bars, Floats, Micros, instant, micros
from hypertape.model import LONGEST_LOOKBACK, VALUE_COLUMNS, Interval, Market
from hypertape.queries import query
from hypertape.warehouse.pg_binary import TimeArray, array_cursor

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


def series_states(
    connection: Connection, market: Market, interval: Interval, tickers: Sequence[str]
) -> dict[str, SeriesState]:
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


def read_spans(
    connection: Connection, market: Market, interval: Interval, spans: Mapping[str, tuple[int, int]]
) -> dict[str, Bars]:
    """Return the bars of each ticker's own span [first, last] (µs), by one read; tickers without any are absent."""
    if not spans:
        return {}
    first, last = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    found = read_stored(connection, market, interval, list(spans), first, last + 1)
    inside = {t: slice(*np.searchsorted(b.time, [spans[t][0], spans[t][1] + 1])) for t, b in found.items()}
    return {ticker: bars.take(inside[ticker]) for ticker, bars in found.items()}


def given_times(
    connection: Connection,
    market: Market,
    interval: Interval,
    sources: Mapping[str, str],
    spans: Mapping[str, tuple[int, int]],
) -> dict[str, Micros]:
    """The times (sorted, µs) of the bars in each ticker's span [first, last] that its source of `sources` gave."""
    spans = {ticker: span for ticker, span in spans.items() if ticker in sources}
    if not spans:
        return {}
    parameters = {
        "tickers": list(spans),
        "sources": [sources[ticker] for ticker in spans],
        "low": instant(min(span[0] for span in spans.values())),
        "high": instant(max(span[1] for span in spans.values())),
    }
    with array_cursor(connection) as cursor:
        cursor.execute(query("given_times").format(bars=relation(market, interval)), parameters)
        found = {ticker: np.sort(times) for ticker, times in cursor.fetchall()}
    none = np.empty(0, np.int64)
    cut = {t: np.searchsorted(found.get(t, none), [first, last + 1]) for t, (first, last) in spans.items()}
    return {ticker: found.get(ticker, none)[slice(*edges)] for ticker, edges in cut.items()}


def newest_given(
    connection: Connection,
    market: Market,
    interval: Interval,
    source: str,
    states: Mapping[str, SeriesState],
    befores: Mapping[str, int],
) -> dict[str, int]:
    """The time (µs) of the newest bar before an instant each that a source gave; series without one are left out."""
    befores = {ticker: before for ticker, before in befores.items() if ticker in states}
    if not befores:
        return {}
    parameters = {
        "source": source,
        "tickers": list(befores),
        "befores": TimeArray(np.fromiter(befores.values(), np.int64)),
        "low": instant(min(states[ticker].first for ticker in befores)),
        "high": instant(max(states[ticker].last for ticker in befores)),
    }
    with array_cursor(connection) as cursor:
        cursor.execute(query("newest_given").format(bars=relation(market, interval)), parameters)
        return {ticker: micros(time) for ticker, time in cursor.fetchall()}


def adopt_series(
    connection: Connection, market: Market, interval: Interval, tickers: Sequence[str]
) -> dict[str, SeriesState]:
    """Enter series into `series` that another program has written bars of, and return their states."""
    statement = query("adopt_series").format(bars=relation(market, interval))
    connection.execute(
        statement, {"market": market.code, "interval": interval.value, "tickers": list(tickers)}
    )
    return series_states(connection, market, interval, tickers)


def read_neighbours(
    connection: Connection,
    market: Market,
    interval: Interval,
    states: Mapping[str, SeriesState],
    spans: Mapping[str, tuple[int, int]],
    *,
    before_columns: Sequence[str] = VALUE_COLUMNS,
) -> dict[str, tuple[Bars, Bars]]:
    """Return, per ticker, the LONGEST_LOOKBACK stored bars before and after its span [first, last] (µs).

    Fewer come back only where the series has no more. Tickers without a state are left out. Of those before only
    `before_columns` are read; the others are NaN.
    """
    known = [ticker for ticker in spans if ticker in states]
    before = {t: spans[t][0] for t in known if states[t].first < spans[t][0]}
    after = {t: spans[t][1] for t in known if states[t].last > spans[t][1]}
    firsts = {ticker: states[ticker].first for ticker in before}
    early = _nearest(connection, market, interval, before, firsts, -1, before_columns)
    late = _nearest(connection, market, interval, after, {t: states[t].last for t in after}, +1)
    return {ticker: (early.get(ticker, Bars.empty()), late.get(ticker, Bars.empty())) for ticker in known}


def _nearest(
    connection: Connection,
    market: Market,
    interval: Interval,
    edges: Mapping[str, int],
    ends: Mapping[str, int],
    side: int,
    columns: Sequence[str] = VALUE_COLUMNS,
) -> dict[str, Bars]:
    """The LONGEST_LOOKBACK bars nearest to each edge on one side, looking as far as the series' end if need be.

    Every read is bounded in time, because an unbounded one plans and opens every chunk; a ticker that comes back short
    is read again over a span four times as wide.
    """
    found: dict[str, Bars] = {}
    reach = int(_GUESS[interval] / timedelta(microseconds=1))
    lacking = dict(edges)
    statement = query("nearest_before" if side < 0 else "nearest_after").format(
        bars=relation(market, interval), arrays=_arrays(columns)
    )
    while lacking:
        limits = {ticker: edge + side * reach for ticker, edge in lacking.items()}
        low, high = (limits, lacking) if side < 0 else (lacking, limits)
        parameters = {
            "tickers": list(lacking),
            "lows": TimeArray(np.fromiter(low.values(), np.int64)),
            "highs": TimeArray(np.fromiter(high.values(), np.int64)),
            "low": instant(min(low.values())),
            "high": instant(max(high.values())),
            "bars": LONGEST_LOOKBACK,
        }
        with array_cursor(connection) as cursor:
            rows = cursor.execute(statement, parameters).fetchall()
        found |= {ticker: _sorted(_of(columns, *arrays)) for ticker, *arrays in rows}
        lacking = {
            ticker: edge
            for ticker, edge in lacking.items()
            if len(found.get(ticker, Bars.empty())) < LONGEST_LOOKBACK
            and side * (ends[ticker] - limits[ticker]) > 0
        }
        reach *= 4
    return found


def _arrays(columns: Sequence[str]) -> sql.Composable:
    """The columns as arrays without nulls, which the loader could not take."""
    aggregate = sql.SQL("array_agg(coalesce({}, 'NaN'))")
    return sql.SQL(", ").join(aggregate.format(sql.Identifier(name)) for name in columns)


def _of(columns: Sequence[str], time: Micros, *values: Floats) -> Bars:
    """Bars of which only some columns were read."""
    unread = np.full(len(time), np.nan)
    read = dict(zip(columns, values, strict=True))
    return Bars(time, *(read.get(name, unread) for name in VALUE_COLUMNS))


def _sorted(bars: Bars) -> Bars:
    return bars if np.all(bars.time[1:] > bars.time[:-1]) else bars.take(np.argsort(bars.time, kind="stable"))


assert Bars.__match_args__[1:] == VALUE_COLUMNS, "the arrays query returns the columns in this order"
