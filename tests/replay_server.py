"""An HTTP server in a thread, to answer in a vendor's place. What it answers is the subclass's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from http_thread import HttpThread, Quiet


@dataclass(frozen=True)
class Answer:
    """What the server says; a body of None hangs up without a word."""

    status: int = 200
    body: str | bytes | None = "[]"
    headers: dict[str, str] = field(default_factory=dict)


class ReplayServer(HttpThread):
    """Serves until stopped. `asked` keeps (path, query, body) of every request, `released` lets hanging ones go."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], str]] = []
        replay = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def _serve(self) -> None:
                address = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(address.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                replay.asked.append((address.path, query, body))
                answer = replay.answer(address.path, query, body)
                if answer.body is None:
                    self.close_connection = True
                    return
                content = answer.body.encode() if isinstance(answer.body, str) else answer.body
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # a worker that was killed reads no more
                    self.wfile.write(content)

        super().__init__(Handler)

    def answer(self, path: str, query: dict[str, str], body: str) -> Answer:
        raise NotImplementedError
