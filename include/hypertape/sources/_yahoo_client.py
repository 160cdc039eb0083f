"""The conversation with Yahoo: one request through yfinance, its answer as Arrow tables, its failures in our tree.

Importing this module imports yfinance and pandas (3 s); `yahoo` does so on the first request only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from json import JSONDecodeError
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import curl_cffi.requests
import numpy as np
import pandas as pd
import pyarrow as pa
import yfinance
from curl_cffi.requests.exceptions import RequestException
from yfinance.data import YfData
from yfinance.exceptions import YFDataException, YFPricesMissingError, YFRateLimitError, YFTzMissingError

from hypertape.errors import (
    HypertapeError,
    NoData,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
    UnknownTicker,
)
from hypertape.frame import TIME_TYPE, Micros, bar_frame, instant, reject_frame
from hypertape.model import Interval, Market, Window, midnight
from hypertape.sources import DIVIDEND_SCHEMA, SPLIT_SCHEMA, Reply
from hypertape.sources._collect import TickerAnswer, placed
from hypertape.sources._line import Line, request_text, retry_after

_COLUMNS = {
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "volume": "Volume",
    "adjusted_close": "Adj Close",
}
_PRICES = ["Open", "High", "Low", "Close"]
_CHART = "/v8/finance/chart/"


class YahooSession(curl_cffi.requests.Session):  # type: ignore[misc]
    """The HTTP session yfinance speaks through. It can be pointed at another host.

    yfinance hides the status of a chart request behind several exceptions; the last `chart` reply tells an outage from
    an unknown ticker. Chart requests go through the line: they take their turn and are kept, or are read from what was
    kept. What the line refuses is remembered in `refusal`, from behind yfinance's own handling.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        super().__init__(impersonate="chrome")
        self.endpoint = endpoint
        self.line = Line("yahoo")
        self.chart: Reply | None = None
        self.refusal: HypertapeError | None = None

    @property
    def chart_status(self) -> int | None:
        """HTTP status of the last chart request, None when it had no answer."""
        return self.chart.status if self.chart else None

    def forget(self) -> None:
        """Forget the last chart request."""
        self.chart = self.refusal = None

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request, to the endpoint when there is one."""
        if _CHART in url:
            return self._chart(method, url, *args, **kwargs)
        if self.line.replays:  # the cookie host, and the crumb
            return _response(Reply(200, b"replayed"))
        return super().request(method, _moved(url, self.endpoint), *args, **kwargs)

    def _chart(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        self.forget()
        responses: list[Any] = []

        def send() -> Reply:
            response = super(YahooSession, self).request(method, _moved(url, self.endpoint), *args, **kwargs)
            responses.append(response)
            return Reply(response.status_code, response.content, retry_after(response.headers))

        parameters = kwargs.get("params") or {}
        text, bare = request_text(method, url, parameters), request_text(method, url)
        try:
            self.chart = self._bars(text, bare, send) if "period1" in parameters else self._zone(bare, send)
        except HypertapeError as error:
            self.refusal = error
            raise
        return responses[0] if responses else _response(self.chart)

    def _zone(self, bare: str, send: Callable[[], Reply]) -> Reply:
        """Ask for a symbol's time zone, which is remembered on disk; kept is only its failure."""
        reply = replace(self.line, recorder=None).ask(bare, send)
        if reply.status >= 400 and self.line.recorder is not None:
            self.line.recorder.keep(self.line.name, bare, reply)
        return reply

    def _bars(self, text: str, bare: str, send: Callable[[], Reply]) -> Reply:
        if self.line.replays and self.line.recorder is not None:
            failed = self.line.recorder.find(self.line.name, bare)
            return self.line.recorder.find(self.line.name, text) or failed or self.line.ask(text, send)
        return self.line.ask(text, send)


def _response(reply: Reply) -> Any:
    """A reply as the response yfinance expects."""
    response = curl_cffi.requests.Response()
    response.status_code, response.content = reply.status, reply.body
    response.ok = reply.status < 400
    return response


def _moved(url: str, endpoint: str | None) -> str:
    if endpoint is None:
        return url
    host, path = urlsplit(endpoint), urlsplit(url)
    return urlunsplit((host.scheme, host.netloc, path.path, path.query, path.fragment))


