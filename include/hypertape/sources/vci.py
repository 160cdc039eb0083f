"""VCI (Vietcap), through the endpoint behind its own charts: POST `/api/chart/OHLCChart/gap-chart`.

A request names a time frame, symbols, the last instant `to` and how many bars `countBack` of it; it is repeated for
what is older until the window's start is reached, whatever the most is that the server gives at once. Stocks are quoted
in VND, indices in points (clients that show thousands divide by 1000): nothing is scaled. There is no adjusted close,
and no dividends come along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from hypertape import __version__
from hypertape.errors import (
    BadInput,
    HypertapeError,
    NoData,
    SourceSchemaChanged,
    SourceUnavailable,
    TransientError,
)
from hypertape.model import Interval, Market, Window, midnight
from hypertape.sources._collect import (
    TickerAnswer,
    away_where_all_refused,
    collect,
    judge,
    placed,
)
from hypertape.sources._http import VendorClient, VendorSource, judge_status, request_text
from hypertape.sources._listing import Listing
from hypertape.sources._protocol import Fetched, Limits, OnTicker, Recorder, SourceConfig, Throttle
from hypertape.sources._session import BoundedSession, start_of
from hypertape.sources._vci_answer import read_answer, refuses
from hypertape.sources._vci_listing import PATH as LIST_PATH
from hypertape.sources._vci_listing import read_listing
from hypertape.sources._vci_pages import Pages

if TYPE_CHECKING:
    from hypertape.sources._stand_in import Offered

URL = "https://trading.vietcap.com.vn"
PATH = "/api/chart/OHLCChart/gap-chart"

RATE = 2.0
"""Requests a second; VCI names no limit."""

PAGE = 5_000
"""Bars of each symbol that one answer holds at most."""

FRAMES = {Interval.D1: "ONE_DAY", Interval.H1: "ONE_HOUR", Interval.M1: "ONE_MINUTE"}

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/plain, */*",
    "Origin": URL,
    "Referer": f"{URL}/",
    "User-Agent": f"Mozilla/5.0 (compatible; hypertape/{__version__})",
}


def tickers_per_request(limits: Limits) -> int:
    """How many tickers one request asks for."""
    return limits.tickers


def build(config: SourceConfig, throttle: Throttle | None, recorder: Recorder | None, limits: Limits) -> Vci:
    """Open VCI, or the server at the configuration's endpoint that answers in its place."""
    return Vci(
        endpoint=config.endpoint,
        symbols_per_request=tickers_per_request(limits),
        throttle=throttle,
        recorder=recorder,
        limits=limits,
    )


@dataclass(frozen=True)
class Vci(VendorSource):
    """VCI as a source.

    `symbols_per_request` tickers are asked for at once, at most `page` bars of each.
    """

    name: ClassVar[str] = "vci"

    symbols_per_request: int = 10
    page: int = PAGE

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
        _require_vietnamese(market)
        client, wanted = self.client, tuple(dict.fromkeys(tickers))
        with BoundedSession("VCI", self.limits, self.endpoint, headers=_HEADERS) as session:
            read = Reader(self, client, session, market, interval, window, wanted, now)
            fetched = collect(read, wanted, window, on_ticker)
        fetched = away_where_all_refused(fetched, "VCI", wanted, read.refused)
        return judge(fetched, market, tickers, interval, window, now)

    def listing(self, market: Market) -> Listing:
        """All stocks and ETFs that VCI knows, those that are delisted too.

        Raises BadInput for another market, RateLimited, SourceUnavailable, CircuitOpen, SourceSchemaChanged.
        """
        _require_vietnamese(market)
        client = self.client
        with BoundedSession("VCI", self.limits, self.endpoint, headers=_HEADERS) as session:

            def call() -> Listing:
                reply = client.ask(
                    request_text("GET", LIST_PATH),
                    lambda: session.reply(
                        "GET", URL + LIST_PATH, timeout=self.timeout, allow_redirects=False
                    ),
                )
                judge_status("VCI", reply)
                if reply.status >= 400:
                    raise SourceUnavailable(
                        f"VCI answered with HTTP status {reply.status}: {start_of(reply.body)}"
                    )
                return read_listing(reply.body)

            return client.persist(call)


def _require_vietnamese(market: Market) -> None:
    if market.price_unit != "VND":
        raise BadInput(
            f"VCI has Vietnamese prices only, not those of {market.code}",
            next_step=f"Sources of {market.code}: {', '.join(market.sources)}.",
        )


@dataclass
class Reader:
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
        """A ticker's answer. Raises why it has none."""
        if ticker not in self.known:
            first = self.tickers.index(ticker)
            self._read(self.tickers[first : first + self.vci.symbols_per_request])
        found = self.known[ticker]
        if isinstance(found, HypertapeError):
            raise placed(found, self.market, ticker, self.interval, self.window)
        return found

    def _read(self, group: tuple[str, ...]) -> None:
        try:
            self.known |= Pages(self, group).read()
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


def stand_in(
    path: str, query: Mapping[str, str], body: str, offered: Sequence[Offered]
) -> str | tuple[int, str]:
    """What VCI answers to a request, having these series: the newest `countBack` bars up to `to`, oldest first."""
    if path != PATH:
        return 404, "{}"
    asked = json.loads(body)
    return json.dumps([_written(one, asked) for one in offered if one.symbol in asked["symbols"]])


def _written(one: Offered, asked: Mapping[str, Any]) -> dict[str, Any]:
    listed = [(int(midnight(row.time).timestamp()), row) for row in one.rows]
    chosen = [(at, row) for at, row in listed if at <= asked["to"]][-asked["countBack"] :]
    letters = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
    arrays = {letter: [getattr(row, name) for _, row in chosen] for letter, name in letters.items()}
    return {"symbol": one.symbol, **arrays, "t": [str(at) for at, _ in chosen]}
