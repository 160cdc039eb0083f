"""What a SQLite file holds, before anything is copied: its schema, its tables, and what will not arrive as it is.

| problem | what it counts | arrives |
|---|---|---|
| a rule of the stores (`bad_time`, `null_price`, `interval_collapse`, …) | rows that are no bars | no |
| orphan | rows whose symbol `stocks` does not have | yes |
| precision_loss | cells that no double holds exactly | the nearest double |
| unsupported_interval | price_history rows of an interval that is not stored | no |
| bad_symbol | rows whose ticker is no text | no |
| lower_case | rows whose ticker is not in capitals | as a series beside that of the capitals |

The tables beside the prices are judged row by row when they are read (`stockula_tables`).
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import sql

from hypertape.markets import all_markets
from hypertape.model import STORED_INTERVALS, VALUE_COLUMNS
from hypertape.queries import query
from hypertape.stores import Selection, Store
from hypertape.stores._sqlite_cells import loses_precision, shown
from hypertape.stores._sqlite_file import columns, count, name, reading, tables, text
from hypertape.stores._sqlite_unassigned import unassigned_rows
from hypertape.stores.sqlite import SqliteStore, table_name
from hypertape.stores.stockula import COLUMNS, StockulaStore
from hypertape.stores.stockula_tables import PRICES

SAMPLES = 5
"""Examples kept of each problem."""

STOCKULA, DUAL_WRITE, UNKNOWN = "stockula", "dual_write", "unknown"
REFERENCE_TABLES = ("stocks", "dividends", "splits", "options_calls", "options_puts", "stock_info")
BOOKKEEPING = ("alembic_version",)
"""Tables that say nothing of markets."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


_MEANINGS = {
    "orphan": "The symbol is not in stocks; the rows arrive as any others.",
    "precision_loss": "No double holds the value exactly; the nearest one arrives.",
    "unsupported_interval": "Bars of this interval are not stored; the rows are quarantined.",
    "bad_symbol": "The ticker is no text, so the rows belong to no series; they are quarantined.",
    "lower_case": "Upper and lower case are different tickers; the rows arrive as a series of their own.",
    "interval_collapse": "Several rows mean one bar time, or an intraday row has no time of day; they are quarantined.",
    "duplicate_key": "Several rows have one ticker and time; the newest arrives, the others are quarantined.",
    "bad_ticker": "The ticker is empty, too long, or unfit for a file name; the rows are quarantined.",
    "bad_time": "The time cannot be read; the rows are quarantined.",
    "null_price": "A price is missing; the rows are quarantined.",
    "null_volume": "The volume is missing; the rows are quarantined.",
    "text_in_number": "A price or volume is no number; the rows are quarantined.",
}


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table and its rows."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of a table that does not arrive, or not as it is: how many rows (cells for precision_loss), some of
    them, and what becomes of them.
    """

    name: str
    table: str
    rows: int
    sample: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file holds. `schema` is dual_write, stockula or unknown; `unknown` are tables that are not copied."""

    path: Path
    schema: str
    tables: tuple[TableReport, ...] = ()
    bookkeeping: tuple[TableReport, ...] = ()
    unknown: tuple[TableReport, ...] = ()
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "path": str(self.path)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FileReport:
        """Read what `to_json` wrote."""
        tables = {
            name: tuple(TableReport(**table) for table in value[name])
            for name in ("tables", "bookkeeping", "unknown")
        }
        problems = tuple(Problem(**{**each, "sample": tuple(each["sample"])}) for each in value["problems"])
        return cls(Path(value["path"]), value["schema"], **tables, problems=problems)


def inspect(path: Path, *, deep: bool = True) -> FileReport:
    """Look into a SQLite file; it is only read.

    `deep` reads every bar, as a copy would (about 500 000 a second), to count what is none; without it only what
    an aggregate can tell. Raises SourceFileMissing, BadInput when it is no SQLite file, DatabaseBusy.
    """
    with reading(path) as connection:
        found = tables(connection)
        schema = _schema(connection, found)
        roles = {table: _role(table, schema, connection) for table in found}
        report = {table: TableReport(table, count(connection, table)) for table in found}
        problems = list(_aggregated(connection, schema, roles))
    for table in (table for table in found if roles[table] == "bars"):
        problems += _unassigned(path, table)
    if deep and schema != UNKNOWN:
        problems += _rejected(_store(path, schema), schema)
    return FileReport(
        path,
        schema,
        tables=tuple(report[table] for table in found if roles[table] in ("bars", "reference")),
        bookkeeping=tuple(report[table] for table in found if roles[table] == "bookkeeping"),
        unknown=tuple(report[table] for table in found if roles[table] == "unknown"),
        problems=tuple(problems),
    )


