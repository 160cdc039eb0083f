"""The registry of markets. A market is one module here that defines `MARKET`; there is no second list.

The ticker file beside it, `tickers/<code>.csv`, has the columns ticker,name,group,kind.
"""

from __future__ import annotations

import csv
import importlib
import pkgutil
from dataclasses import replace
from functools import cache
from pathlib import Path

from hypertape.errors import UnknownMarket
from hypertape.model import Market, Ticker

_TICKER_FILES = Path(__file__).parent / "tickers"


@cache
def all_markets() -> dict[str, Market]:
    """Every market by code, in the order of their codes."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: _with_tickers(importlib.import_module(f"{__name__}.{name}").MARKET) for name in names}


def get_market(code: str) -> Market:
    """Look a market up by code. Raises UnknownMarket with the valid codes."""
    markets = all_markets()
    if code not in markets:
        raise UnknownMarket.named(code, markets)
    return markets[code]


def _with_tickers(market: Market) -> Market:
    path = _TICKER_FILES / f"{market.code}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        entries = tuple(Ticker(**row) for row in csv.DictReader(lines))
    return replace(market, tickers=entries)
