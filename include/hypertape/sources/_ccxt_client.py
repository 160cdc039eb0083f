"""The conversation with an exchange: ccxt's own client, its requests through the line, its failures in our tree.

Importing this module imports ccxt (2 s and more); `ccxt` does so on the first request only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import ccxt
import numpy as np
import requests
from requests.adapters import HTTPAdapter

from hypertape.errors import (
    BadInput,
    HypertapeError,
    NoData,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
)
from hypertape.frame import bar_frame, instant, reject_frame
from hypertape.model import Interval
from hypertape.sources import Reply
from hypertape.sources._collect import TickerAnswer
from hypertape.sources._line import Line, judge_status, request_text, retry_after

_COLUMNS = ("open", "high", "low", "close", "volume")
_SPOT_ONLY = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}
_DAY = 86_400_000_000


class LineAdapter(HTTPAdapter):
    """What carries the requests of ccxt's session: through the line, to the endpoint when there is one."""

    def __init__(self, line: Line, endpoint: str | None) -> None:
        super().__init__()
        self.line = line
        self.endpoint = endpoint
        self.retry_after: float | None = None

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request in its turn. Raises CircuitOpen, or SourceUnavailable for a body that is no JSON text."""
        responses: list[requests.Response] = []
        address = str(request.url)

        def real() -> Reply:
            request.url = _moved(address, self.endpoint)
            response = super(LineAdapter, self).send(request, *args, **kwargs)
            responses.append(response)
            return Reply(response.status_code, response.content, retry_after(response.headers))

        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        reply = self.line.ask(request_text(request.method, address, body=body), real)
        self.retry_after = reply.retry_after
        judge_status(self.line.name, reply)
        if reply.status < 400:
            _demand_json(self.line.name, reply.body)
        return responses[0] if responses else _response(request, reply)


class CcxtClient:
    """One exchange, closed at the end. Raises BadInput for a name ccxt does not know."""

    def __init__(self, exchange: str, endpoint: str | None, timeout: float, line: Line) -> None:
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
        # The line paces the requests of all workers; ccxt would pace those of this process alone.
        given = {"enableRateLimit": False, "timeout": int(timeout * 1000), "options": options}
        self.name = exchange
        self.exchange = getattr(ccxt, exchange)(given)
        self.adapter = LineAdapter(line, endpoint)
        for scheme in ("http://", "https://"):
            self.exchange.session.mount(scheme, self.adapter)

    def __enter__(self) -> CcxtClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.exchange.session.close()

    def demand_interval(self, interval: Interval) -> None:
        """Raise BadInput unless the exchange has bars of that width."""
        frames = self.exchange.timeframes or {}
        if interval.value not in frames or not self.exchange.has.get("fetchOHLCV"):
            raise BadInput(
                f"{self.name} has no {interval.value} bars",
                next_step=f"It has: {', '.join(frames) or 'none'}.",
            )

    def symbol(self, ticker: str, quotes: Sequence[str]) -> str:
        """What the exchange calls the coin, by its own market list. Raises NoData when it has none of these pairs."""
        with self._translated():
            markets = self.exchange.load_markets()
        for quote in quotes:
            found = markets.get(f"{ticker}/{quote}")
            if found is not None and found.get("spot", True) and found["quote"] == quote:
                return str(found["symbol"])
        raise NoData(f"{self.name} trades no {ticker} for {', '.join(quotes)}")

    def page(self, symbol: str, interval: Interval, since: int, limit: int) -> list[Any]:
        """The first `limit` bars that open at or after `since` (µs), oldest first, as ccxt parses them."""
        with self._translated():
            rows = self.exchange.fetch_ohlcv(symbol, interval.value, -(-since // 1000), limit)
        if not isinstance(rows, list) or any(len(row) < 6 or row[0] is None for row in rows):
            raise SourceSchemaChanged(f"{self.name}'s candles have another shape")
        if rows and all(cell is None for row in rows for cell in row[1:6]):
            raise SourceSchemaChanged(f"{self.name}'s candles have no number in them")
        return rows

    def read(self, ticker: str, interval: Interval, rows: list[Any]) -> tuple[TickerAnswer, int | None]:
        """Make bars of rows (ms, open, high, low, close, volume), and tell the last opening (µs; None: no row)."""
        if not rows:
            return TickerAnswer(), None
        openings = np.array([row[0] for row in rows], np.int64) * 1000
        times = openings // _DAY * _DAY if interval is Interval.D1 else openings
        cells = np.array([row[1:6] for row in rows], np.float64)
        empty = np.isnan(cells[:, :4]).all(axis=1)
        values = {name: cells[~empty, at] for at, name in enumerate(_COLUMNS)}
        rejects = [
            (
                ticker,
                instant(int(times[row])),
                "empty_bar",
                "no price",
                _text(ticker, int(times[row]), rows[row]),
            )
            for row in map(int, np.flatnonzero(empty))
        ]
        return TickerAnswer(bar_frame(ticker, times[~empty], values), reject_frame(rejects)), int(
            openings.max()
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except HypertapeError:
            raise
        except Exception as error:  # ccxt's parsing raises whatever it stumbles over
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> HypertapeError:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
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


def _moved(url: str, endpoint: str | None) -> str:
    if endpoint is None:
        return url
    host, address = urlsplit(endpoint), urlsplit(url)
    return urlunsplit((host.scheme, host.netloc, address.path, address.query, ""))


def _demand_json(name: str, body: bytes) -> None:
    try:
        json.loads(body)
    except ValueError as error:
        start = repr(body[:80].decode(errors="replace"))
        raise SourceUnavailable(f"{name}'s answer is no whole JSON text: {start}") from error


def _response(request: Any, reply: Reply) -> requests.Response:
    """A reply as the response ccxt expects."""
    response = requests.Response()
    response.status_code, response.url, response.request = reply.status, str(request.url), request
    response.headers["Content-Type"] = "application/json"
    response._content = reply.body
    return response


def _text(ticker: str, time: int, row: list[Any]) -> str:
    cells = dict(zip(_COLUMNS, row[1:6], strict=True))
    return json.dumps({"ticker": ticker, "time": instant(time).isoformat(), **cells})
