"""VCI (Vietcap), through the endpoint behind its own charts: POST `/api/chart/OHLCChart/gap-chart`.

A request names a time frame, symbols, the last instant `to` and how many bars `countBack` of it; it is repeated for
what is older until the window's start is reached, whatever the most is that the server gives at once. Stocks are quoted
in VND, indices in points (clients that show thousands divide by 1000): nothing is scaled. There is no adjusted close,
and no dividends come along.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from hypertape import __version__
from hypertape.calendars import expected_times, sessions_of
from hypertape.errors import (
    BadInput,
    HypertapeError,
    NoData,
    SourceSchemaChanged,
    SourceUnavailable,
    TransientError,
)
from hypertape.frame import instant, micros
from hypertape.model import Interval, Market, Window, midnight
from hypertape.settings import load_settings
from hypertape.sources import Fetched, Limits, OnTicker, Recorder, SourceConfig, Throttle
from hypertape.sources._collect import (
    TickerAnswer,
    away_where_all_refused,
    collect,
    joined,
    judge,
    last_given,
    placed,
    reading,
)
from hypertape.sources._http import VendorClient, judge_status, request_text, vendor_client
from hypertape.sources._session import BoundedSession, start_of
from hypertape.sources._vci_answer import openings, read_answer, read_bars, read_series, refuses

URL = "https://trading.vietcap.com.vn"
PATH = "/api/chart/OHLCChart/gap-chart"

RATE = 2.0
"""Requests a second; VCI names no limit."""

PAGE = 5_000
"""Bars of each symbol that one answer holds at most."""

FRAMES = {Interval.D1: "ONE_DAY", Interval.H1: "ONE_HOUR", Interval.M1: "ONE_MINUTE"}

SYMBOLS = {"HNXINDEX": "HNXIndex", "UPCOMINDEX": "HNXUpcomIndex"}
"""Tickers that VCI spells otherwise."""

_SPARE = {Interval.D1: 0, Interval.H1: 3, Interval.M1: 60}
"""Bars a session may have beside those the calendar expects: matches, put-through deals, prints at lunch."""

_ODD_PAGES = 8
"""Pages beyond what the calendar explains."""

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/plain, */*",
    "Origin": URL,
    "Referer": f"{URL}/",
    "User-Agent": f"Mozilla/5.0 (compatible; hypertape/{__version__})",
}


def tickers_per_request() -> int:
    """How many tickers one request asks for."""
    return load_settings().symbols_per_request


def build(config: SourceConfig, throttle: Throttle | None, recorder: Recorder | None, limits: Limits) -> Vci:
    """Open VCI, or the server at the configuration's endpoint that answers in its place."""
    return Vci(
        endpoint=config.endpoint,
        symbols_per_request=tickers_per_request(),
        throttle=throttle,
        recorder=recorder,
        limits=limits,
    )


@dataclass(frozen=True)
class Vci:
    """VCI as a source.

    `symbols_per_request` tickers are asked for at once, at most `page` bars of each. A request is tried `attempts`
    times in all while the error may pass, with backoff waited for by `sleep`. After `patience` requests in a row that
    failed so, the rest of the batch is not asked.
    """

    endpoint: str | None = None
    symbols_per_request: int = 10
    page: int = PAGE
    attempts: int = 4
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    timeout: float = 30.0
    patience: int = 3
    throttle: Throttle | None = field(default=None, repr=False)
    recorder: Recorder | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    name: str = "vci"

    def tickers(self, market: Market, interval: Interval) -> tuple[str, ...]:
        """List the tickers of the market's file."""
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
        """Ask for several tickers at a time.

        Failures: RateLimited, SourceUnavailable and CircuitOpen (of a request: all its tickers; where VCI refuses every
        ticker), NoData (left out, refused, or empty in a window with sessions), SourceSchemaChanged. Reject rules:
        bad_time, off_grid, text_in_number, empty_bar, contradicted. Raises BadInput for another market.
        """
        if market.price_unit != "VND":
            raise BadInput(
                f"VCI has Vietnamese prices only, not those of {market.code}",
                next_step=f"Sources of {market.code}: {', '.join(market.sources)}.",
            )
        config = SourceConfig("vci", endpoint=self.endpoint)
        client = vendor_client(config, self.throttle, self.recorder, self.limits)
        client = replace(client, attempts=self.attempts, sleep=self.sleep)
        wanted = tuple(dict.fromkeys(tickers))
        with BoundedSession("VCI", self.limits, self.endpoint, headers=_HEADERS) as session:
            read = _Reader(self, client, session, market, interval, window, wanted, now)
            fetched = collect(read, wanted, window, on_ticker)
        fetched = away_where_all_refused(fetched, "VCI", wanted, read.refused)
        return judge(fetched, market, tickers, interval, window, now)


