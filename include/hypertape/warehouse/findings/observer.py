"""What an observer is: a pure reading of the ledgers that says what is wrong now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from hypertape.queries import query
from hypertape.warehouse.findings.headline import plural
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


@dataclass(frozen=True, slots=True)
class Place:
    """A market and interval, with what a statement found there."""

    market: str
    interval: str
    found: Sequence[Row] = ()

    def __str__(self) -> str:
        return f"{self.market} {self.interval}"

    @property
    def tickers(self) -> tuple[str, ...]:
        """The tickers found, sorted, each once."""
        return tickers_of(self.found)

    @property
    def whose(self) -> str:
        """Whose it is that was found: `3 tickers of vn 1D`."""
        return f"{plural(len(self.tickers), 'ticker')} of {self}"

    def total(self, column: str) -> int:
        """A column's sum."""
        return sum(row[column] for row in self.found)

    def distinct(self, column: str) -> list[str]:
        """A column's values, sorted, each once."""
        return sorted({row[column] for row in self.found})

    def options(self, tickers: Sequence[str] = ()) -> str:
        """How a command names the place, and some tickers where they are few."""
        return options(self.market, self.interval, tickers)

    def observation(
        self,
        kind: str,
        title: str,
        mend: str,
        *,
        of: Sequence[str] = (),
        tickers: Sequence[str] | None = None,
        amount: object = None,
        **more: Any,
    ) -> Observation:
        """What is wrong here. `of` tells apart several of one kind; with `amount` another amount is a change too."""
        named = tuple(self.tickers if tickers is None else tickers)
        if amount is not None:
            more["essence"] = f"{amount} {','.join(named)}"
        return Observation(
            cause="/".join((kind, self.market, self.interval, *of)),
            kind=kind,
            title=title,
            mend=mend,
            market=self.market,
            interval=self.interval,
            tickers=named,
            **more,
        )


def by_place(found: Iterable[Row]) -> list[Place]:
    """The rows of each market and interval, in order."""
    places: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in found:
        places[row["market"], row["interval"]].append(row)
    return [Place(*place, those) for place, those in sorted(places.items())]


def rows(connection: Connection, name: str, **parameters: Any) -> list[Row]:
    """The rows of a statement, as dicts."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters or None).fetchall()


def tickers_of(found: Iterable[Row]) -> tuple[str, ...]:
    """The tickers of some rows, sorted, each once."""
    return tuple(sorted({row["ticker"] for row in found}))


MOST_TICKERS = 20
"""Tickers that a command names; more of them are all."""


def tickers_option(tickers: Sequence[str]) -> str:
    """`--tickers …`, with a blank before it; nothing where they are many or not known."""
    return f" --tickers {','.join(sorted(tickers))}" if 0 < len(tickers) <= MOST_TICKERS else ""


def options(market: str, interval: str, tickers: Sequence[str] = ()) -> str:
    """How a command names a place, and some tickers where they are few."""
    return f"-m {market} -i {interval}{tickers_option(tickers)}"
