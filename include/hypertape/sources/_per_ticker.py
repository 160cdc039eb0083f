"""A vendor over HTTP in a few lines: `PerTicker` asks, waits, tries again and accounts for every row; a vendor says how
its requests are written and its answers read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, ClassVar, NamedTuple, Self

from hypertape import calendars
from hypertape.cells import number, row_text, shown
from hypertape.errors import NoData, SourceUnavailable
from hypertape.frame import bar_frame, reject_frame
from hypertape.model import VALUE_COLUMNS, Interval, Market, Window, midnight
from hypertape.sources._collect import (
    Patience,
    TickerAnswer,
    away_where_all_refused,
    collect,
    judge,
    placing,
    reading,
)
from hypertape.sources._http import VendorClient, VendorSource, judge_status, request_text
from hypertape.sources._protocol import Fetched, Limits, OnTicker, Recorder, SourceConfig, Throttle
from hypertape.sources._session import BoundedSession

UNKNOWN = (400, 404, 422)
"""Statuses by which a vendor says that it does not know the symbol."""


class VendorRow(NamedTuple):
    """A bar as the vendor has it; numbers may be text. `time` is a daily bar's date, else an instant with its zone."""

    time: Any
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    adjusted_close: Any = None


@dataclass(frozen=True)
class PerTicker(VendorSource):
    """A vendor that is asked for one ticker at a time by GET. A subclass names itself and its `url`, and writes
    `request` and `rows`."""

    url: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}

    def request(self, symbol: str, interval: Interval, window: Window) -> tuple[str, Mapping[str, object]]:
        """The path and the parameters that ask for a window's bars of one symbol."""
        raise NotImplementedError

    def rows(self, body: bytes, symbol: str) -> Iterable[VendorRow]:
        """The bars of an answer, all that came. Whatever it stumbles over becomes the ticker's SourceSchemaChanged."""
        raise NotImplementedError

    @classmethod
    def build(
        cls, config: SourceConfig, throttle: Throttle | None, recorder: Recorder | None, limits: Limits
    ) -> Self:
        """Open the vendor, or the server at the configuration's endpoint that answers in its place."""
        return cls(endpoint=config.endpoint, throttle=throttle, recorder=recorder, limits=limits)

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
        """Ask for each ticker.

        Failures: RateLimited, SourceUnavailable, CircuitOpen, NoData (refused, or empty in a window with sessions),
        SourceSchemaChanged. Reject rules: bad_time, text_in_number.
        """
        client, refused = self.client, set[str]()
        with BoundedSession(self.name, self.limits, self.endpoint, headers=dict(self.headers)) as session:

            def read(ticker: str) -> TickerAnswer:
                symbol = market.symbol_at(self.name, ticker)
                with placing(market, ticker, interval, window):
                    body = self._ask(client, session, symbol, interval, window)
                    if body is None:
                        refused.add(ticker)
                        raise NoData(f"{self.name} does not know {symbol}")
                    with reading(f"The answer of {self.name}"):
                        answer = _answer(ticker, list(self.rows(body, symbol)), interval)
                    if not answer.rows_in and len(calendars.expected_times(market, interval, window)):
                        raise NoData(f"{self.name} has nothing of {symbol} in the window")
                    return answer

            found = collect(Patience(read, self.patience), tickers, window, on_ticker)
        found = away_where_all_refused(found, self.name, tickers, refused)
        return judge(found, market, tickers, interval, window, now)

    def _ask(
        self, client: VendorClient, session: BoundedSession, symbol: str, interval: Interval, window: Window
    ) -> bytes | None:
        """The body of an answer; None where the vendor does not know the symbol."""
        path, parameters = self.request(symbol, interval, window)

        def call() -> bytes | None:
            reply = client.ask(
                request_text("GET", path, parameters),
                lambda: session.reply(
                    "GET",
                    self.url + path,
                    params=dict(parameters),
                    timeout=self.timeout,
                    allow_redirects=False,
                ),
            )
            judge_status(self.name, reply)
            if reply.status in UNKNOWN:
                return None
            if reply.status >= 400:
                raise SourceUnavailable(f"{self.name} answered with HTTP status {reply.status}")
            return reply.body

        return client.persist(call)


def _answer(ticker: str, rows: Sequence[VendorRow], interval: Interval) -> TickerAnswer:
    times: list[datetime] = []
    values: dict[str, list[float]] = {name: [] for name in VALUE_COLUMNS}
    rejects = []
    for row in rows:
        time = _time(row.time, interval)
        cells = {name: getattr(row, name) for name in VALUE_COLUMNS}
        strange = [name for name, cell in cells.items() if cell is not None and number(cell) is None]
        if time is None or strange:
            rule, value = (
                ("bad_time", shown(row.time))
                if time is None
                else ("text_in_number", f"{strange[0]}={shown(cells[strange[0]])}")
            )
            text = row_text({"ticker": ticker, "time": shown(row.time), **cells})
            rejects.append((ticker, time, rule, value, text))
            continue
        times.append(time)
        for name, cell in cells.items():
            found = number(cell)
            values[name].append(float("nan") if found is None else found)
    return TickerAnswer(bar_frame(ticker, times, values), reject_frame(rejects), rows_in=len(rows))


def _time(time: Any, interval: Interval) -> datetime | None:
    """A date is 00:00 UTC; an instant must have its zone, and for a daily bar be a date."""
    if isinstance(time, str):
        try:
            time = date.fromisoformat(time) if interval is Interval.D1 else datetime.fromisoformat(time)
        except ValueError:
            return None
    if isinstance(time, datetime):
        return time.astimezone(UTC) if time.tzinfo is not None and interval is not Interval.D1 else None
    return midnight(time) if isinstance(time, date) and interval is Interval.D1 else None