def _schema(connection: sqlite3.Connection, found: list[str]) -> str:
    if {"symbol", "date", "interval", *COLUMNS.values()} <= set(columns(connection, PRICES)):
        return STOCKULA
    return DUAL_WRITE if any(_is_dual_write(connection, table) for table in found) else UNKNOWN


def _is_dual_write(connection: sqlite3.Connection, table: str) -> bool:
    wanted = {"ticker", "time", *VALUE_COLUMNS[:-1]}
    return table in _dual_write_tables() and wanted <= set(columns(connection, table))


def _dual_write_tables() -> set[str]:
    return {table_name(market, interval) for market in all_markets() for interval in STORED_INTERVALS}


def _role(table: str, schema: str, connection: sqlite3.Connection) -> str:
    if table in BOOKKEEPING:
        return "bookkeeping"
    if schema == STOCKULA:
        return "bars" if table == PRICES else "reference" if table in REFERENCE_TABLES else "unknown"
    return "bars" if _is_dual_write(connection, table) else "unknown"


def _store(path: Path, schema: str) -> Store:
    # a store that only reads has no use for the present
    return StockulaStore(path) if schema == STOCKULA else SqliteStore(path, now=_LONG_AGO)


def _aggregated(connection: sqlite3.Connection, schema: str, roles: Mapping[str, str]) -> Iterator[Problem]:
    """The problems that a statement can count."""
    ticker = "symbol" if schema == STOCKULA else "ticker"
    for table, role in roles.items():
        if schema == STOCKULA and role in ("bars", "reference") and "stocks" in roles and table != "stocks":
            yield from _counted(
                connection, "orphan", table, query("sqlite_orphans").format(table=name(table))
            )
        if role == "bars":
            known = set(columns(connection, table))
            numbers = COLUMNS.values() if schema == STOCKULA else [c for c in VALUE_COLUMNS if c in known]
            parts = {"table": name(table), "ticker": name(ticker)}
            yield from _counted(connection, "lower_case", table, query("sqlite_lower_case").format(**parts))
            yield from _imprecise(connection, table, ticker, numbers)


def _imprecise(
    connection: sqlite3.Connection, table: str, ticker: str, numbers: Iterable[str]
) -> Iterator[Problem]:
    found, samples = 0, list[str]()
    wanted = list(numbers)
    conditions = [query("sqlite_odd_number").format(column=name(column)) for column in wanted]
    statement = query("sqlite_odd_numbers").format(
        table=name(table), ticker=name(ticker), values=sql.SQL(", ").join(map(name, wanted)),
        conditions=sql.SQL(" or ").join(conditions),
    )  # fmt: skip
    for symbol, *cells in connection.execute(text(statement)):
        for column, cell in zip(wanted, cells, strict=True):
            if loses_precision(cell):
                found += 1
                if len(samples) < SAMPLES:
                    samples.append(f"{shown(symbol)} {column}={shown(cell)}")
    if found:
        yield _problem("precision_loss", table, found, samples)


def _counted(
    connection: sqlite3.Connection, rule: str, table: str, statement: sql.Composable
) -> Iterator[Problem]:
    yield from _summed(rule, table, connection.execute(text(statement)).fetchall())


def _summed(rule: str, table: str, groups: list[tuple[object, int]]) -> Iterator[Problem]:
    if groups:
        samples = [f"{shown(key)} ({rows} rows)" for key, rows in groups[:SAMPLES]]
        yield _problem(rule, table, sum(rows for _, rows in groups), samples)


def _problem(rule: str, table: str, rows: int, samples: Iterable[str]) -> Problem:
    return Problem(rule, table, rows, tuple(samples), _MEANINGS[rule])


def _unassigned(path: Path, table: str) -> list[Problem]:
    """The rows of a table of bars that belong to no series, by rule."""
    counts: Counter[str] = Counter()
    samples: defaultdict[str, list[str]] = defaultdict(list)
    for rejects in unassigned_rows(path, table):
        for reject in rejects.to_pylist():
            counts[reject["rule"]] += 1
            if len(samples[reject["rule"]]) < SAMPLES:
                samples[reject["rule"]].append(f"{reject['ticker']} {reject['value']}")
    return [_problem(rule, table, rows, samples[rule]) for rule, rows in sorted(counts.items())]


def _rejected(store: Store, schema: str) -> list[Problem]:
    """The rows that a copy would set aside, by table and rule."""
    counts: Counter[tuple[str, str]] = Counter()
    samples: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for info in store.series(Selection()):
        series = info.series
        table = PRICES if schema == STOCKULA else table_name(series.market, series.interval)
        for block in store.read(series):
            for reject in block.rejects.to_pylist():
                key = (reject["rule"], table)
                counts[key] += 1
                if len(samples[key]) < SAMPLES:
                    samples[key].append(f"{reject['ticker']} {series.interval} {reject['value']}")
    return [_problem(rule, table, n, samples[rule, table]) for (rule, table), n in sorted(counts.items())]