@dataclass
class _Reader:
    """Reads tickers by groups: the first ticker of a group that is asked for brings the whole group."""

    vci: Vci
    client: VendorClient
    session: BoundedSession
    market: Market
    interval: Interval
    window: Window
    tickers: tuple[str, ...]
    now: datetime
    known: dict[str, TickerAnswer | HypertapeError] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    failed_in_a_row: int = 0

    def __call__(self, ticker: str) -> TickerAnswer:
        if ticker not in self.known:
            first = self.tickers.index(ticker)
            self._read(self.tickers[first : first + self.vci.symbols_per_request])
        found = self.known[ticker]
        if isinstance(found, HypertapeError):
            raise placed(found, self.market, ticker, self.interval, self.window)
        return found

    def _read(self, group: tuple[str, ...]) -> None:
        try:
            self.known |= _Group(self, group).read()
            self.failed_in_a_row = 0
        except (_Refused, SourceSchemaChanged) as error:
            self.failed_in_a_row = 0
            if len(group) == 1:
                self.known[group[0]] = NoData(error.what) if isinstance(error, _Refused) else error
                self.refused |= set(group) if isinstance(error, _Refused) else set()
            else:  # one symbol it does not know, or whose bars nobody can read, must not cost the others
                for ticker in group:
                    self._read_unless_down(ticker)
        except HypertapeError as error:
            self.known |= dict.fromkeys(group, error)
            self.failed_in_a_row = self.failed_in_a_row + 1 if isinstance(error, TransientError) else 0
            if self.failed_in_a_row >= self.vci.patience:
                self._give_up(error)

    def _read_unless_down(self, ticker: str) -> None:
        if ticker not in self.known:
            self._read((ticker,))

    def _give_up(self, error: HypertapeError) -> None:
        what = f"Not asked, because {self.failed_in_a_row} requests in a row failed: {error.what}"
        for ticker in self.tickers:
            self.known.setdefault(ticker, type(error)(what))

    def ask(self, symbols: Sequence[str], to: int, count: int) -> dict[str, list[Any]]:
        """Ask for a page, again while the error may pass. Raises _Refused where the request is not understood."""
        body = {"timeFrame": FRAMES[self.interval], "symbols": list(symbols), "to": to, "countBack": count}
        text = json.dumps(body, separators=(",", ":"))

        def call() -> dict[str, list[Any]]:
            reply = self.client.ask(
                request_text("POST", PATH, body=text),
                lambda: self.session.reply(
                    "POST", URL + PATH, data=text, timeout=self.vci.timeout, allow_redirects=False
                ),
            )
            judge_status("VCI", reply)
            if reply.status >= 400 and refuses(reply.body):
                raise _Refused(f"VCI refuses {', '.join(symbols)} with HTTP status {reply.status}")
            if reply.status >= 400:
                raise SourceUnavailable(
                    f"VCI answered with HTTP status {reply.status} and in no words of its own: {start_of(reply.body)}"
                )
            return read_answer(reply.body)

        return self.client.persist(call)


class _Refused(HypertapeError):
    """The request was not understood, so that one of its symbols must be at fault."""


