"""What a vendor says there is: its list of symbols, which says when one is new, renamed or no longer traded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypertape.errors import BadInput
from hypertape.model import Interval, Market
from hypertape.sources._protocol import Source


@dataclass(frozen=True, slots=True)
class Listed:
    """One ticker of a vendor's list. `kind` is a word of the market's file, `delisted`: the vendor itself says so."""

    ticker: str
    name: str | None = None
    kind: str = "stock"
    exchange: str | None = None
    delisted: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A vendor's list. Only of `kinds` it is whole: that another one is absent says nothing.

    `others` counts what else stands in it, by the vendor's own word.
    """

    tickers: tuple[Listed, ...]
    kinds: tuple[str, ...]
    others: Mapping[str, int] = field(default_factory=dict)


def has_listing(source: Source) -> bool:
    """True where a source publishes a list of symbols."""
    return hasattr(source, "listing")


def listing_of(source: Source, market: Market) -> Listing:
    """Ask a source for its list. Raises BadInput where it publishes none, and what its requests raise."""
    ask = getattr(source, "listing", None)
    if ask is None:
        raise BadInput(
            f"{source.name} publishes no list of symbols",
            next_step="Lists are had of vci, ccxt, csv_tree and sample.",
        )
    found: Listing = ask(market)
    return found


def listing_of_names(source: Source, market: Market) -> Listing:
    """The list of a source that has names and nothing else: every ticker it serves, of whichever interval."""
    names = {ticker for interval in market.intervals for ticker in source.tickers(market, Interval(interval))}
    listed = tuple(Listed(name, kind=market.kind_of(name)) for name in sorted(names))
    return Listing(listed, tuple({each.kind: None for each in listed}))
