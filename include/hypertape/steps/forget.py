"""Forget a series: remove its bars and all that speaks of it, such as what a typo has left behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from hypertape.errors import UnknownTicker
from hypertape.markets import get_market
from hypertape.model import Interval, Market
from hypertape.queries import query
from hypertape.steps.plan import stored_interval
from hypertape.steps.refresh import refresh_waiting
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import known_tickers
from hypertape.warehouse.loading.stored import relation
from hypertape.warehouse.locks import lock_series

Connection = psycopg.Connection[Any]

_OF_TICKER = ("symbols", "dividends", "splits", "action_change")
"""What is known of a ticker whatever the interval: it goes with the ticker's last series."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows of which table speak of the series (a dry run), or did. Tables without any are left out."""

    market: str
    interval: str
    tickers: tuple[str, ...]
    dry_run: bool
    rows: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Series:
    """The series to forget; `lonely` are those tickers that have no other and that the market does not list."""

    market: Market
    interval: Interval
    tickers: tuple[str, ...]
    lonely: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, Any]:
        """What the statements take."""
        return {
            "market": self.market.code,
            "interval": self.interval.value,
            "tickers": list(self.tickers),
            "lonely": list(self.lonely),
        }


def forget(
    dsn: str,
    market: str,
    interval: str,
    tickers: Sequence[str],
    *,
    run_id: str,
    now: datetime,
    dry_run: bool = True,
) -> Forgotten:
    """Remove the series of some tickers of one market and interval, in one transaction; then refresh the rollups.

    What is known of the ticker itself (its name, its dividends and splits) goes with its last series, unless the
    market's list has it. Mirrors keep what they have. A dry run counts. Raises UnknownTicker for one that nothing
    speaks of.
    """
    asked = _Series(get_market(market), stored_interval(interval), tuple(dict.fromkeys(tickers)))
    with connect(dsn) as connection:
        with connection.transaction():
            lock_series(connection, asked.market.code, asked.interval.value, asked.tickers)
            asked = _with_lonely(connection, asked)
            tables = [name for (name,) in connection.execute(query("forget_tables")).fetchall()]
            rows = _each(connection, "forget_count", asked, tables)
            _require_all_known(connection, asked, rows)
            if not dry_run:
                connection.execute(query("forget_note_pending"), asked.parameters)
                _each(connection, "forget_delete", asked, tables)
        connection.commit()
    if not dry_run:
        refresh_waiting(dsn, run_id, asked.market.code, asked.interval.value, now)
    counts = {table: sum(of_table.values()) for table, of_table in rows.items() if of_table}
    return Forgotten(asked.market.code, asked.interval.value, asked.tickers, dry_run, counts)


def _with_lonely(connection: Connection, asked: _Series) -> _Series:
    unlisted = [ticker for ticker in asked.tickers if ticker not in asked.market.by_ticker]
    found = connection.execute(query("forget_lonely"), {**asked.parameters, "tickers": unlisted}).fetchall()
    return _Series(asked.market, asked.interval, asked.tickers, tuple(ticker for (ticker,) in found))


def _each(
    connection: Connection, statement: str, asked: _Series, tables: Iterable[str]
) -> dict[str, dict[str, int]]:
    """Run a statement on the bars and on each table that speaks of series or tickers; rows by table and ticker."""
    connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
    of_series = sql.SQL("market = %(market)s and interval = %(interval)s and ticker = any(%(tickers)s)")
    of_ticker = sql.SQL("market = %(market)s and ticker = any(%(lonely)s)")
    bars = (asked.market.relation(asked.interval), sql.SQL("ticker = any(%(tickers)s)"))
    places = {bars[0]: (relation(asked.market, asked.interval), bars[1])}
    places |= {table: (sql.Identifier("public", table), of_series) for table in tables}
    places |= {table: (sql.Identifier("public", table), of_ticker) for table in _OF_TICKER}
    found = {}
    for name, (table, condition) in places.items():
        rows = connection.execute(
            query(statement).format(table=table, condition=condition), asked.parameters
        ).fetchall()
        found[name] = {ticker: int(count) for ticker, count in rows}
    return found


def _require_all_known(connection: Connection, asked: _Series, rows: dict[str, dict[str, int]]) -> None:
    spoken_of = {ticker for of_table in rows.values() for ticker in of_table}
    unknown = [ticker for ticker in asked.tickers if ticker not in spoken_of]
    if unknown:
        place = f"{asked.market.code} {asked.interval.value}"
        raise UnknownTicker.among(place, unknown, sorted(known_tickers(connection, asked.market)))
