"""Follow the vendors' lists of symbols: what is new, renamed or gone is noted and told, nothing is dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypertape.errors import BadInput
from hypertape.model import Market
from hypertape.settings import Settings
from hypertape.sources import Source, SourceConfig, has_listing, listing_of, open_source
from hypertape.steps.fetch import shared_throttle
from hypertape.steps.findings import watch
from hypertape.steps.plan import SourceWish, resolve_source
from hypertape.steps.spelling import listed_symbols, spelled_as_listed
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import known_tickers
from hypertape.warehouse.listings import ListingEvent, keep_listing


@dataclass(frozen=True, slots=True)
class Followed:
    """What one list said. `first`: there was none before it, so that nothing can have changed.

    `missing` are tickers that the warehouse knows and the list has not (or has as delisted), of kinds that it is whole
    for; `unknown` counts listed ones that the warehouse does not know, `others` what else stands in it.
    """

    market: str
    source: str
    listed: int
    delisted: int
    first: bool
    events: tuple[ListingEvent, ...]
    missing: tuple[str, ...]
    unknown: int
    others: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "market": self.market,
            "source": self.source,
            "listed": self.listed,
            "delisted": self.delisted,
            "first": self.first,
            "events": [
                {"ticker": e.ticker, "event": e.event, "former": e.former, "present": e.present} for e in self.events
            ],
            "missing": list(self.missing),
            "unknown": self.unknown,
            "others": dict(self.others),
        }  # fmt: skip


def follow_listing(
    dsn: str,
    market: Market,
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    source: SourceWish | None = None,
    accept: bool = False,
) -> Followed:
    """Ask the first of a market's sources that publishes a list, keep it, and look for what is wrong after it.

    Raises BadInput where none of them does, SourceSchemaChanged for a list that lacks too much to be believed (unless
    `accept`), and what the source raises.
    """
    with shared_throttle(dsn, settings) as throttle:
        chosen = _chosen(resolve_source(market, source, settings), settings, throttle, market)
        listing = listing_of(chosen, market)
    with connect(dsn) as connection:
        events, first = keep_listing(
            connection, market, chosen.name, listing, now=now, run_id=run_id, accept=accept
        )
        market = spelled_as_listed(connection, market, chosen.name, listing, now.date())
        known = known_tickers(connection, market) | set(market.by_ticker)
        connection.commit()
    watch(dsn, run_id, now=now, settings=settings, thorough=False)
    traded = listed_symbols(listing)
    alive = {market.ticker_at(chosen.name, symbol) for symbol in traded}
    return Followed(
        market.code,
        chosen.name,
        len(alive),
        len(listing.tickers) - len(traded),
        first,
        tuple(events),
        tuple(sorted(t for t in known - alive if market.kind_of(t) in listing.kinds)),
        len(alive - known),
        listing.others,
    )


def _chosen(config: SourceConfig, settings: Settings, throttle: Any, market: Market) -> Source:
    sources: Sequence[Source] = [open_source(one, settings, throttle=throttle) for one in config.chain]
    for source in sources:
        if has_listing(source):
            return source
    raise BadInput(
        f"No source of {market.code} publishes a list of symbols: {', '.join(source.name for source in sources)}",
        next_step="Lists are had of vci, ccxt, csv_tree and sample: name one with --source.",
    )
