"""The conversation with Yahoo: cookies, crumb and chart requests through yfinance, its failures in our tree.

Importing this module imports yfinance and pandas (3 s); `yahoo` does so on the first request only.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any
from zoneinfo import ZoneInfo

import curl_cffi.requests
import yfinance
from curl_cffi.requests.exceptions import RequestException
from yfinance.data import YfData
from yfinance.exceptions import YFDataException, YFRateLimitError

from hypertape.errors import HypertapeError, RateLimited, SourceSchemaChanged, SourceUnavailable
from hypertape.model import Interval, Market, Window, midnight
from hypertape.sources._collect import TickerAnswer, placed, reading
from hypertape.sources._http import VendorClient, judge_status, request_text
from hypertape.sources._protocol import Limits, Reply
from hypertape.sources._session import BoundedSession, not_answered, retry_after
from hypertape.sources._yahoo_answer import Asked, read_chart, read_result

HOST = "https://query2.finance.yahoo.com"
_CHART = "/v8/finance/chart/"

_AROUND_BYTES = 2**20
"""What a page of cookies or consent may have: yfinance takes such pages apart, which is slow for long ones."""


class YahooSession(BoundedSession):
    """The HTTP session yfinance speaks through. It can be pointed at another host.

    Chart requests go through the client: they take their turn and are kept, or are read from what was kept. `chart` is
    the last one's reply, which yfinance would hide behind several exceptions, and what the client refuses is remembered
    in `refusal`, from behind yfinance's own handling.
    """

    def __init__(self, endpoint: str | None = None, limits: Limits | None = None) -> None:
        super().__init__("Yahoo", limits or Limits(), endpoint, impersonate="chrome")
        self.client = VendorClient("yahoo")
        self.chart: Reply | None = None
        self.refusal: HypertapeError | None = None

    def forget(self) -> None:
        """Forget the last chart request."""
        self.chart = self.refusal = None

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request, to the endpoint when there is one."""
        if _CHART in url:
            return self._chart(method, url, *args, **kwargs)
        if self.client.replays:  # the cookie host, and the crumb
            return _response(Reply(200, b"replayed"))
        try:
            return super().request(method, url, *args, most=_AROUND_BYTES, **kwargs)
        except HypertapeError as error:
            self.refusal = error
            raise

    def _chart(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        self.forget()
        responses: list[Any] = []

        def send() -> Reply:
            response = super(YahooSession, self).request(method, url, *args, **kwargs)
            responses.append(response)
            return Reply(response.status_code, response.content, retry_after(response.headers))

        try:
            self.chart = self.client.ask(request_text(method, url, kwargs.get("params") or {}), send)
        except HypertapeError as error:
            self.refusal = error
            raise
        return responses[0] if responses else _response(self.chart)


def _response(reply: Reply) -> Any:
    """A reply as the response yfinance expects."""
    response = curl_cffi.requests.Response()
    response.status_code, response.content = reply.status, reply.body
    response.ok = reply.status < 400
    return response


class YahooClient:
    """One session with Yahoo, closed at the end unless it was passed in."""

    def __init__(
        self,
        session: YahooSession | None,
        endpoint: str | None,
        cache_directory: Path | None,
        timeout: float,
        client: VendorClient,
    ) -> None:
        _configure(cache_directory)
        self.timeout = timeout
        self.session = session or YahooSession(endpoint, client.limits)
        self.session.client = client
        self._is_own = session is None

    def __enter__(self) -> YahooClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_own:
            self.session.close()

    def history(
        self, market: Market, ticker: str, interval: Interval, window: Window, now: datetime
    ) -> TickerAnswer:
        """Ask once. Raises what the failure means in our tree, with market, ticker and window."""
        try:
            reply = self._ask(market, ticker, interval, window)
            judge_status("Yahoo", reply)
            with reading("Yahoo's answer"):
                return read_result(Asked(market, ticker, interval, now), read_chart(reply.body, reply.status))
        except HypertapeError as error:
            raise placed(error, market, ticker, interval, window) from error

    def _ask(self, market: Market, ticker: str, interval: Interval, window: Window) -> Reply:
        """The reply to a chart request, whatever its status."""
        self.session.forget()
        start, end = _bounds(market, interval, window)
        try:
            YfData(session=self.session).get(
                f"{HOST}{_CHART}{market.symbol_at('yahoo', ticker)}",
                {
                    "period1": start,
                    "period2": end,
                    "interval": interval.value,
                    "includePrePost": False,
                    "events": "div,splits,capitalGains",
                },
                self.timeout,
            )
        except Exception as error:  # cookies and crumb: yfinance raises whatever it stumbles over
            if self.session.chart is None:
                raise self.session.refusal or _meaning(error) from error
        assert self.session.chart is not None
        return self.session.chart


@cache
def _configure(cache_directory: Path | None) -> None:
    yfinance.config.debug.hide_exceptions = False
    if cache_directory is not None:
        yfinance.set_tz_cache_location(str(cache_directory.absolute()))


def _bounds(market: Market, interval: Interval, window: Window) -> tuple[int, int]:
    """The seconds to ask for: of daily bars from midnight to midnight in the market's zone."""
    edges = [window.start, window.end]
    if interval is Interval.D1:
        zone = ZoneInfo(market.timezone)
        edges = [datetime.combine(_first_midnight(edge), time(), zone) for edge in edges]
    start, end = (int(edge.timestamp()) for edge in edges)
    return start, end


def _first_midnight(at: datetime) -> date:
    """The date of the first 00:00 UTC not before `at`: daily bars sit there."""
    day = at.astimezone(UTC).date()
    return day if midnight(day) == at else day + timedelta(days=1)


def _meaning(error: Exception) -> HypertapeError:
    """Say what it means that no chart was answered."""
    if isinstance(error, YFRateLimitError):
        return RateLimited("Yahoo asked us to slow down")
    if isinstance(error, RequestException):
        return not_answered("Yahoo", error)
    if isinstance(error, YFDataException):
        return SourceUnavailable(f"Yahoo did not answer as it should: {type(error).__name__}")
    return SourceSchemaChanged(f"Yahoo's login has another shape: {type(error).__name__}")
