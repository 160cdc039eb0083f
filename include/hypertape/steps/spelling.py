"""What vendors call our tickers: noted by hand or by their lists, and asked for by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import psycopg

from hypertape.errors import UnknownSource
from hypertape.markets import get_market
from hypertape.model import Market
from hypertape.sources import Listing, source_names
from hypertape.steps.raw import Note
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import known_tickers
from hypertape.warehouse.symbology import former_names, spell, spelled, spellings, unknown_tickers

Connection = psycopg.Connection[Any]


def spelled_now(market: Market, dsn: str | None, now: datetime) -> Market:
    """The market as its vendors spell its tickers now; as its file has it without a warehouse."""
    if dsn is None:
        return market
    with connect(dsn) as connection:
        return spelled(connection, market, now.date())


def noted_symbols(market: Market, names: Sequence[str], tickers: Sequence[str]) -> dict[str, dict[str, str]]:
    """What some sources call some tickers, where the market notes a spelling."""
    found = {name: market.symbols.get(name, {}) for name in names}
    return {
        source: {ticker: symbols[ticker] for ticker in tickers if ticker in symbols}
        for source, symbols in found.items()
    }


def named_now(kept: Sequence[Note], market: Market, dsn: str | None) -> list[Note]:
    """What a run asked for, by the names that its tickers have now; its sources go by what they were asked for then."""
    names = {ticker for note in kept for ticker in note.tickers}
    if dsn is None or not names:
        return list(kept)
    with connect(dsn) as connection:
        former = {name: each.ticker for name, each in former_names(connection, market, names).items()}
    return [_renamed(note, market, former) for note in kept] if former else list(kept)


def _renamed(note: Note, market: Market, former: Mapping[str, str]) -> Note:
    then = replace(market, symbols={**market.symbols, **note.symbols})
    asks = tuple((at, tuple(former.get(name, name) for name in names)) for at, names in note.asks)
    symbols = {
        config.name: {former.get(name, name): then.symbol_at(config.name, name) for name in note.tickers}
        for config in note.source.chain
    }
    return replace(note, asks=asks, symbols=symbols)


def listed_symbols(listing: Listing) -> set[str]:
    """What a list has that is traded, by the vendor's own words."""
    return {each.ticker for each in listing.tickers if not each.delisted}


def spelled_as_listed(
    connection: Connection, market: Market, source: str, listing: Listing, today: date
) -> Market:
    """The market as the source spells it. A ticker that the list has by its own name, and no longer by its former one
    that is noted, is asked for by its own name from now on. What else is noted (a pair of coins, say) is in no list."""
    alive = listed_symbols(listing)
    noted = [
        row
        for row in spellings(connection, market.code, source, None)
        if row["since"] is not None and str(row["since"]) <= today.isoformat() and row["until"] is None
    ]
    former = former_names(connection, market, {row["symbol"] for row in noted})
    for row in noted:
        name = former.get(row["symbol"])
        is_former = name is not None and name.ticker == row["ticker"]
        if is_former and row["ticker"] in alive and row["symbol"] not in alive:
            spell(connection, market, row["ticker"], source, row["ticker"], today)
    return spelled(connection, market, today)


def spell_from(dsn: str, market: str, ticker: str, vendor: str, symbol: str, on: date) -> None:
    """Note what a vendor calls a ticker from a day on.

    Raises UnknownSource, UnknownTicker for one that is neither listed nor known, and what `symbology.spell` raises.
    """
    of_market = get_market(market)
    require_source(vendor)
    with connect(dsn) as connection:
        known = known_tickers(connection, of_market) | set(of_market.by_ticker)
        if ticker not in known:
            raise unknown_tickers(connection, of_market, [ticker], sorted(known), of_market.code)
        spell(connection, of_market, ticker, vendor, symbol, on)
        connection.commit()


def require_source(name: str) -> None:
    """Raise UnknownSource, with the valid names, where there is no such source."""
    if name not in source_names():
        raise UnknownSource(
            f"There is no source {name!r}", next_step=f"Sources: {', '.join(source_names())}."
        )
