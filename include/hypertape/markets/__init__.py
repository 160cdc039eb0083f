"""The registry of markets. A market is one module here that defines `MARKET`; there is no second list.

The ticker file beside it, `tickers/<code>.csv`, has the columns ticker,name,group,kind. A ticker has one line.

A user's project adds `markets/<code>.toml` with a `tickers/<code>.csv`, and has for any market a ticker list and
exceptions of its calendar. A market whose files there are broken is left out, and why is told to who asks for it.
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

from hypertape.errors import BadProject, UnknownMarket
from hypertape.model import Market, Ticker
from hypertape.project import Project, find_project


def all_markets() -> dict[str, Market]:
    """Every market by code, in the order of their codes; kept for as long as the process and its project are the same.

    Raises BadProject where HYPERTAPE_PROJECT names none.
    """
    return _registry(find_project())[0]


def get_market(code: str) -> Market:
    """Look a market up by code. Raises UnknownMarket with the valid codes, and BadProject for one that is broken."""
    markets, wrong = _registry(find_project())
    if code in wrong:
        raise wrong[code]
    if code not in markets:
        raise UnknownMarket.named(code, markets)
    return markets[code]


def problems() -> tuple[BadProject, ...]:
    """What is wrong with the project's files about markets."""
    return tuple(_registry(find_project())[1].values())


def forget_markets() -> None:
    """Read every market anew when it is asked for."""
    _registry.cache_clear()


@cache
def _registry(project: Project | None) -> tuple[dict[str, Market], dict[str, BadProject]]:
    """The markets that can be used, and by code (else by path) why others cannot."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")
    shipped = [_with_tickers(importlib.import_module(f"{__name__}.{name}")) for name in names]
    if project is None:
        return {market.code: market for market in shipped}, {}
    from hypertape.markets._project import with_project  # noqa: PLC0415 (only where there is one)

    return with_project(project, {market.code: market for market in shipped})


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