class _Group:
    """The pages of some tickers, newest first, until each reaches the window's start."""

    def __init__(self, reader: _Reader, tickers: tuple[str, ...]) -> None:
        self.reader = reader
        self.symbols = {ticker: SYMBOLS.get(ticker, ticker) for ticker in tickers}
        self.pages: dict[str, list[TickerAnswer]] = {ticker: [] for ticker in tickers}
        self.oldest: dict[str, float] = {}
        self.failures: dict[str, HypertapeError] = {}
        self.expected = expected_times(reader.market, reader.interval, reader.window)

    def read(self) -> dict[str, TickerAnswer | HypertapeError]:
        """Each ticker's answer, or why it has none. Raises what the requests raise."""
        reader, pages = self.reader, 0
        waiting, to = list(self.symbols), last_second(reader.market, reader.interval, reader.window)
        most = self._bars_back(to, sys.maxsize) + _ODD_PAGES  # each brings one bar more, or it is the last
        while waiting:
            pages += 1
            try:
                reader.client.require_page(pages, most)
            except HypertapeError as error:
                self.failures |= dict.fromkeys(waiting, error)
                break
            count = self._bars_back(to, reader.vci.page)
            page = reader.ask([self.symbols[ticker] for ticker in waiting], to, count)
            waiting = [ticker for ticker in waiting if self._take(ticker, page)]
            to = int(max((self.oldest[ticker] for ticker in waiting), default=0)) - 1
        return {ticker: self._answer(ticker) for ticker in self.symbols}

    def _bars_back(self, to: int, most: int) -> int:
        reader = self.reader
        return bars_between(reader.market, reader.interval, reader.window.start, to, most)

    def _take(self, ticker: str, page: dict[str, list[Any]]) -> bool:
        """Take a ticker's part of a page; True when older bars are wanted and there may be some."""
        before = self.oldest.get(ticker, np.inf)
        try:
            with reading("VCI's answer"):
                entries = [self._read(ticker, entry, before) for entry in page.get(self._key(ticker), ())]
        except HypertapeError as error:
            self.failures[ticker] = error
            return False
        self.pages[ticker].append(last_given([answer for answer, _ in entries]))
        self.oldest[ticker] = min([before, *(oldest for _, oldest in entries)])
        return self.oldest[ticker] < before and self._begins_after(self.oldest[ticker])

    def _key(self, ticker: str) -> str:
        return self.symbols[ticker].upper()

    def _read(self, ticker: str, entry: dict[str, Any], before: float) -> tuple[TickerAnswer, float]:
        """What an object has older than `before`, and the oldest opening of it (seconds; infinite: nothing).

        The rest is repeated from the page before, for which the group's youngest ticker asks, and counts as duplicates.
        """
        series = read_series(entry)
        seconds = openings(series["t"])
        fresh = ~(seconds >= before)
        part = {letter: [cells[row] for row in np.flatnonzero(fresh)] for letter, cells in series.items()}
        reader = self.reader
        today = reader.now.astimezone(ZoneInfo(reader.market.timezone)).date()
        answer = read_bars(ticker, part, seconds[fresh], reader.interval, reader.market, today)
        repeated = int((~fresh).sum())
        answer = replace(answer, rows_in=len(fresh), duplicates=repeated)
        return answer, float(np.nanmin(seconds[fresh], initial=np.inf))

    def _begins_after(self, oldest: float) -> bool:
        if len(self.expected) == 0:
            return False
        opening = int(oldest * 1_000_000)
        if self.reader.interval is Interval.D1:
            opening = micros(
                midnight(instant(opening).astimezone(ZoneInfo(self.reader.market.timezone)).date())
            )
        return bool(opening > self.expected[0])

    def _answer(self, ticker: str) -> TickerAnswer | HypertapeError:
        if ticker in self.failures:
            return self.failures[ticker]
        found = joined(self.pages[ticker][::-1])
        if len(found.bars) == len(found.rejects) == 0 and len(self.expected):
            return NoData("VCI's answer has no bars of it")
        return found


def last_second(market: Market, interval: Interval, window: Window) -> int:
    """The `to` of a window: its last second, for daily bars the last second of its last date in the market's zone."""
    end = window.end
    if interval is Interval.D1:
        last = (window.end.astimezone(UTC) - timedelta(microseconds=1)).date()
        end = datetime.combine(last + timedelta(days=1), datetime.min.time(), ZoneInfo(market.timezone))
    return int(end.timestamp()) - 1


def bars_between(market: Market, interval: Interval, start: datetime, to: int, most: int) -> int:
    """The `countBack` from `to` (seconds) to `start`: what the calendar expects and some to spare, at most `most`."""
    window = Window(min(start, instant(to * 1_000_000)), instant((to + 1) * 1_000_000))
    expected = expected_times(market, interval, window)
    visited = len(np.unique(sessions_of(market, interval, expected)))
    return int(min(len(expected) + visited * _SPARE[interval] + 2, most))
