"""Remembering what a warehouse says now, to ask it again later what it said then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

_EACH = (
    "select ticker, count(*), md5(string_agg(concat_ws(',', time, open, high, low, close, volume), ';' order by time)) "
    "from {} as bar group by ticker"
)
_FINAL = (
    "(select bar.* from bars.market_data_1d as bar join series using (ticker) "
    "where market = 'vn' and interval = '1d' and bar.time is distinct from provisional_time)"
)


@dataclass(frozen=True)
class Memory:
    """An instant, and the digest of every series' final bars as they were read at it."""

    instant: datetime
    digests: dict[str, tuple[int, str]]


def remember(connection: psycopg.Connection[Any]) -> Memory:
    """Read everything now, at an instant with nothing under way."""
    with connection.transaction():
        ((instant,),) = connection.execute("select known_now()").fetchall()
        return Memory(instant, _digests(connection, _FINAL))


def recall(connection: psycopg.Connection[Any], instant: datetime) -> Memory:
    """Ask the warehouse what it said at an instant."""
    return Memory(instant, _digests(connection, "bars_as_of('vn', '1d', %s)", instant))


def _digests(
    connection: psycopg.Connection[Any], relation: str, *given: object
) -> dict[str, tuple[int, str]]:
    rows = connection.execute(_EACH.format(relation), given or None).fetchall()
    return {ticker: (bars, digest) for ticker, bars, digest in rows}
