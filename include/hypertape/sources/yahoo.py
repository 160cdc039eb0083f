"""Yahoo Finance: yfinance's conversation with it, and our reading of its answers (`_yahoo_answer` says why).

Prices are as Yahoo states them today: adjusted for splits, not for dividends; adjusted_close is adjusted for both. A
split therefore shows as a restatement of the whole history. Volume is whole shares (Yahoo's own unit).

Limits, as of yfinance 1.7.0: 1m reaches 30 days back in requests of at most 7 days, 1h 730 days back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hypertape.calendars import expected_times
from hypertape.errors import NoData, UnknownTicker
from hypertape.model import Interval, Market, Window
from hypertape.sources._collect import Patience, TickerAnswer, away_where_all_refused, collect, joined, judge
from hypertape.sources._http import VendorClient, VendorSource
from hypertape.sources._protocol import Fetched, Limits, OnTicker, Recorder, SourceConfig, Throttle

if TYPE_CHECKING:
    from hypertape.sources._stand_in import Offered
    from hypertape.sources._yahoo_client import YahooClient, YahooSession

RATE = 2.0
"""Requests a second; Yahoo names no limit, and blocks who asks much faster."""

REACH = {Interval.H1: timedelta(days=730), Interval.M1: timedelta(days=30)}
"""How far back of `now` Yahoo has bars; daily bars have no limit."""

LONGEST_REQUEST = {Interval.M1: timedelta(days=7)}
"""The most one request may ask for."""

_CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""Kept from the edge of the reach: Yahoo counts from its own clock."""


def build(
    config: SourceConfig, throttle: Throttle | None, recorder: Recorder | None, limits: Limits
) -> Yahoo:
    """Open Yahoo, or the server at the configuration's endpoint that answers in its place."""
    return Yahoo(
        endpoint=config.endpoint,
        cache_directory=limits.keeps / "yfinance" if limits.keeps else None,
        throttle=throttle,
        recorder=recorder,
        limits=limits,
    )


@dataclass(frozen=True)
class Yahoo(VendorSource):
    """Yahoo as a source.

    `session` replaces the HTTP session (tests). `cache_directory` keeps what yfinance knows of time zones and cookies.
    """

    name: ClassVar[str] = "yahoo"

    cache_directory: Path | None = None
    session: YahooSession | None = None

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

        Failures: RateLimited and SourceUnavailable (after all attempts; where Yahoo knows none of the tickers),
        UnknownTicker, NoData (nothing in a window with sessions, or older than Yahoo's reach), SourceSchemaChanged.
        Reject rules: bad_time, off_grid, text_in_number, empty_bar (all prices missing).
        """
        from hypertape.sources._yahoo_client import YahooClient  # noqa: PLC0415 (yfinance takes 3 s to import)

        vendor = self.client
        with YahooClient(self.session, self.endpoint, self.cache_directory, self.timeout, vendor) as client:
            read = _Reader(vendor, client, market, interval, window, now)
            fetched = collect(Patience(read, self.patience), tickers, window, on_ticker)
        unknown = [t for t, error in fetched.failures.items() if isinstance(error, UnknownTicker)]
        fetched = away_where_all_refused(fetched, "Yahoo", tickers, unknown)
        return judge(fetched, market, tickers, interval, window, now)


@dataclass(frozen=True)
class _Reader:
    """Reads one ticker: its requests, each with its attempts, joined."""

    vendor: VendorClient
    client: YahooClient
    market: Market
    interval: Interval
    window: Window
    now: datetime

    def __call__(self, ticker: str) -> TickerAnswer:
        try:
            return self._read(ticker)
        except NoData:
            if len(expected_times(self.market, self.interval, self.window)) == 0:
                return TickerAnswer()
            raise

    def _read(self, ticker: str) -> TickerAnswer:
        answers: list[TickerAnswer] = []
        nothing: NoData | None = None
        for page, part in enumerate(requests(self.interval, self.window, self.now), start=1):
            try:
                self.vendor.require_page(page, page)
                answers.append(self._ask(ticker, part))
            except NoData as error:
                nothing = error
        if not answers and nothing is not None:
            raise nothing
        return joined(answers)

    def _ask(self, ticker: str, part: Window) -> TickerAnswer:
        return self.vendor.persist(
            lambda: self.client.history(self.market, ticker, self.interval, part, self.now)
        )


def requests(interval: Interval, window: Window, now: datetime) -> Iterator[Window]:
    """Cut a window into what Yahoo answers in one request each, oldest first; what has not begun is not asked.

    Raises NoData when all of it is older than Yahoo keeps. When a part is, that part is left out.
    """
    start, end = window.start, window.end
    if interval in REACH:
        oldest = now - REACH[interval] + _CLOCKS_DIFFER_BY
        start, end = max(start, oldest), min(end, now)
        if window.end <= oldest:
            raise NoData(
                f"Yahoo keeps {interval.value} bars for {REACH[interval].days} days: none before {oldest:%Y-%m-%d}",
                next_step="Ask for a newer window, or name another source with --source.",
            )
    longest = LONGEST_REQUEST.get(interval, end - start)
    while start < end:
        yield Window(start, min(end, start + longest))
        start += longest


def stand_in(
    path: str, query: Mapping[str, str], body: str, offered: Sequence[Offered]
) -> str | tuple[int, str]:
    """What the vendor's server answers: see `_yahoo_stand_in`."""
    from hypertape.sources._yahoo_stand_in import stand_in  # noqa: PLC0415 (for the conformance kit alone)

    return stand_in(path, query, body, offered)
