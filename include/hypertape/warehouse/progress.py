"""Who syncs which series, and how that ended: `sync_progress`, beside the claims, and the workers with what they do.

A claim says who may work on a series (`claims`), `sync_progress` what a worker did to it last: `running` before the
vendor is asked, then `completed`, `failed` with the error, or `skipped` because anybody had loaded it just before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from hypertape.model import Interval, Market
from hypertape.queries import query
from hypertape.warehouse.claims import LEASE

Connection = psycopg.Connection[Any]

SERIES = "series"
"""The kind of the claims; a unit is `market/interval/ticker`."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker: since when it runs, what it holds (by kind, since `since`), and its series by how they ended last.

    `state` is working, idle, dead (silent for a lease, or killed while it held work) or ended; `gone_at` is since
    when it is known to be gone. Times are UTC.
    """

    worker_id: str
    worker_type: str
    hostname: str
    metadata: Mapping[str, Any]
    started_at: datetime
    last_heartbeat: datetime
    gone_at: datetime | None
    state: str
    units: int
    since: datetime | None
    holds: Mapping[str, Sequence[str]]
    completed: int
    failed: int
    skipped: int
    last_ended: datetime | None


def unit_of(market: Market, interval: Interval, ticker: str) -> str:
    """The name of a series among the claims."""
    return f"{market.code}/{interval.value}/{ticker}"


def series_due(
    connection: Connection,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    *,
    since: datetime,
    fresh: datetime,
) -> dict[str, str]:
    """By ticker what becomes of it in the round that began at `since`: `due`, `running`, `ended`, or `fresh`.

    `fresh` is the instant since when a series that anybody loaded needs no further look.
    """
    named = {
        "market": market.code,
        "interval": interval.value,
        "tickers": list(tickers),
        "units": [unit_of(market, interval, ticker) for ticker in tickers],
        "since": since,
        "fresh": fresh,
    }
    return dict(connection.execute(query("series_due"), named).fetchall())


def begin(
    connection: Connection,
    worker_id: str,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    *,
    skipped: bool = False,
) -> None:
    """Note that a worker is about to ask for some series, or that it skips them."""
    named = {
        "worker": worker_id,
        "market": market.code,
        "interval": interval.value,
        "tickers": list(tickers),
        "status": "skipped" if skipped else "running",
    }
    connection.execute(query("progress_begin"), named)


def end(
    connection: Connection,
    worker_id: str,
    market: Market,
    interval: Interval,
    tickers: Sequence[str],
    errors: Mapping[str, str],
) -> None:
    """Note how a worker ended some series: failed where `errors` (by ticker) says why."""
    named = {
        "worker": worker_id,
        "market": market.code,
        "interval": interval.value,
        "tickers": list(tickers),
        "errors": [errors.get(ticker) for ticker in tickers],
    }
    connection.execute(query("progress_end"), named)


def workers(connection: Connection, *, lease: timedelta = LEASE, everyone: bool = False) -> list[WorkerState]:
    """The workers of all kinds, the newest first: those that live and those that are dead; `everyone`: all known.

    Who died on this host shows at once after `claims.bury_dead_neighbours`.
    """
    with connection.cursor(row_factory=class_row(WorkerState)) as cursor:
        return cursor.execute(query("worker_list"), {"lease": lease, "everyone": everyone}).fetchall()
