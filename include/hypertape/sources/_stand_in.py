"""A server on this machine that answers in a vendor's place, with the vendor module's own `stand_in`, and breaks on
demand: what `hypertape source test` lets a source ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from hypertape.sources._per_ticker import VendorRow


@dataclass(frozen=True, slots=True)
class Offered:
    """A series that the stand-in has: the vendor's symbol, its daily bars, when each one's session opened (UTC), and
    the market's zone."""

    symbol: str
    rows: Sequence[VendorRow]
    opened: Sequence[datetime]
    zone: str


StandIn = Callable[[str, Mapping[str, str], str, Sequence[Offered]], "str | tuple[int, str]"]
"""`stand_in(path, query, body, offered)`: the text of an answer, or its status and text. `offered` may be in any order,
may have a symbol twice, and others that nobody asked for; a symbol that is not there is unknown to the vendor."""


class StandInServer:
    """`offered` is what there is; `status` in place of every answer, `once` in place of the next; `cuts` breaks off in
    the middle of a body; `page` answers with a text that is none of the vendor's."""

    def __init__(self, stand_in: StandIn) -> None:
        self.offered: list[Offered] = []
        self.status: int | None = None
        self.once: int | None = None
        self.cuts = False
        self.page: str | None = None
        self.asked = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner._serve(self, stand_in)

            def do_POST(self) -> None:
                owner._serve(self, stand_in)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[StandInServer]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler, stand_in: StandIn) -> None:
        self.asked += 1
        address = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        found = stand_in(address.path, query, body, self.offered)
        status, text = found if isinstance(found, tuple) else (200, found)
        if self.page is not None:
            text = self.page
        fault, self.once = self.once or self.status, None
        content = b"{}" if fault else text.encode()
        handler.send_response(fault or status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        if fault == 429:
            handler.send_header("Retry-After", "0")
        if address.path == "/":
            handler.send_header("Set-Cookie", "A3=stand-in; Path=/")
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2] if self.cuts else content)
        handler.close_connection = True
