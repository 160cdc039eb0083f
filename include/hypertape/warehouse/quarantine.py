"""The rows the gate refused: find them, and release those that are a bar now or are not needed any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from hypertape.model import Interval, Market
from hypertape.queries import query

Connection = psycopg.Connection[Any]
Row = dict[str, Any]
Key = tuple[str, datetime]

LOADED, SUPERSEDED = "loaded", "superseded"


@dataclass(frozen=True, slots=True)
class Refused:
    """Which refused rows are meant; None: any. `run_id` is the run that refused them first."""

    market: str | None = None
    interval: str | None = None
    tickers: list[str] | None = None
    rule: str | None = None
    run_id: str | None = None


def groups(connection: Connection, which: Refused) -> list[Row]:
    """Refused rows by market, interval and rule: open, loaded and superseded counted, with two examples."""
    return _rows(connection, "quarantine_groups", **asdict(which))


def rules(connection: Connection) -> list[str]:
    """The rules that ever refused a row."""
    return [row["rule"] for row in _rows(connection, "quarantine_rules")]


def find(
    connection: Connection,
    which: Refused,
    *,
    quarantine_id: int | None = None,
    open_only: bool = True,
    most: int | None = None,
) -> list[Row]:
    """The refused rows as dicts, by market, interval and source, in the order they came."""
    return _rows(
        connection, "quarantine_find", **asdict(which), quarantine_id=quarantine_id, open_only=open_only, most=most
    )  # fmt: skip


def keep_rejects(
    connection: Connection, market: str, place: str, rejects: pa.Table, *, run_id: str, source: str
) -> int:
    """Keep rows of no load, each once, and return how many were not there yet; the caller commits.

    `rejects` has frame.REJECT_SCHEMA. `place` is the table or directory they lie in: the column `interval` has it.
    """
    columns = rejects.to_pydict()
    parameters = {
        "load_ids": [0] * len(rejects), "run_id": run_id, "market": market, "interval": place,
        "sources": [source] * len(rejects), "tickers": columns["ticker"], "times": columns["time"],
        "rules": columns["rule"], "values": columns["value"], "rows": columns["row"],
    }  # fmt: skip
    return connection.execute(query("quarantine_rows"), parameters).rowcount


def stored_keys(
    connection: Connection, market: Market, interval: Interval, keys: Collection[Key]
) -> set[Key]:
    """Those of some (ticker, opening) keys that have a bar."""
    if not keys:
        return set()
    tickers, times = zip(*keys, strict=True)
    statement = query("stored_keys").format(relation=sql.Identifier("bars", market.relation(interval)))
    parameters = {
        "tickers": list(tickers),
        "times": list(times),
        "first": min(times),
        "last": max(times),
    }
    return set(connection.execute(statement, parameters).fetchall())


def release(connection: Connection, ids: Sequence[int], outcome: str, *, run_id: str, now: datetime) -> int:
    """Release rows as `LOADED` or `SUPERSEDED`; return how many were open until then. The caller commits."""
    values = {"ids": list(ids), "outcome": outcome, "run_id": run_id, "now": now}
    return connection.execute(query("quarantine_release"), values).rowcount


def _rows(connection: Connection, name: str, **parameters: Any) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters).fetchall()
