"""Any exchange that ccxt knows, Binance unless `exchange` names another.

A ticker is the coin: BTC is BTC/USDT on the exchange, or what the exchange's own market list has of BTC against USD or
another dollar. Volume is in coins (Yahoo's is in dollars). Bars arrive with at most 1000 a request, oldest first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from hypertape.calendars import expected_times
from hypertape.errors import NoData
from hypertape.frame import micros
from hypertape.model import Interval, Market, Window
from hypertape.sources import Fetched, OnTicker, Recorder, SourceConfig, Throttle
from hypertape.sources._collect import Patience, TickerAnswer, collect, judge, placing
from hypertape.sources._line import Line, line_of

if TYPE_CHECKING:
    from hypertape.sources._ccxt_client import CcxtClient

RATE = 8.0
"""Requests a second; Binance allows far more for candles, other exchanges about this."""

EXCHANGE = "binance"
DOLLARS = ("USDT", "USD", "USDC")
"""What a coin may be quoted in, the first the exchange has."""

PAGE = 1_000
"""Bars a request; exchanges that give fewer at once are asked more often."""


def build(config: SourceConfig, throttle: Throttle | None, recorder: Recorder | None) -> Ccxt:
    """Open the configuration's exchange, or the server at its endpoint that answers in its place."""
    return Ccxt(config.exchange or EXCHANGE, config.endpoint, throttle=throttle, recorder=recorder)


@dataclass(frozen=True)
class Ccxt:
    """One exchange as a source.

    A request is tried `attempts` times in all while the error may pass, with backoff waited for by `sleep`. After
    `patience` tickers in a row that failed so, the rest of the batch is not asked.
    """

    exchange: str = EXCHANGE
    endpoint: str | None = None
    attempts: int = 4
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    timeout: float = 30.0
    patience: int = 3
    throttle: Throttle | None = field(default=None, repr=False)
    recorder: Recorder | None = field(default=None, repr=False)
    name: str = "ccxt"

    def tickers(self, market: Market, interval: Interval) -> tuple[str, ...]:
        """List the tickers of the market's file; which of them the exchange has is known when it is asked."""
        return tuple(sorted(market.by_ticker))

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

        Failures: RateLimited, SourceUnavailable and CircuitOpen, NoData (the exchange does not trade it for dollars, or
        has nothing in a window with sessions), SourceSchemaChanged. Reject rule: empty_bar. Raises BadInput for an
        exchange ccxt does not know or an interval the exchange does not have.
        """
        from hypertape.sources._ccxt_client import CcxtClient  # noqa: PLC0415 (ccxt takes seconds to import)

        line = line_of(
            SourceConfig("ccxt", endpoint=self.endpoint), self.throttle, self.recorder, self.exchange
        )
        line = replace(line, attempts=self.attempts, sleep=self.sleep)
        with CcxtClient(self.exchange, self.endpoint, self.timeout, line) as client:
            client.demand_interval(interval)
            read = _Reader(line, client, market, interval, Window(window.start, _end(window, now)))
            fetched = collect(Patience(read, self.patience), tickers, window, on_ticker)
        return judge(fetched, market, tickers, interval, window, now)


@dataclass(frozen=True)
class _Reader:
    """Reads one ticker: its pages, each with its attempts, joined."""

    line: Line
    client: CcxtClient
    market: Market
    interval: Interval
    window: Window

    def __call__(self, ticker: str) -> TickerAnswer:
        with placing(self.market, ticker, self.interval, self.window):
            return self._read(ticker)

    def _read(self, ticker: str) -> TickerAnswer:
        symbol = self.line.persist(lambda: self.client.symbol(ticker, DOLLARS))
        pages: list[TickerAnswer] = []
        since, end = micros(self.window.start), micros(self.window.end)
        assert self.interval.delta is not None
        step = self.interval.delta // timedelta(microseconds=1)
        while since < end:
            rows = self.line.persist(lambda since=since: self.client.page(symbol, self.interval, since, PAGE))  # type: ignore[misc]
            answer, last = self.client.read(ticker, self.interval, rows)
            if last is None or last < since:
                break
            pages.append(answer)
            since = last + step
        if not pages and len(expected_times(self.market, self.interval, self.window)):
            raise NoData(f"{self.line.name} has no bars of {symbol} there")
        return _joined(pages)


def _end(window: Window, now: datetime) -> datetime:
    return max(window.start, min(window.end, now))


def _joined(pages: list[TickerAnswer]) -> TickerAnswer:
    if not pages:
        return TickerAnswer()
    return TickerAnswer(
        pa.concat_tables([page.bars for page in pages]), pa.concat_tables([page.rejects for page in pages])
    )
