"""The statements that read bars: arrays per ticker, so that a row of the answer costs no row of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import psycopg
from psycopg import sql

from hypertape.api.parts import PRICES, Stretch
from hypertape.api.question import EVER
from hypertape.model import INDICATOR_COLUMNS, Interval, Market
from hypertape.queries import query
from hypertape.warehouse.wire import array_cursor

Connection = psycopg.Connection[Any]


class Stored(NamedTuple):
    """One series that answers: its span, and the newest load (id and time, UTC) that changed it."""

    market: str
    ticker: str
    first: datetime
    last: datetime
    load_id: int | None
    loaded_at: datetime | None
    pending: int | None


def ask_series(
    connection: Connection, markets: Sequence[Market], interval: Interval, tickers: Sequence[str] | None
) -> psycopg.Cursor[Any]:
    """Send the question which series there are; `stored_of` reads the answer."""
    parameters = {
        "markets": [market.code for market in markets],
        "interval": interval.base.value,
        "tickers": None if tickers is None else list(tickers),
    }
    return connection.cursor(binary=True).execute(query("api_series"), parameters)


def stored_of(cursor: psycopg.Cursor[Any]) -> list[Stored]:
    """Read the answer to `ask_series`."""
    return [Stored(*row) for row in cursor.fetchall()]


def ask_newest(
    connection: Connection,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    bars: int,
    before: datetime | None,
    *,
    indicators: bool,
) -> psycopg.Cursor[Any]:
    """Send the question for the newest bars of some tickers; `stretches_of` reads the answer."""
    parameters = {"tickers": list(tickers), "before": before or EVER[1], "bars": bars}
    statement = _statement("api_newest", market.relation(interval), indicators)
    return array_cursor(connection).execute(statement, parameters)


def ask_onward(
    connection: Connection,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    bars: int,
    start: datetime | None,
    before: datetime | None,
    *,
    indicators: bool,
) -> psycopg.Cursor[Any]:
    """Send the question for the oldest bars from `start` on; `stretches_of` reads the answer."""
    parameters = {
        "tickers": list(tickers),
        "start": start or EVER[0],
        "before": before or EVER[1],
        "bars": bars,
    }
    statement = _statement("api_onward", market.relation(interval), indicators)
    return array_cursor(connection).execute(statement, parameters)


def stretches_of(cursor: psycopg.Cursor[Any]) -> dict[str, Stretch]:
    """Read the bars of each ticker that has some, oldest first."""
    found: dict[str, Stretch] = {}
    rows = cursor.fetchall()
    names = [column.name for column in cursor.description or ()][2:]
    for ticker, time, *columns in rows:
        if len(time) > 1 and not (time[1:] > time[:-1]).all():
            order = np.argsort(time, kind="stable")
            time, columns = time[order], [values[order] for values in columns]
        found[ticker] = Stretch(time, dict(zip(names, columns, strict=True)))
    return found


def _columns(indicators: bool) -> tuple[str, ...]:
    return (*PRICES, *INDICATOR_COLUMNS) if indicators else PRICES


@cache
def _statement(name: str, relation: str, indicators: bool) -> bytes:
    """The statement as it is sent: composed once, so that each connection prepares it once."""
    names = _columns(indicators)
    arrays = [
        sql.SQL("array_agg(coalesce({0}, 'NaN')) as {0}").format(sql.Identifier(column)) for column in names
    ]
    statement = query(name).format(
        relation=sql.Identifier("public", relation),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        arrays=sql.SQL(", ").join(arrays),
    )
    return statement.as_bytes()
