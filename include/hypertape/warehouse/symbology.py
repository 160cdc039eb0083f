"""Names of series over time: renames, spellings of vendors, and who was in a group when.

A rename moves everything that is known of a ticker to its new name, in one transaction: bars, ledgers, revisions, pins
and what is published. Nothing is restated by it, and no bar is asked for again. The old name is kept as an alias of
the vendor `hypertape`: reads by it say what the series is called now, and lists that still have it mean the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from hypertape.errors import BadInput, UnknownTicker
from hypertape.model import Market
from hypertape.queries import query
from hypertape.warehouse.ledger import known_tickers
from hypertape.warehouse.loading.stored import relation
from hypertape.warehouse.locks import lock_series

Connection = psycopg.Connection[Any]

OWN = "hypertape"
"""The vendor of our own former names."""

_LONGEST = 64
"""Letters of a vendor's symbol."""


@dataclass(frozen=True, slots=True)
class FormerName:
    """A name that is no longer ours: what it is called now, and since when."""

    name: str
    ticker: str
    since: date

    def __str__(self) -> str:
        return f"{self.name} is called {self.ticker} since {self.since}"


@dataclass(frozen=True, slots=True)
class Renamed:
    """A rename, and how many rows of which table speak of the new name now; none where it had been done before."""

    market: str
    old: str
    new: str
    on: date
    rows: Mapping[str, int]


def former_names(connection: Connection, market: Market, names: Iterable[str]) -> dict[str, FormerName]:
    """Of some names those that a rename has left, with what they are called now."""
    rows = connection.execute(
        query("symbol_formers"), {"market": market.code, "names": list(names)}
    ).fetchall()
    return {name: FormerName(name, ticker, since) for name, ticker, since in reversed(rows)}


def present_names(connection: Connection, market: Market, names: Sequence[str]) -> tuple[str, ...]:
    """The same tickers by the names they have now, each once."""
    former = former_names(connection, market, names)
    return tuple(dict.fromkeys(former[name].ticker if name in former else name for name in names))


def unknown_tickers(
    connection: Connection, market: Market, names: Sequence[str], known: Sequence[str], what: str
) -> UnknownTicker:
    """The error for names that are not among those known: of a former name it says what it is called now."""
    former = former_names(connection, market, names)
    if former:
        told = "; ".join(str(each) for each in former.values())
        return UnknownTicker(told, next_step=f"Ask for {', '.join(each.ticker for each in former.values())}.")
    return UnknownTicker.among(what, names, known)


def rename(connection: Connection, market: Market, old: str, new: str, on: date) -> Renamed:
    """Let a ticker's series go on under another name, which is its name from a day on. One transaction.

    Rollups are noted to be made anew, and mirrors get the series whole under its new name. Done again it changes
    nothing. Raises UnknownTicker where nothing is known of the old name, BadInput where the new one has bars already.
    """
    done = former_names(connection, market, [old]).get(old)
    if done is not None and done.ticker == new:
        return Renamed(market.code, old, new, done.since, {})
    parameters = {"market": market.code, "old": old, "new": new, "ticker": new, "on": on}
    with connection.transaction():
        for interval in market.intervals:
            lock_series(connection, market.code, interval.value, [old, new])
        _require_free(connection, market, old, new)
        connection.execute(query("symbol_rename_clear"), parameters)
        try:
            rows = _move(connection, market, parameters)
        except errors.UniqueViolation as error:
            raise BadInput(
                f"The ledgers speak of {new} already: {error.diag.table_name}",
                next_step=f"`hypertape forget {market.code} INTERVAL --tickers {new}` removes that, then rename again.",
            ) from error
        connection.execute(query("symbol_rename_listed"), parameters)
        connection.execute(query("symbol_rename_pending").format(), parameters)
    return Renamed(market.code, old, new, on, {table: count for table, count in rows.items() if count})


def members(
    connection: Connection, market: Market, on: date, group: str | None = None
) -> dict[str, list[str]]:
    """The tickers of a market's groups (or of one) on a day, by the names they have now."""
    parameters = {"market": market.code, "group": group, "on": on}
    found: dict[str, list[str]] = {}
    for name, ticker in connection.execute(query("symbol_members"), parameters).fetchall():
        found.setdefault(name, []).append(ticker)
    return found


