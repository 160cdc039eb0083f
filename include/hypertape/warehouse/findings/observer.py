"""What an observer is: a pure reading of the ledgers that says what is wrong now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from hypertape.queries import query
from hypertape.warehouse.findings.ledger import Observation

Connection = psycopg.Connection[Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """Who looks, when (UTC), and where: at one market and interval, or (None) at all of them.

    `thorough` also asks observers that read the bars themselves. `pause` are the seconds after which a source that is
    left alone is tried again.
    """

    now: datetime
    run_id: str
    market: str | None = None
    interval: str | None = None
    thorough: bool = False
    pause: float = 60.0

    @property
    def place(self) -> dict[str, Any]:
        """Market and interval as parameters of a statement."""
        return {"market": self.market, "interval": self.interval}


@dataclass(frozen=True, slots=True)
class Observer:
    """Kinds of findings, and who sees them: where the look is (`place`), in all of its market, or everywhere."""

    kinds: tuple[str, ...]
    see: Callable[[Connection, Look], Iterable[Observation]]
    reach: str = "place"
    costly: bool = False


def rows(connection: Connection, name: str, **parameters: Any) -> list[Row]:
    """The rows of a statement, as dicts."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters or None).fetchall()


def tickers_of(found: Iterable[Row]) -> tuple[str, ...]:
    """The tickers of some rows, sorted, each once."""
    return tuple(sorted({row["ticker"] for row in found}))


def options(market: str, interval: str, tickers: Sequence[str] = (), most: int = 20) -> str:
    """How a command names a place, and some tickers where they are few."""
    named = f" --tickers {','.join(sorted(tickers))}" if 0 < len(tickers) <= most else ""
    return f"-m {market} -i {interval}{named}"
