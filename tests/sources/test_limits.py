"""What a vendor's answer may cost: bytes, seconds and pages, of every source that asks over the network.

A real server sends what no vendor would; the real clients ask it. Memory is measured.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from http_thread import HttpThread, Quiet
from hypertape.errors import HypertapeError, SourceSchemaChanged, SourceUnavailable
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.sources import Limits, Source
from hypertape.sources.ccxt import Ccxt
from hypertape.sources.vci import Vci
from hypertape.sources.yahoo import Yahoo

WEEK = Window(utc(2025, 6, 2), utc(2025, 6, 7))
NOW = utc(2025, 6, 20)
LIMITS = Limits(bytes=200_000, seconds=1.5, pages=5)
BOMB = gzip.compress(b"[" + b"0," * 40_000_000 + b"0]", 1)
"""80 MB in less than a thousandth of it."""

Send = Callable[[BaseHTTPRequestHandler], None]


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        handler.wfile.write(b"[0," * 20_000)


def bomb(handler: BaseHTTPRequestHandler) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n"
    handler.wfile.write(head.encode() + BOMB)


def a_byte_at_a_time(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.05)


def a_header_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


def headers_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n")


class OddServer(HttpThread):
    """Answers every request with `send`; `asked` counts them."""

    def __init__(self, send: Send) -> None:
        self.asked = 0
        odd = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                odd.asked += 1
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with contextlib.suppress(OSError):  # the client hung up, as it should
                    send(self)

            def do_POST(self) -> None:
                self.do_GET()

        super().__init__(Handler)


@pytest.fixture
def served() -> Iterator[Callable[[Send], OddServer]]:
    servers: list[OddServer] = []

    def serve(send: Send) -> OddServer:
        servers.append(OddServer(send))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


def source(name: str, url: str, cache: Path) -> tuple[Source, str, str]:
    """A source that asks the server once a request, with a market and a ticker of it."""
    given = {"endpoint": url, "attempts": 1, "sleep": lambda seconds: None, "limits": LIMITS}
    if name == "vci":
        return Vci(**given), "vn", "VIC"  # type: ignore[arg-type]
    if name == "yahoo":
        return Yahoo(**given, cache_directory=cache), "us", "AAPL"  # type: ignore[arg-type]
    return Ccxt(**given), "crypto", "BTC"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("send", "kind", "says"),
    [
        (endless, SourceSchemaChanged, "longer than"),
        (bomb, SourceSchemaChanged, "longer than"),
        (a_byte_at_a_time, SourceUnavailable, "timed out"),
        (a_header_without_end, SourceUnavailable, "timed out"),
        (headers_without_end, SourceUnavailable, "Too large"),
    ],
    ids=["endless", "gzip bomb", "a byte at a time", "an endless header", "endless headers"],
)
@pytest.mark.parametrize("name", ["vci", "yahoo", "ccxt"])
def test_an_answer_costs_no_more_than_the_limits(
    served: Callable[[Send], OddServer],
    yahoo_cache: Path,
    name: str,
    send: Send,
    kind: type[HypertapeError],
    says: str,
) -> None:
    asking, market, ticker = source(name, served(send).url, yahoo_cache)
    asking.fetch(get_market(market), [], Interval.D1, WEEK, now=NOW)  # imports are not the answer's cost
    tracemalloc.start()
    try:
        began = time.monotonic()
        fetched = asking.fetch(get_market(market), [ticker], Interval.D1, WEEK, now=NOW)
        took = time.monotonic() - began
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    error = fetched.failures[ticker]
    assert isinstance(error, kind)
    assert says.lower() in str(error).lower()
    assert peak < 25_000_000, "the limit is 0.2 MB; ccxt's client itself takes some"
    assert took < 8 * LIMITS.seconds, "cookies, crumb and chart have a limit each"


def one_second_older(handler: BaseHTTPRequestHandler) -> None:
    one_second_older.at -= 1  # type: ignore[attr-defined]
    at = one_second_older.at  # type: ignore[attr-defined]
    body = json.dumps([{"symbol": "VIC", "t": [at], **{letter: [1.0] for letter in "ohlcv"}}]).encode()
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize(
    ("window", "most"),
    [
        (Window(utc(2015), utc(2025, 6, 7)), LIMITS.pages),
        (WEEK, 15),
    ],
    ids=["the limit", "no more than the calendar explains"],
)
def test_pages_that_never_come_to_the_start_end(
    served: Callable[[Send], OddServer], window: Window, most: int
) -> None:
    one_second_older.at = int(utc(2025, 6, 6, 4).timestamp())  # type: ignore[attr-defined]
    server = served(one_second_older)
    limits = LIMITS if most == LIMITS.pages else replace(LIMITS, pages=5000)
    vci = Vci(endpoint=server.url, attempts=1, limits=limits)

    fetched = vci.fetch(get_market("vn"), ["VIC"], Interval.D1, window, now=NOW)

    assert type(fetched.failures["VIC"]) is SourceSchemaChanged
    assert "not come to the end" in str(fetched.failures["VIC"])
    assert server.asked <= most


def test_an_exchange_that_turns_back_ends_too(served: Callable[[Send], OddServer]) -> None:
    """The same candle again and again: no page is newer than the one before."""

    def same(handler: BaseHTTPRequestHandler) -> None:
        pair = {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "filters": [],
        }
        candle = [1_748_822_400_000, "1", "1", "1", "1", "1", 0, "0", 1, "0", "0", "0"]
        body = json.dumps([candle] if "klines" in handler.path else {"symbols": [pair]}).encode()
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server = served(same)
    fetched = Ccxt(endpoint=server.url, attempts=1, limits=LIMITS).fetch(
        get_market("crypto"), ["BTC"], Interval.D1, WEEK, now=NOW
    )
    assert server.asked <= 4
    assert not fetched.failures
