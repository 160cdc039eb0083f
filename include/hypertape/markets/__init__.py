"""The registry of markets. A market is one module here that defines `MARKET`; there is no second list.

The ticker file beside it, `tickers/<code>.csv`, has the columns ticker,name,group,kind. A ticker has one line.
"""

from __future__ import annotations

import csv
import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from hypertape.errors import UnknownMarket
from hypertape.model import Market, Ticker


@cache
def all_markets() -> dict[str, Market]:
    """Every market by code, in the order of their codes."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    return {market.code: market for market in map(_with_tickers, modules)}


def get_market(code: str) -> Market:
    """Look a market up by code. Raises UnknownMarket with the valid codes."""
    markets = all_markets()
    if code not in markets:
        raise UnknownMarket.named(code, markets)
    return markets[code]


def misspelled(market: Market, names: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """Of some names those that are a ticker in other letters (`aapl`), with the ticker: each would be a second series.

    Tickers are the market's list, of the names themselves those in capitals, and what is `known` beside them.
    """
    given = set(names)
    right = {*market.by_ticker, *known}
    capitals = (name for name in given if name == name.upper())
    by_letters = {name.upper(): name for name in (*known, *capitals, *market.by_ticker)}
    return {
        name: by_letters[name.upper()]
        for name in sorted(given - right)
        if by_letters.get(name.upper(), name) != name
    }


def _with_tickers(module: ModuleType) -> Market:
    market: Market = module.MARKET
    path = Path(str(module.__file__)).parent / "tickers" / f"{market.code}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        return replace(market, tickers=tuple(Ticker(**row) for row in csv.DictReader(lines)))
