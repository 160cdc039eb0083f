"""Who changed what in which run: the ledgers of revisions and restatements, read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from hypertape.model import Interval, Market
from hypertape.queries import query
from hypertape.warehouse.loading.stored import relation

Connection = psycopg.Connection[Any]

_ROWS = 10_000
"""Rows fetched at a time, so that a whole history's revisions need no memory to speak of."""


def revisions(
    connection: Connection,
    market: Market,
    interval: Interval,
    *,
    tickers: Sequence[str] | None = None,
    since: datetime | None = None,
    run_id: str | None = None,
    limit: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the revisions of final bars, oldest change first; `limit` keeps the newest.

    Each is a dict: ticker, time, valid_from and valid_to of the former values (UTC), the run_id, source and reason of
    the load that replaced them, former_load and new_load, and former_… and new_… of the six values.
    """
    parameters = {
        "market": market.code,
        "interval": interval.value,
        "tickers": list(tickers) if tickers else None,
        "since": since,
        "run_id": run_id,
        "limit": limit,
    }
    statement = query("revisions").format(bars=relation(market, interval))
    with connection.transaction(), connection.cursor("revisions", row_factory=dict_row) as cursor:
        cursor.itersize = _ROWS
        yield from cursor.execute(statement, parameters)


def restatements(
    connection: Connection,
    *,
    market: Market | None = None,
    interval: Interval | None = None,
    tickers: Sequence[str] | None = None,
    state: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """The restatements, newest first, as dicts with the columns of `restatement`."""
    parameters = {
        "market": market and market.code,
        "interval": interval and interval.value,
        "tickers": list(tickers) if tickers else None,
        "state": state,
        "limit": limit,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("restatements"), parameters).fetchall()
