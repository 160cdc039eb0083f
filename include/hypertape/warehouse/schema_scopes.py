"""What the templates among the scripts of `sql/` are filled in for: `44_market.market.sql` runs once per market.

Each scope has a name of its own in the ledger (`vn`, `vn 1d`) and says what the placeholders mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from psycopg import sql

from hypertape.model import TIMEFRAMES, Interval, Market

Names = Mapping[str, sql.Composable]
Scope = tuple[str, Names]


def _of_markets(markets: Iterable[Market]) -> Iterator[Scope]:
    """{market}; {public} and {published}, the relation of all its intervals; and of every interval what a relation has:
    {bars_1d} {public_1d} {with_load_1d} …"""
    for market in markets:
        names: dict[str, sql.Composable] = {
            "market": sql.Literal(market.code),
            "public": sql.Identifier("public", market.table),
            "published": sql.Identifier("published", market.table),
        }
        for interval in Interval:
            of_relation = _relation_names(market, interval)
            names |= {f"{name}_{interval.value}": value for name, value in of_relation.items()}
        yield market.code, names


def _of_relations(markets: Iterable[Market]) -> Iterator[Scope]:
    """The names of each stored relation; see `_relation_names`."""
    for market in markets:
        for interval in market.intervals:
            yield f"{market.code} {interval}", _relation_names(market, interval)


def _of_readers(markets: Iterable[Market]) -> Iterator[Scope]:
    """Those of each stored relation twice: {with_load} and {timed} are of what is stored, then of what is published."""
    for scope, names in _of_relations(markets):
        yield scope, names
        published = {"with_load": names["published_with_load"], "timed": names["published_timed"]}
        yield f"{scope} published", {**names, **published}


def _of_rollups(markets: Iterable[Market]) -> Iterator[Scope]:
    """Those of each rollup; {base} is the interval it is made from, {width} that of its buckets (both as text)."""
    for market in markets:
        for interval in Interval:
            if not interval.is_stored:
                more = {
                    "base": sql.Literal(interval.base.value),
                    "width": sql.Literal(_width(interval.delta)),
                }
                yield f"{market.code} {interval}", {**_relation_names(market, interval), **more}


def _of_candles(markets: Iterable[Market]) -> Iterator[Scope]:
    """{bars} and {public} of each level of candles, and its {width} (as text)."""
    for timeframe, width in TIMEFRAMES.items():
        yield (
            timeframe,
            {
                "bars": sql.Identifier("bars", f"ohlc_{timeframe}"),
                "public": sql.Identifier("public", f"ohlc_{timeframe}"),
                "width": sql.Literal(_width(width)),
            },
        )


def _of_schemas(markets: Iterable[Market]) -> Iterator[Scope]:
    """{schema}: public, where all that is stored is read, and published."""
    for schema in ("public", "published"):
        yield schema, {"schema": sql.Identifier(schema)}


def _width(width: timedelta | None) -> str:
    if width is None:
        return "1 month"
    return f"{width.days} days" if width.days else f"{width // timedelta(minutes=1)} minutes"


SCOPES: dict[str, Callable[[Iterable[Market]], Iterator[Scope]]] = {
    "market": _of_markets,
    "relation": _of_relations,
    "reader": _of_readers,
    "rollup": _of_rollups,
    "candle": _of_candles,
    "schema": _of_schemas,
}
"""By the middle part of a script's file name: each scope with its name in the ledger and what its placeholders mean."""

CARRIED = {"timescaledb": sql.SQL("varchar"), "plain": sql.SQL("text")}
"""{carried} of every template, by tier: the type in which a ticker goes through a union of bars (see 42_published)."""


def _relation_names(market: Market, interval: Interval) -> dict[str, sql.Composable]:
    """{bars} (stored); {public}, {published}, {with_load}, {timed} and these two of what is published (views); {name},
    {market}, {interval} and its {spelling} (as text)."""
    relation = market.relation(interval)
    views = ("with_load", "published_with_load", "timed", "published_timed")
    return {
        **{view: sql.Identifier("bars", f"{relation}_{view}") for view in views},
        "bars": sql.Identifier("bars", relation),
        "public": sql.Identifier("public", relation),
        "published": sql.Identifier("published", relation),
        "name": sql.Literal(f"bars.{relation}"),
        "market": sql.Literal(market.code),
        "interval": sql.Literal(interval.value),
        "spelling": sql.Literal(interval.spelling),
    }
