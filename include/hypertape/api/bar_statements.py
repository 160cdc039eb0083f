"""The statements that read bars: arrays, so that a row of the answer costs no row of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import psycopg
from psycopg import sql

from hypertape.api.bar_chunks import PRICES, BarSlice
from hypertape.model import INDICATOR_COLUMNS, Interval, Market
from hypertape.queries import query
from hypertape.warehouse.pg_binary import array_cursor

Connection = psycopg.Connection[Any]


class Stored(NamedTuple):
    """One series that answers: its span, and the newest load (id and time, UTC) that changed it.

    `provisional` is the opening of the bar that was open when it was last asked for."""

    market: str
    ticker: str
    first: datetime
    last: datetime
    load_id: int | None
    loaded_at: datetime | None
    pending: int | None
    provisional: datetime | None = None


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


def _ask(
    order: str,
    connection: Connection,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    bars: int,
    start: datetime,
    before: datetime,
    *,
    indicators: bool,
    schema: str = "public",
) -> psycopg.Cursor[Any]:
    """Send the question for some bars of some tickers between two instants; `slices_of` reads the answer."""
    parameters = {"tickers": list(tickers), "start": start, "before": before, "bars": bars}
    composed = _statement(order, schema, market.relation(interval), indicators)
    return array_cursor(connection).execute(composed, parameters)


ask_newest = partial(_ask, "desc")
"""`_ask` for the newest bars."""

ask_onward = partial(_ask, "asc")
"""`_ask` for the oldest bars."""


def slices_of(cursor: psycopg.Cursor[Any]) -> dict[str, BarSlice]:
    """Read the bars of each ticker that has some, oldest first."""
    row = cursor.fetchone()
    if row is None:
        return {}
    tickers, places, time, *columns = row
    ascending = (places[1:] == places[:-1]) & (time[1:] > time[:-1]) | (places[1:] > places[:-1])
    if not ascending.all():
        order = np.lexsort((time, places))
        places, time, columns = places[order], time[order], [values[order] for values in columns]
    names = [column.name for column in cursor.description or ()][3:]
    bars = BarSlice(time, dict(zip(names, columns, strict=True)))
    first = np.flatnonzero(np.append(True, places[1:] != places[:-1]))
    last = np.append(first[1:], len(places))
    return {
        tickers[places[i] - 1]: bars.cut(i, j) for i, j in zip(first.tolist(), last.tolist(), strict=True)
    }


def _columns(indicators: bool) -> tuple[str, ...]:
    return (*PRICES, *INDICATOR_COLUMNS) if indicators else PRICES


@cache
def _statement(order: str, schema: str, relation: str, indicators: bool) -> bytes:
    """The statement as it is sent: composed once, so that each connection prepares it once."""
    names = _columns(indicators)
    arrays = [
        sql.SQL("array_agg(coalesce(bar.{0}, 'NaN')) as {0}").format(sql.Identifier(column))
        for column in names
    ]
    statement = query("api_bars").format(
        order=sql.SQL(order),
        relation=sql.Identifier(schema, relation),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        arrays=sql.SQL(", ").join(arrays),
    )
    return statement.as_bytes()
