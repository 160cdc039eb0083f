"""The conversation with an exchange: ccxt's own client, its requests through ours, its failures in our tree.

Importing this module imports ccxt (2 s and more); `ccxt` does so on the first request only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import responses
from types import TracebackType
from typing import Any

import ccxt
import numpy as np
import requests
from requests.adapters import HTTPAdapter

from hypertape.cells import number, row_text, shown
from hypertape.errors import (
    BadInput,
    HypertapeError,
    NoData,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
)
from hypertape.frame import bar_frame, instant, reject_frame
from hypertape.model import Interval, Market
from hypertape.sources._collect import TickerAnswer
from hypertape.sources._daily_stamps import Mask, daily_times
from hypertape.sources._http import VendorClient, judge_status, request_text
from hypertape.sources._protocol import Reply
from hypertape.sources._session import BoundedSession, read_json, start_of

_COLUMNS = ("open", "high", "low", "close", "volume")
_SPOT_ONLY = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}
_MILLISECONDS = 4e12
"""Later than any bar in milliseconds, and sooner than any in microseconds."""

_OWN_HEADERS = {"accept-encoding", "connection", "content-length", "host"}
"""Headers that the client which sends the request writes itself."""


class ClientAdapter(HTTPAdapter):
    """What carries the requests of ccxt's session: our client, in its turn, to the endpoint when there is one."""

    def __init__(self, client: VendorClient, endpoint: str | None, timeout: float) -> None:
        super().__init__()
        self.client = client
        self.session = BoundedSession(client.name, client.limits, endpoint)
        self.timeout = timeout
        self.retry_after: float | None = None

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request. Raises CircuitOpen, and SourceUnavailable where somebody else than the exchange answers."""
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        headers = {name: text for name, text in request.headers.items() if name.lower() not in _OWN_HEADERS}
        reply = self.client.ask(
            request_text(request.method, str(request.url), body=body),
            lambda: self.session.reply(
                request.method,
                str(request.url),
                headers=headers,
                data=body or None,
                timeout=self.timeout,
                allow_redirects=False,
            ),
        )
        self.retry_after = reply.retry_after
        judge_status(self.client.name, reply)
        try:
            read_json(self.client.name, reply.body)
        except SourceUnavailable as error:
            if reply.status < 400:
                raise
            raise SourceUnavailable(
                f"{self.client.name} answered with HTTP status {reply.status} and no JSON: {start_of(reply.body)}"
            ) from error
        return _response(request, reply)

    def close(self) -> None:
        """Close the connections."""
        self.session.close()
        super().close()


class CcxtClient:
    """One exchange, closed at the end. Raises BadInput for a name ccxt does not know."""

    def __init__(self, exchange: str, endpoint: str | None, timeout: float, client: VendorClient) -> None:
        if exchange not in ccxt.exchanges:
            alike = [name for name in ccxt.exchanges if name[:3] == exchange[:3]] or [
                "binance",
                "kraken",
                "okx",
            ]
            raise BadInput(
                f"ccxt knows no exchange {exchange!r}",
                next_step=f"Among others it knows: {', '.join(alike[:8])}.",
            )
        options = dict(_SPOT_ONLY) if exchange.startswith("binance") else {}
        # Our client paces the requests of all workers; ccxt would pace those of this process alone.
        given = {"enableRateLimit": False, "timeout": int(timeout * 1000), "options": options}
        self.name = exchange
        self.exchange = _tolerant(getattr(ccxt, exchange)(given))
        self.adapter = ClientAdapter(client, endpoint, timeout)
        for scheme in ("http://", "https://"):
            self.exchange.session.mount(scheme, self.adapter)

    def __enter__(self) -> CcxtClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.exchange.session.close()

    def require_interval(self, interval: Interval) -> None:
        """Raise BadInput unless the exchange has bars of that width."""
        frames = self.exchange.timeframes or {}
        if interval.value not in frames or not self.exchange.has.get("fetchOHLCV"):
            raise BadInput(
                f"{self.name} has no {interval.value} bars",
                next_step=f"It has: {', '.join(frames) or 'none'}.",
            )

    def markets(self) -> Mapping[str, Any]:
        """The exchange's own list of pairs. Raises SourceSchemaChanged when it lists none."""
        with self._translated():
            found: Mapping[str, Any] = self.exchange.load_markets()
            if not found:
                raise SourceSchemaChanged(f"{self.name}'s list of pairs is empty")
        return found

    def symbol(self, coin: str, quotes: Sequence[str]) -> str:
        """What the exchange calls the coin against the first quote it has, by its own market list; or a named pair.

        Raises NoData when it has none of these pairs, SourceSchemaChanged when it lists no pair at all.
        """
        markets = self.markets()
        with self._translated():
            for pair in [coin] if "/" in coin else [f"{coin}/{quote}" for quote in quotes]:
                found = markets.get(pair)
                if found is not None and found.get("spot", True) and found["quote"] == pair.partition("/")[2]:
                    return str(found["symbol"])
        raise NoData(f"{self.name} trades no {coin}" + ("" if "/" in coin else f" for {', '.join(quotes)}"))

    def page(self, symbol: str, interval: Interval, since: int, limit: int) -> list[Candle]:
        """The first `limit` candles that open at or after `since` (µs), as the exchange gives them."""
        with self._translated():
            rows = self.exchange.fetch_ohlcv(symbol, interval.value, -(-since // 1000), limit)
        if not isinstance(rows, list) or not all(isinstance(row, Candle) for row in rows):
            raise SourceSchemaChanged(f"{self.name}'s candles have another shape")
        if rows and all(math.isnan(cell) for row in rows for cell in row.cells):
            raise SourceSchemaChanged(f"{self.name}'s candles have no number in them")
        return rows

    def read(self, market: Market, ticker: str, interval: Interval, rows: list[Candle]) -> TickerAnswer:
        """Make bars of candles.

        Reject rules: bad_time, off_grid (a day that does not begin at 00:00), text_in_number, empty_bar.
        """
        stamps = np.array([row.opening or 0 for row in rows], np.int64)
        times, stray = stamps, np.zeros(len(rows), np.bool_)
        if interval is Interval.D1 and rows:
            times, stray = daily_times(market, stamps)
        cells = np.array([row.cells for row in rows], np.float64).reshape(len(rows), len(_COLUMNS))
        faults: dict[str, Mask] = {
            "bad_time": np.array([row.opening is None for row in rows], np.bool_),
            "off_grid": stray,
            "text_in_number": np.array([row.strange is not None for row in rows], np.bool_),
            "empty_bar": np.asarray(np.isnan(cells[:, :4]).all(axis=1)),
        }
        bad = np.any(list(faults.values()), axis=0)
        rejects = [
            rows[row].reject(ticker, next(rule for rule in faults if faults[rule][row]))
            for row in map(int, np.flatnonzero(bad))
        ]
        values = {name: cells[~bad, at] for at, name in enumerate(_COLUMNS)}
        return TickerAnswer(bar_frame(ticker, times[~bad], values), reject_frame(rejects), rows_in=len(rows))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except HypertapeError:
            raise
        except Exception as error:  # ccxt's parsing raises whatever it stumbles over
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> HypertapeError:
        said = shown((str(error).splitlines() or [type(error).__name__])[0])
        if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
            limited = RateLimited(f"{self.name} asked us to slow down: {said}")
            limited.retry_after = self.adapter.retry_after
            return limited
        if isinstance(error, ccxt.NetworkError | ccxt.AuthenticationError | ccxt.OperationRejected):
            return SourceUnavailable(
                f"{self.name} did not answer as it should: {type(error).__name__} {said}"
            )
        if isinstance(error, ccxt.BadSymbol):
            return NoData(f"{self.name} refuses the symbol: {said}")
        return SourceSchemaChanged(f"{self.name}'s answer has another shape: {type(error).__name__} {said}")


def _response(request: Any, reply: Reply) -> requests.Response:
    """A reply as the response ccxt expects."""
    response = requests.Response()
    response.status_code, response.url, response.request = reply.status, str(request.url), request
    response.reason = responses.get(reply.status, "")
    response.headers["Content-Type"] = "application/json"
    response._content = reply.body
    return response


class Candle:
    """One candle: its opening (µs; None: no time of a bar), numbers (NaN: none), and a cell that is no number."""

    def __init__(self, parsed: Sequence[Any], raw: Any, strange: Any) -> None:
        opening = number(parsed[0])
        is_time = opening is not None and 0 <= opening < _MILLISECONDS
        self.opening = int(opening) * 1000 if is_time and opening is not None else None
        self.cells = [math.nan if (value := number(cell)) is None else value for cell in parsed[1:6]]
        self.raw = raw
        self.strange = strange

    def reject(self, ticker: str, rule: str) -> tuple[Any, ...]:
        """This candle as a reject row (frame.reject_frame)."""
        time = None if self.opening is None or rule == "bad_time" else instant(self.opening)
        cells = dict(zip(_COLUMNS, self.cells, strict=True))
        written = None if time is None else time.isoformat()
        values = {"empty_bar": "no price", "text_in_number": shown(self.strange), "off_grid": written}
        row = row_text({"ticker": ticker, "time": written, **cells, "candle": shown(_flat(self.raw))})
        return ticker, time, rule, values.get(rule) or shown(_flat(self.raw)), row


def _flat(candle: Any) -> str:
    cells = (
        candle.values() if isinstance(candle, Mapping) else candle if isinstance(candle, list) else [candle]
    )
    return ", ".join(shown(cell, 40) for cell in cells)


def _tolerant(exchange: Any) -> Any:
    """Let an exchange's client keep what it would lose: one odd pair or candle costs itself, no candle is left out.

    ccxt sorts candles and drops those before the time that was asked for, and ends at the first that it cannot read.
    """
    parse_market, fetch_markets = exchange.parse_market, exchange.fetch_markets

    def parse_candles(candles: Any, market: Any = None, *others: Any, **more: Any) -> list[Candle]:
        if not isinstance(candles, list):
            raise SourceSchemaChanged(f"{exchange.id}'s candles are no list")
        return [_candle(exchange.parse_ohlcv, candle, market) for candle in candles]

    exchange.parse_market = lambda market: _or_none(parse_market, market)
    exchange.fetch_markets = lambda params=None: [
        market for market in fetch_markets(params or {}) if market is not None
    ]
    exchange.parse_ohlcvs = parse_candles
    return exchange


def _or_none(parse: Callable[[Any], Any], market: Any) -> Any:
    try:
        return parse(market)
    except Exception:  # whatever the client stumbles over: a pair it cannot read is not listed
        return None


def _candle(parse: Callable[[Any, Any], Any], candle: Any, market: Any) -> Candle:
    cells = candle.values() if isinstance(candle, Mapping) else candle if isinstance(candle, list) else ()
    strange = next((cell for cell in cells if _deceives(cell)), None)
    try:
        parsed = parse(candle, market)
    except Exception:  # whatever the client stumbles over: that candle is no bar
        return Candle([None] * 6, candle, candle)
    if not isinstance(parsed, list) or len(parsed) < 6:
        raise SourceSchemaChanged(f"A candle has another shape: {shown(_flat(candle))}")
    return Candle(parsed, candle, strange)


def _deceives(cell: Any) -> bool:
    """True for what Python reads as a number and nobody writes as one: `1_000`, digits of other scripts."""
    if not isinstance(cell, str) or number(cell) is not None:
        return False
    try:
        return not math.isnan(float(cell))
    except ValueError:
        return False
