"""Any exchange that ccxt knows, Binance unless `exchange` names another.

A ticker is the coin: BTC is BTC/USDT on the exchange, or what the exchange's own market list has of BTC against USD or
another dollar. What a market notes as its symbol at ccxt is another coin, or a whole pair: BTC/KRW. Volume is in coins
(Yahoo's is in dollars). Bars arrive with at most 1000 a request, oldest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from hypertape.calendars import expected_times
from hypertape.errors import NoData, SourceSchemaChanged
from hypertape.frame import micros
from hypertape.model import Interval, Market, Window
from hypertape.sources._collect import (
    Patience,
    TickerAnswer,
    away_where_all_refused,
    collect,
    joined,
    judge,
    placing,
)
from hypertape.sources._http import VendorClient, VendorSource
from hypertape.sources._listing import Listed, Listing
from hypertape.sources._protocol import Fetched, Limits, OnTicker, Recorder, SourceConfig, Throttle

if TYPE_CHECKING:
    from hypertape.sources._ccxt_client import Candle, CcxtClient
    from hypertape.sources._stand_in import Offered

RATE = 8.0
"""Requests a second; Binance allows far more for candles, other exchanges about this."""

EXCHANGE = "binance"
DOLLARS = ("USDT", "USD", "USDC")
"""What a coin may be quoted in, the first the exchange has."""

PAGE = 1_000
"""Bars a request; exchanges that give fewer at once are asked more often."""


def build(config: SourceConfig, throttle: Throttle | None, recorder: Recorder | None, limits: Limits) -> Ccxt:
    """Open the configuration's exchange, or the server at its endpoint that answers in its place."""
    return Ccxt(
        config.exchange or EXCHANGE,
        endpoint=config.endpoint,
        throttle=throttle,
        recorder=recorder,
        limits=limits,
    )


@dataclass(frozen=True)
class Ccxt(VendorSource):
    """One exchange as a source."""

    name: ClassVar[str] = "ccxt"

    exchange: str = EXCHANGE

    @property
    def part(self) -> str:
        """The exchange."""
        return self.exchange

    def fetch(
        self,
        market: Market,
        tickers: Sequence[str],
        interval: Interval,
        window: Window,
        *,
        now: datetime,
        on_ticker: OnTicker | None = None,
    ) -> Fetched:
        """Ask for one ticker after the other.

        Failures: RateLimited, SourceUnavailable (also where the exchange trades none of several tickers) and
        CircuitOpen, NoData (the exchange does not trade it for dollars, or has nothing in a window with sessions),
        SourceSchemaChanged. Reject rules: bad_time, off_grid, text_in_number, empty_bar. Raises BadInput for an
        exchange ccxt does not know or an interval the exchange does not have.
        """
        from hypertape.sources._ccxt_client import CcxtClient  # noqa: PLC0415 (ccxt takes seconds to import)

        vendor = self.client
        with CcxtClient(self.exchange, self.endpoint, self.timeout, vendor) as client:
            client.require_interval(interval)
            begun = Window(window.start, max(window.start, min(window.end, now)))
            read = _Reader(vendor, client, market, interval, begun)
            fetched = collect(Patience(read, self.patience), tickers, window, on_ticker)
        fetched = away_where_all_refused(fetched, vendor.name, tickers, read.refused)
        return judge(fetched, market, tickers, interval, window, now)

    def listing(self, market: Market) -> Listing:
        """The coins that the exchange trades for dollars; one of which every pair rests counts as delisted.

        Raises RateLimited, SourceUnavailable, CircuitOpen, SourceSchemaChanged, BadInput for an unknown exchange.
        """
        from hypertape.sources._ccxt_client import CcxtClient  # noqa: PLC0415 (ccxt takes seconds to import)

        vendor = self.client
        with CcxtClient(self.exchange, self.endpoint, self.timeout, vendor) as client:
            pairs = vendor.persist(client.markets).values()
        ours = [
            pair
            for pair in pairs
            if pair.get("spot", True) and pair.get("quote") in DOLLARS and pair.get("base")
        ]
        if not ours:
            raise SourceSchemaChanged(f"{vendor.name}'s list has no coin for {', '.join(DOLLARS)}")
        traded = {str(pair["base"]) for pair in ours if pair.get("active") is not False}
        listed = (
            Listed(coin, None, "crypto", self.exchange if coin in traded else None, coin not in traded)
            for coin in sorted({str(pair["base"]) for pair in ours})
        )
        others = len(pairs) - len(ours)
        return Listing(tuple(listed), ("crypto",), {"pairs against others": others} if others else {})


@dataclass(frozen=True)
class _Reader:
    """Reads one ticker: its pages, each with its attempts, joined."""

    vendor: VendorClient
    client: CcxtClient
    market: Market
    interval: Interval
    window: Window
    refused: set[str] = field(default_factory=set)

    def __call__(self, ticker: str) -> TickerAnswer:
        with placing(self.market, ticker, self.interval, self.window):
            return self._read(ticker)

    def _read(self, ticker: str) -> TickerAnswer:
        try:
            coin = self.market.symbol_at("ccxt", ticker)
            symbol = self.vendor.persist(lambda: self.client.symbol(coin, DOLLARS))
        except NoData:
            self.refused.add(ticker)
            raise
        pages: list[TickerAnswer] = []
        since, end = micros(self.window.start), micros(self.window.end)
        assert self.interval.delta is not None
        step = self.interval.delta // timedelta(microseconds=1)
        most = (end - since) // step + 2  # each page but the last has a bar more
        while since < end:
            self.vendor.require_page(len(pages) + 1, most)
            rows = self._page(symbol, since)
            pages.append(self.client.read(self.market, ticker, self.interval, rows))
            last = max(
                (row.opening for row in rows if row.opening and since <= row.opening < end), default=None
            )
            if last is None:
                break
            # From the grid's next opening on: a candle off the grid may stand right before one that is on it.
            since = last // step * step + step
        answer = joined(pages)
        if answer.rows_in == 0 and len(expected_times(self.market, self.interval, self.window)):
            raise NoData(f"{self.vendor.name} has no bars of {symbol} there")
        return answer

    def _page(self, symbol: str, since: int) -> list[Candle]:
        return self.vendor.persist(lambda: self.client.page(symbol, self.interval, since, PAGE))


def stand_in(
    path: str, query: Mapping[str, str], body: str, offered: Sequence[Offered]
) -> str | tuple[int, str]:
    """What the vendor's server answers: see `_binance_stand_in`."""
    from hypertape.sources._binance_stand_in import stand_in  # noqa: PLC0415 (for the conformance kit alone)

    return stand_in(path, query, body, offered)
