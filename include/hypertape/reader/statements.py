"""The statements behind a read. Bars come as arrays: a row of the answer costs no row of the protocol.

`copy … to stdout` was measured beside them: Python is handed its rows one by one, and took four times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from time import sleep
from typing import Any, NamedTuple

import numpy as np
import psycopg
from psycopg import sql

from hypertape.errors import BadInput
from hypertape.frame import Floats, Micros, micros
from hypertape.queries import query
from hypertape.reader.request import STATES, BarRequest
from hypertape.warehouse.ledger import database_now
from hypertape.warehouse.pg_binary import array_cursor
from hypertape.warehouse.pins import find_pin, pinned_bars, pinned_series

Connection = psycopg.Connection[Any]

Slice = tuple[Micros, dict[str, Floats]]
"""Consecutive bars of one series: opening times (int64 µs since 1970 UTC, ascending) and columns, NaN for null."""


class Span(NamedTuple):
    """A series that answers, and between which instants (both included) its bars open."""

    ticker: str
    first: datetime
    last: datetime


_AHEAD = timedelta(seconds=2)
"""A client's clock may be ahead of the server's by so much: its now is waited for, so that it reads the same later."""


def require_past(connection: Connection, request: BarRequest) -> None:
    """Raise BadInput where a request asks for what will be known at an instant to come; a moment is waited for."""
    if request.as_of is None or request.as_of <= (now := database_now(connection)):
        return
    if request.as_of > now + _AHEAD:
        raise BadInput(
            f"as_of={request.as_of} is to come; the server has {now}",
            next_step="What will be known then nobody knows: leave it out for what is known now.",
        )
    sleep((request.as_of - now).total_seconds())


def ask_spans(connection: Connection, request: BarRequest, tickers: Sequence[str] = ()) -> list[Span]:
    """The stored series of a request's market, or of some tickers of it, sorted by ticker."""
    parameters = {
        "markets": [request.market.code],
        "intervals": [request.interval.base.value],
        "tickers": list(tickers),
        "start": "-infinity",
    }
    rows = connection.execute(query("store_series"), parameters).fetchall()
    return [Span(ticker, first, last) for _, _, ticker, first, last in rows]


def pinned_tickers(connection: Connection, request: BarRequest) -> list[str]:
    """The tickers that a request's pin has at its interval. Raises BadInput for a pin that is not of it."""
    assert request.pin is not None
    pin = find_pin(connection, request.pin)
    if pin.market != request.market.code or request.interval.value not in pin.intervals:
        raise BadInput(
            f"Pin {pin.name} has no {request.interval} bars of {request.market.code}",
            next_step=f"It holds {', '.join(pin.intervals)} of {pin.market}.",
        )
    held = pinned_series(connection, request.pin)
    return sorted(ticker for interval, ticker in held if interval is request.interval)


def ask_bars(
    connection: Connection,
    request: BarRequest,
    tickers: Sequence[str],
    names: Sequence[str],
    start: datetime,
    before: datetime,
    *,
    oldest: int | None = None,
    newest: int | None = None,
) -> dict[str, Slice]:
    """Columns of the bars (of so many of the oldest, or newest) of some tickers in [start, before)."""
    parameters = {"tickers": list(tickers), "start": start, "before": before, "bars": newest or oldest}
    schema = "public" if request.state == STATES[0] else request.state
    order = "asc" if newest is None else "desc"
    relation = request.market.relation(request.interval)
    with array_cursor(connection) as cursor:
        cursor.execute(_statement(order, schema, relation, tuple(names)), parameters)
        row = cursor.fetchone()
    return _by_ticker(row, names) if row is not None else {}


def ask_known_then(
    connection: Connection,
    request: BarRequest,
    ticker: str,
    names: Sequence[str],
    start: datetime,
    before: datetime,
) -> Slice | None:
    """Columns of one series in [start, before) as a request's pin or instant has them; None where there is no bar."""
    if request.pin is not None:
        return _pinned(connection, request, ticker, names, start, before)
    parameters = {
        "market": request.market.code,
        "interval": request.interval.value,
        "instant": request.as_of,
        "ticker": ticker,
        "start": start,
        "before": before,
    }
    with array_cursor(connection) as cursor:
        row = cursor.execute(_known_statement(tuple(names)), parameters).fetchone()
    if row is None or row[0] is None:
        return None
    order = np.argsort(row[0], kind="stable")
    return row[0][order], {name: values[order] for name, values in zip(names, row[1:], strict=True)}


def _pinned(
    connection: Connection,
    request: BarRequest,
    ticker: str,
    names: Sequence[str],
    start: datetime,
    before: datetime,
) -> Slice | None:
    assert request.pin is not None
    found = pinned_bars(connection, request.pin, request.interval, ticker, start=start)
    if found is None:
        return None
    time, columns = found
    inside = slice(0, int(np.searchsorted(time, micros(before))))
    return time[inside], {name: columns[name][inside] for name in names}


def _by_ticker(row: Sequence[Any], names: Sequence[str]) -> dict[str, Slice]:
    tickers, places, time, *columns = row
    ascending = (places[1:] == places[:-1]) & (time[1:] > time[:-1]) | (places[1:] > places[:-1])
    if not ascending.all():
        order = np.lexsort((time, places))
        places, time, columns = places[order], time[order], [values[order] for values in columns]
    first = np.flatnonzero(np.append(True, places[1:] != places[:-1]))
    last = np.append(first[1:], len(places))
    return {
        tickers[places[i] - 1]: (
            time[i:j],
            {name: values[i:j] for name, values in zip(names, columns, strict=True)},
        )
        for i, j in zip(first.tolist(), last.tolist(), strict=True)
    }


@cache
def _statement(order: str, schema: str, relation: str, names: tuple[str, ...]) -> bytes:
    """The statement as it is sent: composed once, so that a connection prepares it once."""
    columns = [sql.SQL(", {}").format(sql.Identifier(name)) for name in names]
    return (
        query("reader_bars")
        .format(
            order=sql.SQL(order),
            relation=sql.Identifier(schema, relation),
            names=sql.SQL("").join(columns),
            arrays=_arrays(names),
        )
        .as_bytes()
    )


@cache
def _known_statement(names: tuple[str, ...]) -> bytes:
    return query("reader_known_bars").format(arrays=_arrays(names)).as_bytes()


def _arrays(names: Sequence[str]) -> sql.Composable:
    made = [sql.SQL(", array_agg(coalesce(bar.{0}, 'NaN'))").format(sql.Identifier(name)) for name in names]
    return sql.SQL("").join(made)
