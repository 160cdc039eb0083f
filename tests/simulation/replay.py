"""The vendor behind a socket: a server that speaks VCI's gap-chart, with the outages a vendor has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tenacity
from story import OPENS
from tree import muddled
from vendor import PAGE, PRICES, VALUES, Vendor

from hypertape.frame import instant
from hypertape.model import Interval
from replay_server import Answer
from vci_replay import Bar, Request, VciReplay
from yahoo_replay import Stock, YahooReplay

_FRAMES = {Interval.D1: "ONE_DAY", Interval.H1: "ONE_HOUR"}
_ZONE = timedelta(hours=7) // timedelta(seconds=1)
OUTAGES = (Answer(500, "oops"), Answer(body=None), Answer(429, '{"message": "too many requests"}'))
"""What the days of an outage look like, one after the other: server errors, no answer at all, too many requests."""


class Replay:
    """The vendor's server, told what moment it is, and that of another vendor who stands in for it."""

    def __init__(self, vendor: Vendor, server: VciReplay, other: YahooReplay) -> None:
        self.vendor, self.server, self.other = vendor, server, other
        self.frame = _FRAMES[vendor.plot.interval]
        self.source: dict[str, Any] = {"name": "vci", "endpoint": server.url}
        self.gate = f"vci@{server.url.removeprefix('http://')}"

    def turn_to(self, now: datetime) -> None:
        """State what the vendor states at `now`, or fail as it does then."""
        plot = self.vendor.plot
        stood_in = plot.stood_in(now)
        self.source["fallbacks"] = ["yahoo"] if stood_in else []
        self.other.stocks = {f"{ticker}.VN": self._stock(ticker, now) for ticker in stood_in}
        self.server.bars = {(ticker, self.frame): self._bars(ticker, now) for ticker in plot.asked(now)}

        def shape(entry: dict[str, Any]) -> dict[str, Any]:
            return self._shape(entry, now)

        def away(request: Request) -> Answer:
            assert request["timeFrame"] == self.frame
            if now.date() in plot.pages:
                return Answer(404, PAGE, {"Content-Type": "text/html"})
            return OUTAGES[plot.outage.index(now.date()) % len(OUTAGES)]

        self.server.shape = shape
        self.server.fault = away if now.date() in plot.outage else None

    def _bars(self, ticker: str, now: datetime) -> list[Bar]:
        """The opening in seconds; a day begins at midnight in UTC, or in Vietnam for half of the tickers."""
        bars = self.vendor.answer(ticker, now)
        is_local = self.vendor.plot.interval is Interval.D1 and len(ticker) % 2 == 0
        seconds = (bars.time // 1_000_000 - (_ZONE if is_local else 0)).tolist()
        return list(zip(seconds, *(getattr(bars, name).tolist() for name in VALUES), strict=True))

    def _stock(self, ticker: str, now: datetime) -> Stock:
        """The same as the other vendor tells it, with an adjusted close."""
        bars = self.vendor.stand_in(ticker, now)
        columns = [getattr(bars, name).tolist() for name in (*PRICES, "close", "volume")]
        rows = zip(bars.time.tolist(), *columns, strict=True)
        opens = timedelta(hours=OPENS.hour)
        return Stock("Asia/Ho_Chi_Minh", [(instant(time) + opens, *rest) for time, *rest in rows])

    def _shape(self, entry: dict[str, Any], now: datetime) -> dict[str, Any]:
        ticker = entry["symbol"]
        if self.vendor.plot.of(ticker).messy:
            rows = muddled(list(zip(*(entry[letter] for letter in "ohlcvt"), strict=True)), now)
            entry |= {letter: [row[at] for row in rows] for at, letter in enumerate("ohlcvt")}
        away = not self.vendor.answers(ticker, now) and not self.vendor.slips(ticker, now)
        if away or ticker in self.vendor.plot.stood_in(now):
            entry["c"] = entry["c"][1:]  # an answer that cannot be read
        return entry


@contextmanager
def served(vendor: Vendor, state_dir: Path) -> Iterator[Replay]:
    """Serve a vendor to this process, which asks it freely and leaves it alone after one failed request.

    It asks again at once what may pass: on the simulated clock a pause takes no time.
    """
    server, other = VciReplay(), YahooReplay()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hypertape.sources._http._backoff", tenacity.wait_none())
        patch.setenv("HYPERTAPE_SOURCE_RATES", "vci=0,yahoo=0")
        patch.setenv("HYPERTAPE_SOURCE_ENDPOINTS", f"yahoo={other.url}")
        patch.setenv("HYPERTAPE_SOURCE_FAILURES", "1")
        patch.setenv("HYPERTAPE_STATE_DIR", str(state_dir))
        patch.setenv("HYPERTAPE_SYMBOLS_PER_REQUEST", "20")
        try:
            yield Replay(vendor, server, other)
        finally:
            server.stop()
            other.stop()
