"""The tables of a Stockula file beside its prices, kept in the warehouse: only what is new or differs is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from hypertape.queries import query

Connection = psycopg.Connection[Any]

_OPTION_COLUMNS = (
    "symbol", "expiration_date", "strike", "contract_symbol", "last_price", "bid", "ask", "volume", "open_interest",
    "implied_volatility", "in_the_money", "created_at", "updated_at",
)  # fmt: skip
_OPTION_KEY = ("symbol", "expiration_date", "strike", "contract_symbol")


@dataclass(frozen=True, slots=True)
class Table:
    """How one table is read and kept.

    `columns` in the order of the statement's arrays; `key` and `required` ones may not be null (a contract symbol may).
    `dates`, `instants`, `numbers` and `whole` say what the other columns hold; the rest is text. `positive` numbers are
    finite and above zero (a constraint of the table).
    """

    statement: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    required: tuple[str, ...]
    dates: tuple[str, ...] = ()
    instants: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    value: str | None = None


def _options(name: str) -> Table:
    return Table(
        "upsert_options", _OPTION_COLUMNS, _OPTION_KEY, _OPTION_KEY[:3], dates=("expiration_date",),
        instants=("created_at", "updated_at"), whole=("volume", "open_interest"), flags=("in_the_money",),
        numbers=("strike", "last_price", "bid", "ask", "implied_volatility"),
    )  # fmt: skip


def _actions(value: str) -> Table:
    columns = ("symbol", "date", value)
    positive = (value,) if value == "ratio" else ()
    return Table(
        "upsert_actions", columns, columns[:2], columns, ("date",), numbers=(value,), positive=positive, value=value
    )  # fmt: skip


TABLES: dict[str, Table] = {
    "stocks": Table(
        "upsert_stocks",
        ("symbol", "name", "sector", "industry", "market_cap", "exchange", "currency"),
        ("symbol",), ("symbol",), numbers=("market_cap",),
    ),
    "dividends": _actions("amount"),
    "splits": _actions("ratio"),
    "options_calls": _options("options_calls"),
    "options_puts": _options("options_puts"),
    "stock_info": Table(
        "upsert_stock_info", ("symbol", "info_json", "created_at", "updated_at"), ("symbol",),
        ("symbol", "info_json"), instants=("created_at", "updated_at"), documents=("info_json",),
    ),
}  # fmt: skip
"""Stockula's tables beside price_history."""

MARKET = "us"
"""The market of a Stockula file."""


@dataclass(frozen=True, slots=True)
class RowCounts:
    """What keeping some rows did."""

    inserted: int
    updated: int
    unchanged: int

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged
        )


def keep_rows(connection: Connection, name: str, rows: Sequence[Mapping[str, Any]]) -> RowCounts:
    """Upsert rows (by column, typed: dates, datetimes, floats, parsed JSON) in the caller's transaction.

    No two rows may have one key. Raises what `translate_errors` raises.
    """
    table = TABLES[name]
    if not rows:
        return RowCounts(0, 0, 0)
    arrays = [_array(table, column, rows) for column in table.columns]
    written = connection.execute(_statement(name, table), [*_market(table), *arrays]).fetchall()
    inserted = sum(1 for (new,) in written if new)
    return RowCounts(inserted, len(written) - inserted, len(rows) - len(written))


def _statement(name: str, table: Table) -> sql.Composed:
    names: dict[str, sql.Composable] = {"table": sql.Identifier(name)}
    if table.value:
        names["value"] = sql.Identifier(table.value)
    return query(table.statement).format(**names)


def _market(table: Table) -> list[str]:
    return [MARKET] if table.statement in ("upsert_stocks", "upsert_actions") else []


def _array(table: Table, column: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    wrap: Callable[[Any], Any] = Jsonb if column in table.documents else _same
    return [None if row.get(column) is None else wrap(row[column]) for row in rows]


def _same(value: Any) -> Any:
    return value
