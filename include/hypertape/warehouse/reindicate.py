"""Stored averages and previous values held against a recomputation from the stored bars, and mended where they differ.

A load keeps them right. What somebody writes into the bars by SQL of their own does not: a bar that was changed,
deleted or inserted leaves later averages as they were, and `series` with another span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from hypertape.frame import Floats, Micros, instant
from hypertape.indicators import enrich
from hypertape.model import STORED_INDICATOR_COLUMNS, Interval, Market
from hypertape.queries import query
from hypertape.warehouse.loading.stored import adopt_series, relation
from hypertape.warehouse.locks import lock_series
from hypertape.warehouse.pg_binary import FloatArray, TimeArray, array_cursor

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Reindicated:
    """One series: its bars, how many of them carry wrong indicators, and the first and last of these."""

    ticker: str
    bars: int
    differing: int
    first: datetime | None = None
    last: datetime | None = None


def foreign_tickers(connection: Connection, market: Market, interval: Interval) -> list[str]:
    """Tickers with bars that `series` does not know. Reads every bar's ticker."""
    statement = query("reindicate_foreign").format(bars=relation(market, interval))
    return [ticker for (ticker,) in connection.execute(statement, (market.code, interval.value))]


def reindicate_series(
    connection: Connection, market: Market, interval: Interval, ticker: str, *, dry_run: bool
) -> Reindicated:
    """Recompute a series' stored indicators and write those that differ, in one transaction.

    With them its span in `series` is corrected, and a note left for its rollups and mirrors. Bars themselves are taken
    as they stand. A dry run counts. Raises what `translate_errors` raises.
    """
    with connection.transaction():
        lock_series(connection, market.code, interval.value, [ticker])
        found = _read(connection, market, interval, ticker)
        if found is None:
            return Reindicated(ticker, 0, 0)
        times, close, volume, stored = found
        right = enrich(close, volume)
        wrong = np.zeros(len(times), bool)
        for name in STORED_INDICATOR_COLUMNS:
            wrong |= (right[name] != stored[name]) & ~(np.isnan(right[name]) & np.isnan(stored[name]))
        at = np.flatnonzero(wrong)
        if not dry_run:
            _keep_span(connection, market, interval, ticker, times)
        if not len(at):
            return Reindicated(ticker, len(times), 0)
        if not dry_run:
            _write(
                connection,
                market,
                interval,
                ticker,
                times[at],
                {n: right[n][at] for n in STORED_INDICATOR_COLUMNS},
            )
            before = max(int(at[0]) - 1, 0)  # a changed bar shows first in the one after it
            _note(connection, market, interval, ticker, times[before], times[at[-1]])
        return Reindicated(
            ticker, len(times), len(at), instant(int(times[at[0]])), instant(int(times[at[-1]]))
        )


def _read(
    connection: Connection, market: Market, interval: Interval, ticker: str
) -> tuple[Micros, Floats, Floats, dict[str, Floats]] | None:
    with array_cursor(connection) as cursor:
        row = cursor.execute(
            query("reindicate_read").format(bars=relation(market, interval)), (ticker,)
        ).fetchone()
    if row is None:
        return None
    order = np.argsort(row[0], kind="stable")
    times, close, volume, *stored = (column[order] for column in row)
    return times, close, volume, dict(zip(STORED_INDICATOR_COLUMNS, stored, strict=True))


def _write(
    connection: Connection,
    market: Market,
    interval: Interval,
    ticker: str,
    times: Micros,
    indicators: dict[str, Floats],
) -> None:
    connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
    parameters: dict[str, Any] = {name: FloatArray(column) for name, column in indicators.items()}
    parameters |= {"ticker": ticker, "times": TimeArray(times)}
    parameters |= {"first": instant(int(times[0])), "last": instant(int(times[-1]))}
    with array_cursor(connection) as cursor:
        cursor.execute(query("reindicate_write").format(bars=relation(market, interval)), parameters)


def _keep_span(
    connection: Connection, market: Market, interval: Interval, ticker: str, times: Micros
) -> None:
    adopt_series(connection, market, interval, [ticker])
    connection.execute(query("reindicate_span"), _named(market, interval, ticker, times[0], times[-1]))


def _note(
    connection: Connection, market: Market, interval: Interval, ticker: str, first: np.int64, last: np.int64
) -> None:
    connection.execute(query("reindicate_note"), _named(market, interval, ticker, first, last))


def _named(
    market: Market, interval: Interval, ticker: str, first: np.int64, last: np.int64
) -> dict[str, Any]:
    edges: Sequence[datetime] = (instant(int(first)), instant(int(last)))
    return {
        "market": market.code, "interval": interval.value, "ticker": ticker, "first": edges[0], "last": edges[1],
    }  # fmt: skip