def spelled(connection: Connection, market: Market, on: date) -> Market:
    """The market as vendors are asked about it on a day: its `symbols` with the spellings that the warehouse notes.

    What was said of a day on stands above the market's file, and the file above what it said once.
    """
    noted: dict[bool, dict[str, dict[str, str]]] = {True: {}, False: {}}
    rows = connection.execute(query("symbol_spellings"), {"market": market.code, "on": on}).fetchall()
    for vendor, ticker, symbol, dated in rows:
        noted[dated].setdefault(vendor, {})[ticker] = symbol
    vendors = {*market.symbols, *noted[True], *noted[False]}
    layers = (noted[False], market.symbols, noted[True])
    return replace(
        market,
        symbols={
            vendor: {ticker: symbol for layer in layers for ticker, symbol in layer.get(vendor, {}).items()}
            for vendor in sorted(vendors)
        },
    )


def spell(connection: Connection, market: Market, ticker: str, vendor: str, symbol: str, on: date) -> None:
    """Note what a vendor calls a ticker from a day on. Raises BadInput for a symbol that cannot be asked for.

    A symbol is of one ticker at a time: what had it until then is asked for by the market's own rule again.
    """
    if not symbol.isprintable() or not 0 < len(symbol) <= _LONGEST or symbol != symbol.strip():
        raise BadInput(
            f"{symbol!r} can be no vendor's symbol", next_step=f"Printable, at most {_LONGEST} letters."
        )
    named = {"market": market.code, "ticker": ticker, "vendor": vendor, "symbol": symbol, "on": on}
    connection.execute(query("symbol_spell"), named)


def spellings(
    connection: Connection, market: str | None, vendor: str | None, tickers: Sequence[str] | None
) -> list[dict[str, Any]]:
    """Every spelling that was ever noted, with the days it holds for; None: all."""
    named = {"market": market, "vendor": vendor, "tickers": None if tickers is None else list(tickers)}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("symbol_spelling_list"), named).fetchall()


def keepers(connection: Connection, market: Market, old: str, new: str) -> list[str]:
    """The vendors whose lists have a ticker under its old name and not under its new one."""
    named = {"market": market.code, "old": old, "new": new}
    return [source for (source,) in connection.execute(query("symbol_keepers"), named).fetchall()]


def register_names(connection: Connection, market: Market, today: date) -> None:
    """Keep spellings of vendors and members of groups in step with what ships with a market."""
    spellings = [
        (ticker, source, symbol)
        for source, symbols in sorted(market.symbols.items())
        for ticker, symbol in sorted(symbols.items())
    ]
    columns = list(zip(*spellings, strict=True)) or [(), (), ()]
    connection.execute(
        query("symbol_register_spellings"),
        {
            "market": market.code,
            "tickers": list(columns[0]),
            "vendors": list(columns[1]),
            "symbols": list(columns[2]),
        },
    )
    listed = [(entry.group, entry.ticker) for entry in market.tickers]
    connection.execute(
        query("symbol_register_members"),
        {
            "market": market.code,
            "groups": [group for group, _ in listed],
            "tickers": [ticker for _, ticker in listed],
            "today": today,
        },
    )


def _require_free(connection: Connection, market: Market, old: str, new: str) -> None:
    known = known_tickers(connection, market)
    if old not in known:
        raise UnknownTicker.among(market.code, [old], sorted(known))
    held = connection.execute(
        query("store_series"),
        {"markets": [market.code], "intervals": [], "tickers": [new], "start": "-infinity"},
    ).fetchall()
    if old == new:
        raise BadInput(f"{old} is its name already", next_step="Name another one.")
    if held:
        intervals = ", ".join(row[1] for row in held)
        raise BadInput(
            f"{new} has bars already ({intervals})",
            next_step="If they are of the same instrument, remove them with "
            f"`hypertape forget {market.code} INTERVAL --tickers {new}`: its vendor serves them again.",
        )


def _move(connection: Connection, market: Market, parameters: Mapping[str, Any]) -> dict[str, int]:
    connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
    tables = [name for (name,) in connection.execute(query("symbol_rename_tables")).fetchall()]
    places = {market.relation(i): (relation(market, i), sql.SQL("true")) for i in market.intervals}
    of_market = sql.SQL("market = %(market)s")
    places |= {table: (sql.Identifier("public", table), of_market) for table in tables}
    return {
        name: connection.execute(
            query("symbol_rename_rows").format(table=table, condition=condition), parameters
        ).rowcount
        for name, (table, condition) in places.items()
    }
