"""The vendor behind a socket: a server that speaks VCI's gap-chart, with the outages a vendor has."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from tree import muddled
from vendor import VALUES, Vendor

from hypertape.frame import Bars
from hypertape.model import Interval

PATH = "/api/chart/OHLCChart/gap-chart"
_LETTERS = dict(zip(VALUES, "ohlcv", strict=True))
_LOCAL_MIDNIGHT = timedelta(hours=7) // timedelta(seconds=1)
_FRAMES = {Interval.D1: "ONE_DAY", Interval.H1: "ONE_HOUR"}
OUTAGES = ("500", "dropped", "429")
"""What the days of an outage look like, one after the other: server errors, no answer at all, too many requests."""


class Replay:
    """The vendor's server. `turn_to` says what moment it is; `asked` counts requests."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.now: datetime | None = None
        self.asked = 0
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = replay.answer(self.path, json.loads(body))
                if status == 0:
                    self.close_connection = True
                    return
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        host = f"127.0.0.1:{self.server.server_address[1]}"
        self.source = {"name": "vci", "endpoint": f"http://{host}"}
        self.gate = f"vci@{host}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def turn_to(self, now: datetime) -> None:
        self.now = now

    def answer(self, path: str, request: dict[str, Any]) -> tuple[int, Any]:
        """Status and JSON; status 0 drops the connection."""
        assert self.now is not None
        assert (path, request["timeFrame"]) == (PATH, _FRAMES[self.vendor.plot.interval])
        self.asked += 1
        outage, day = self.vendor.plot.outage, self.now.date()
        if day in outage:
            kind = OUTAGES[outage.index(day) % len(OUTAGES)]
            return (0 if kind == "dropped" else int(kind)), {"message": "try again later"}
        return 200, [self._series(symbol, request) for symbol in reversed(request["symbols"])]

    def _series(self, symbol: str, request: dict[str, Any]) -> dict[str, Any]:
        assert self.now is not None
        bars = self.vendor.book(symbol, self.now)
        until = np.searchsorted(bars.time, request["to"] * 1_000_000, "right")
        asked_for = bars.take(slice(max(until - request["countBack"], 0), until))
        is_local = self.vendor.plot.interval is Interval.D1 and len(symbol) % 2 == 0
        found = _arrays(asked_for, _LOCAL_MIDNIGHT if is_local else 0)
        if self.vendor.plot.of(symbol).messy:
            rows = muddled(list(zip(*found.values(), strict=True)), self.now)
            found = {letter: [row[at] for row in rows] for at, letter in enumerate(found)}
        if not self.vendor.answers(symbol, self.now):
            found["c"] = found["c"][1:]  # an answer that cannot be read
        return {"symbol": symbol, **found}


@contextmanager
def served(vendor: Vendor) -> Iterator[Replay]:
    """Serve a vendor to this process, which asks it freely and leaves it alone after one failed request."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERTAPE_SOURCE_RATES", "vci=0")
        patch.setenv("HYPERTAPE_SOURCE_FAILURES", "1")
        patch.setenv("HYPERTAPE_SYMBOLS_PER_REQUEST", "20")
        replay = Replay(vendor)
        try:
            yield replay
        finally:
            replay.stop()


def _arrays(bars: Bars, earlier: int) -> dict[str, list[Any]]:
    """VCI's arrays. A day may begin at midnight in Vietnam, some seconds earlier, and then it is told as text."""
    found: dict[str, list[Any]] = {letter: getattr(bars, name).tolist() for name, letter in _LETTERS.items()}
    seconds = (bars.time // 1_000_000 - earlier).tolist()
    found["t"] = [str(at) for at in seconds] if earlier else seconds
    return found