class YahooClient:
    """One session with Yahoo, closed at the end unless it was passed in."""

    def __init__(
        self,
        session: YahooSession | None,
        endpoint: str | None,
        cache_directory: Path | None,
        timeout: float,
        line: Line,
    ) -> None:
        _configure(cache_directory)
        self.timeout = timeout
        self.session = session or YahooSession(endpoint)
        self.session.line = line
        self._is_own = session is None

    def __enter__(self) -> YahooClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_own:
            self.session.close()

    def history(self, market: Market, ticker: str, interval: Interval, window: Window) -> TickerAnswer:
        """Ask once. Raises what the failure means in our tree, with market, ticker and window."""
        # yfinance keeps answers, failed ones too, for the life of the process.
        YfData.cache_get.cache_clear()
        self.session.forget()
        start, end = _bounds(interval, window)
        try:
            asked = yfinance.Ticker(market.yahoo_symbol(ticker), session=self.session)
            if self.session.line.replays:
                asked._tz = market.timezone
            frame = asked.history(
                start=start,
                end=end,
                interval=interval.value,
                auto_adjust=False,
                actions=True,
                keepna=True,
                timeout=self.timeout,
            )
            return _answer(ticker, interval, frame)
        except Exception as error:  # yfinance raises whatever its parsing stumbles over
            meant = self.session.refusal or _meaning(error, self.session.chart)
            raise placed(meant, market, ticker, interval, window) from error


@cache
def _configure(cache_directory: Path | None) -> None:
    yfinance.config.debug.hide_exceptions = False
    if cache_directory is not None:
        yfinance.set_tz_cache_location(str(cache_directory.absolute()))


def _bounds(interval: Interval, window: Window) -> tuple[date, date] | tuple[datetime, datetime]:
    """Return what yfinance wants: dates in the exchange's zone for daily bars, else instants."""
    if interval is Interval.D1:
        return _first_midnight(window.start), _first_midnight(window.end)
    return window.start, window.end


def _first_midnight(at: datetime) -> date:
    """The date of the first 00:00 UTC not before `at`: daily bars sit there."""
    day = at.astimezone(UTC).date()
    return day if midnight(day) == at else day + timedelta(days=1)


def _answer(ticker: str, interval: Interval, frame: pd.DataFrame) -> TickerAnswer:
    days = np.array([day.date() for day in frame.index], "datetime64[us]").astype(np.int64)
    times = days if interval is Interval.D1 else _instants(frame.index)
    is_empty = frame[_PRICES].isna().all(axis=1).to_numpy()
    values = {name: frame[column].to_numpy(np.float64)[~is_empty] for name, column in _COLUMNS.items()}
    return TickerAnswer(
        bars=bar_frame(ticker, times[~is_empty], values),
        rejects=reject_frame(_empty_bars(ticker, times[is_empty], frame[is_empty])),
        dividends=_actions(ticker, days, frame["Dividends"], DIVIDEND_SCHEMA),
        splits=_actions(ticker, days, frame["Stock Splits"], SPLIT_SCHEMA),
    )


def _instants(index: pd.Index) -> Micros:
    naive = pd.DatetimeIndex(index).tz_convert("UTC").tz_localize(None)
    return naive.to_numpy("datetime64[us]").astype(np.int64)


def _empty_bars(ticker: str, times: Micros, rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    lines = [json.dumps(row) for row in json.loads(rows.to_json(orient="records"))]
    return [
        (ticker, instant(int(time)), "empty_bar", "no price", line)
        for time, line in zip(times, lines, strict=True)
    ]


def _actions(ticker: str, days: Micros, amounts: pd.Series[Any], schema: pa.Schema) -> pa.Table:
    paid = amounts.fillna(0).to_numpy(np.float64)
    happened = paid != 0
    times = pa.array([instant(int(day)) for day in days[happened]], TIME_TYPE)
    tickers = pa.array([ticker] * len(times), pa.string())
    return pa.table([tickers, times, pa.array(paid[happened])], schema=schema)


def _meaning(error: Exception, chart: Reply | None) -> HypertapeError:
    """Say what a failure means. The HTTP status goes first: yfinance raises one exception for several of them."""
    status = chart.status if chart else None
    if isinstance(error, YFRateLimitError) or status == 429:
        limited = RateLimited("Yahoo asked us to slow down")
        limited.retry_after = chart.retry_after if chart else None
        return limited
    if status is not None and (status >= 500 or status in (401, 403)):
        return SourceUnavailable(f"Yahoo answered with HTTP status {status}")
    if status == 404:
        return UnknownTicker(
            "Yahoo knows no such ticker, or no longer", next_step="Correct it in the ticker file."
        )
    if isinstance(error, YFPricesMissingError):
        return NoData(f"Yahoo has no bars: {error.rationale}")
    if isinstance(error, YFTzMissingError):
        return UnknownTicker("Yahoo names no time zone for the ticker, which is how it treats unknown ones")
    if isinstance(error, JSONDecodeError | RequestException | YFDataException):
        return SourceUnavailable(f"Yahoo did not answer as it should: {_first_line(error)}")
    return SourceSchemaChanged(
        f"Yahoo's answer has another shape: {type(error).__name__} {_first_line(error)}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
