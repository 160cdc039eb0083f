"""The symbols of feeds: registered as they come, and kept as their feed lists them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import psycopg

from hypertape.queries import query
from hypertape.stream.model import SCALE, SymbolInfo

Connection = psycopg.Connection[Any]

MARKET = "stream"
"""The market of symbols that came with a feed."""

LONGEST = 50
"""Characters of a symbol: the document's varchar(50)."""


class SymbolIds:
    """The ids of symbols by name, known once asked for; shared by the tables of one writer."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._guard = threading.Lock()

    def resolve(self, connection: Connection, names: Iterable[str]) -> dict[str, int]:
        """The ids of these names (and others); an unknown symbol is registered.

        In a transaction of its own. Raises ValueError for a name that can be no symbol.
        """
        missing = sorted(set(names) - self._known.keys())
        if missing:
            for name in missing:
                _check(name)
            with self._guard:
                while not self._known.keys() >= set(
                    missing
                ):  # another process may register one at this moment
                    rows = connection.execute(query("stream_symbol_ids"), (MARKET, missing)).fetchall()
                    self._known |= dict(rows)
        return self._known

    def forget(self) -> None:
        """Ask again: the database may be another one."""
        with self._guard:
            self._known = {}


def sync_symbols(connection: Connection, listed: Sequence[SymbolInfo], now: datetime) -> int:
    """Follow a feed's listing: add what is new, take over name, digits, tick and contract size; return how many were
    listed."""
    newest = {info.symbol: info for info in listed}
    for name in newest:
        _check(name)
    parameters = {
        "market": MARKET,
        "symbols": list(newest),
        "names": [info.name for info in newest.values()],
        "digits": [info.digits for info in newest.values()],
        "tick_sizes": [_number(info.tick_size) for info in newest.values()],
        "contract_sizes": [_number(info.contract_size) for info in newest.values()],
        "now": now,
    }
    connection.execute(query("stream_sync_symbols"), parameters)
    return len(newest)


def _check(name: object) -> None:
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= LONGEST
        or not name.isprintable()
        or name != name.strip()
    ):
        raise ValueError(f"{name!r:.80} cannot be a symbol: 1 to {LONGEST} printable characters")
    name.encode()


def _number(value: int | None) -> float | None:
    return None if value is None else value / SCALE
