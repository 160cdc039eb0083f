"""What the migration tests share: SQLite files in both schemas, and what a warehouse holds of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from lab import D1, H1, query, to_frame, walk

from hypertape.digest import SeriesDigest
from hypertape.frame import Bars
from hypertape.markets import get_market
from hypertape.model import Interval, utc
from hypertape.settings import Settings
from hypertape.steps.migration.run import migrate
from hypertape.stores import Block, Selection
from hypertape.stores.addresses import open_store
from hypertape.stores.sqlite import SqliteStore
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import digests

NOW = utc(2026, 1, 1)
COUNTS = ("rows_read", "inserted", "updated", "unchanged", "refused")

Key = tuple[str, Interval, str]


def dual_write_file(directory: Path, tickers: int, bars: int, *, market: str = "vn") -> Path:
    """A file `vn_data.db` with some daily and hourly series."""
    store = SqliteStore(directory, now=NOW)
    for interval, stem in ((D1, "D"), (H1, "H")):
        series = {
            f"{stem}{number:02d}": walk(bars, seed=number, interval=interval) for number in range(tickers)
        }
        write(store, market, interval, series)
    return store.path(market)


def write(store: SqliteStore, market: str, interval: Interval, series: Mapping[str, Bars]) -> None:
    """Write whole series into a SQLite store."""
    blocks = [Block(to_frame({ticker: bars})) for ticker, bars in series.items()]
    store.write(get_market(market), interval, blocks)


def stockula_file(path: Path, rows: Iterable[Sequence[Any]], *, older: bool = False) -> Path:
    """A Stockula file with stocks AAA and BBB, some of everything else, and the given price_history rows.

    A row is (symbol, date, open, high, low, close, volume, interval). `older`: no updated_at, no unique keys.
    """
    stamps = "created_at text" if older else "created_at text, updated_at text"
    unique = "" if older else ", unique (symbol, date, interval)"
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(
            f"""
            create table stocks (symbol text primary key, name text, sector text, industry text, market_cap float,
                exchange text, currency text, {stamps});
            create table price_history (id integer primary key, symbol text not null, date date not null,
                open_price float, high_price float, low_price float, close_price float, volume integer,
                interval text not null, {stamps}{unique});
            create table dividends (id integer primary key, symbol text, date date, amount float, {stamps});
            create table splits (id integer primary key, symbol text, date date, ratio float, {stamps});
            create table options_calls (id integer primary key, symbol text, expiration_date date, strike float,
                last_price float, bid float, ask float, volume integer, open_interest integer,
                implied_volatility float, in_the_money boolean, contract_symbol text, {stamps});
            create table options_puts as select * from options_calls;
            create table stock_info (symbol text primary key, info_json text not null, {stamps});
            create table watchlist (name text);
            insert into stocks (symbol, name, sector) values ('AAA', 'Triple A', 'Energy'), ('BBB', null, '');
            insert into dividends (symbol, date, amount) values ('AAA', '2024-01-03', 0.25), ('AAA', 'soon', 1);
            insert into splits (symbol, date, ratio) values ('BBB', '2024-01-04', 2);
            insert into options_calls (symbol, expiration_date, strike, bid, volume, in_the_money, contract_symbol)
                values ('AAA', '2024-06-21', 100, 1.5, 7, 1, 'AAA240621C100'),
                ('AAA', '2024-06-21', 110, null, null, 0, null);
            insert into options_puts (symbol, expiration_date, strike) values ('BBB', '2024-06-21', 90.5);
            insert into watchlist values ('mine');
            """
        )
        file.execute(
            "insert into stock_info (symbol, info_json) values ('AAA', ?)",
            [json.dumps({"pe": 12.5, "ok": True})],
        )
        file.executemany(
            "insert into price_history "
            "(symbol, date, open_price, high_price, low_price, close_price, volume, interval) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    return path


def prices(symbol: str, days: int) -> list[tuple[Any, ...]]:
    """Daily price_history rows from 2024-01-02 on."""
    start = utc(2024, 1, 2)
    return [
        (
            symbol,
            f"{start + timedelta(days=day):%Y-%m-%d}",
            10.1 + day,
            12.3 + day,
            9.7,
            11.1 + day,
            100 * day,
            "1d",
        )
        for day in range(days)
    ]


def run(dsn: str, state: Path, *files: Path, run_id: str = "migration", **wishes: Any) -> dict[str, Any]:
    """The whole migration, in this process."""
    settings = Settings(state_dir=state, database_url=dsn)
    names = [str(file) for file in files]
    return migrate(dsn, names, run_id=run_id, now=NOW, settings=settings, **wishes).to_json()


def counts(done: Mapping[str, Any]) -> dict[str, int]:
    return {name: done[name] for name in COUNTS}


def in_file(address: str) -> dict[Key, SeriesDigest]:
    """The digest of every series a SQLite store holds."""
    store = open_store(address, settings=Settings(), now=NOW, run_id="test")
    with closing(store):
        found = [info.series for info in store.series(Selection())]
        return {(s.market, s.interval, s.ticker): store.digest(s) for s in found}


def in_warehouse(dsn: str, *scopes: tuple[str, Interval]) -> dict[Key, SeriesDigest]:
    """The digest of every stored series of some markets and intervals."""
    with connect(dsn, autocommit=True) as connection:
        return {
            (market, interval, each.ticker): each
            for market, interval in scopes
            for each in digests(connection, get_market(market), interval)
        }


def ask(dsn: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement on the warehouse."""
    with connect(dsn, autocommit=True) as connection:
        return query(connection, statement, *parameters)
