"""Ticks to WebSocket clients at `/ws`, and what a monitor asks for beside it (`/metrics`, `/status`).

A client names topics in the address (`/ws?topics=ticker:EURUSD,ticker:GBPUSD`) or in messages, `{"subscribe":
["ticker:EURUSD"]}` and `{"unsubscribe": […]}`; `ticker:*` is every symbol. It gets `{"topic": "ticker:EURUSD",
"ticks": [tick, …]}`, a tick as a line of jsonl has it. A topic's message is encoded once, however many listen.
Who reads too slowly is dropped with close code 1008 and the reason, and holds up nobody: nothing here waits
for a client.
"""

from __future__ import annotations

import asyncio
import http
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

import msgspec
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from hypertape.errors import BadInput
from hypertape.stream.admission import Admit, NotAdmitted
from hypertape.stream.model import Tick
from hypertape.stream.record import tick_fields

EVERY = "ticker:*"
MOST_UNREAD = 1024 * 1024
"""Bytes that may lie unread before a client is dropped: several seconds of a busy feed."""

MOST_CLIENTS = 1000
MOST_TOPICS = 1000
_RECHECK_SECONDS = 10.0
_POLICY = 1008

Page = Callable[[], tuple[str, bytes]]
"""Gives a page's content type and body; called in a thread, because it may ask the warehouse."""

log = logging.getLogger("hypertape.stream.websocket")


@dataclass
class _Client:
    name: str
    topics: set[str] = field(default_factory=set)


class WebSocketSink:
    """A server of its own; `start` opens it. `pages` are what GET answers beside `/ws`, behind the same login."""

    name = "websocket"

    def __init__(
        self,
        host: str,
        port: int,
        admit: Admit,
        *,
        pages: Mapping[str, Page] | None = None,
        most_unread: int = MOST_UNREAD,
    ) -> None:
        self._host, self._port, self._admit = host, port, admit
        self._pages, self._most_unread = dict(pages or {}), most_unread
        self._clients: dict[ServerConnection, _Client] = {}
        self._names: WeakKeyDictionary[ServerConnection, str] = WeakKeyDictionary()
        self._by_topic: dict[str, set[ServerConnection]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._server: Server | None = None
        self._checks: asyncio.Task[None] | None = None
        self.dropped = 0
        """Clients that were dropped for reading too slowly."""

    async def start(self) -> None:
        """Listen. Raises BadInput for an address that is taken or not ours."""
        try:
            self._server = await serve(
                self._serve, self._host, self._port, process_request=self._asked, compression=None,
                max_size=64 * 1024, max_queue=16, open_timeout=10, close_timeout=5, ping_interval=20,
                server_header=None, )  # fmt: skip
        except OSError as error:
            raise BadInput(
                f"{self._host}:{self._port} cannot be listened on: {error.strerror}",
                next_step="Name another --port.",
            ) from error
        self._checks = asyncio.create_task(self._recheck())

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def clients(self) -> int:
        """Clients that are connected."""
        return len(self._clients)

    async def publish(self, ticks: list[Tick]) -> None:
        """Hand ticks to whoever listens; returns at once."""
        everybody = self._by_topic.get(EVERY, set())
        by_symbol: dict[str, list[Tick]] = {}
        for tick in ticks:
            by_symbol.setdefault(tick.symbol, []).append(tick)
        for symbol, of_symbol in by_symbol.items():
            topic = f"ticker:{symbol}"
            listeners = self._by_topic.get(topic, set()) | everybody
            if listeners:
                message = {"topic": topic, "ticks": [tick_fields(tick) for tick in of_symbol]}
                broadcast(self._who_keeps_up(listeners), msgspec.json.encode(message).decode())

    async def close(self) -> None:
        """Tell the clients that the stream ends, and end."""
        if self._checks is not None:
            self._checks.cancel()
            await asyncio.gather(self._checks, return_exceptions=True)
        if self._server is not None:
            self._server.close(code=1001, reason="the stream ends")
            await self._server.wait_closed()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _who_keeps_up(self, listeners: set[ServerConnection]) -> list[ServerConnection]:
        good = []
        for connection in listeners:
            unread = connection.transport.get_write_buffer_size()
            if unread > self._most_unread:
                self.dropped += 1
                self._drop(connection, f"too slow: {unread} bytes are unread")
            else:
                good.append(connection)
        return good

    def _drop(self, connection: ServerConnection, why: str) -> None:
        """Forget a client at once; the reason is sent behind what it has not read, for five seconds."""
        client = self._forget(connection)
        log.warning("%s is dropped, %s", client.name if client else "a client", why)
        task = asyncio.create_task(connection.close(_POLICY, why))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _asked(self, connection: ServerConnection, request: Request) -> Response | None:
        """Admit a caller, and answer what is no WebSocket."""
        path = urlsplit(request.path).path
        address = connection.remote_address[0] if connection.remote_address else "-"
        try:
            name = await self._admit(_plain(request.headers), address)
        except NotAdmitted as error:
            return _answer(error.status, {"error": str(error)})
        if path in self._pages:
            kind, body = await asyncio.to_thread(self._pages[path])
            return _response(200, kind, body)
        if path != "/ws":
            known = ", ".join(["/ws", *self._pages])
            return _answer(404, {"error": f"There is no {path[:100]}. There are: {known}."})
        if len(self._clients) >= MOST_CLIENTS:
            return _answer(503, {"error": f"{MOST_CLIENTS} clients listen already. Try again later."})
        self._names[connection] = name
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            assert connection.request is not None
            self._clients[connection] = _Client(self._names[connection])
            asked = parse_qs(urlsplit(connection.request.path).query).get("topics", [])
            topics = [topic for text in asked for topic in text.split(",") if topic]
            if topics:
                await connection.send(self._told(connection, json.dumps({"subscribe": topics})))
            async for message in connection:
                await connection.send(self._told(connection, message))
        except ConnectionClosed:
            pass
        finally:
            self._forget(connection)

    def _told(self, connection: ServerConnection, message: str | bytes) -> str:
        """Do what a client's message says, and return the answer."""
        client = self._clients.get(connection)
        wish = _wish(message)
        if client is None or isinstance(wish, str):
            return json.dumps({"error": wish if client else "You are being dropped."})
        verb, topics = wish
        if verb == "subscribe" and len(client.topics | set(topics)) > MOST_TOPICS:
            return json.dumps({"error": f"At most {MOST_TOPICS} topics. Subscribe to {EVERY} for all."})
        for topic in topics:
            listeners = self._by_topic.setdefault(topic, set())
            (listeners.add if verb == "subscribe" else listeners.discard)(connection)
            (client.topics.add if verb == "subscribe" else client.topics.discard)(topic)
            if not listeners:
                del self._by_topic[topic]
        return json.dumps({"topics": sorted(client.topics)})

    def _forget(self, connection: ServerConnection) -> _Client | None:
        client = self._clients.pop(connection, None)
        for topic in client.topics if client else ():
            listeners = self._by_topic.get(topic, set())
            listeners.discard(connection)
            if not listeners:
                self._by_topic.pop(topic, None)
        return client

    async def _recheck(self) -> None:
        """Drop those whose key was revoked or has expired since; an unsure moment drops nobody."""
        while True:
            await asyncio.sleep(_RECHECK_SECONDS)
            for connection in list(self._clients):
                if connection.request is None:
                    continue
                try:
                    await self._admit(_plain(connection.request.headers), "-")
                except NotAdmitted as error:
                    if error.status in (401, 403):
                        self._drop(connection, "the login does not count any more")


def _wish(message: str | bytes) -> tuple[str, list[str]] | str:
    """A client's verb and topics, or what is wrong with its message."""
    try:
        read = json.loads(message)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict) or len(read) != 1 or next(iter(read)) not in ("subscribe", "unsubscribe"):
        return 'Send {"subscribe": ["ticker:EURUSD"]} or {"unsubscribe": […]}.'
    ((verb, topics),) = read.items()
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        return "Topics are a list of texts, such as ticker:EURUSD."
    strange = [topic for topic in topics if not topic.startswith("ticker:") or not 7 < len(topic) <= 57]
    if strange:
        return f"There is no topic {strange[0][:60]!r}. Topics are ticker:SYMBOL, or {EVERY} for all."
    return verb, topics


def _plain(headers: Headers) -> Mapping[str, str]:
    """Headers by name, whatever their case; of one that came twice the first."""
    found: dict[str, str] = {}
    for name, value in headers.raw_items():
        found.setdefault(name.title() if name.lower() != "x-api-key" else "X-API-Key", value)
    return found


def _answer(status: int, content: Mapping[str, Any]) -> Response:
    return _response(status, "application/json", json.dumps(content).encode())


def _response(status: int, kind: str, body: bytes) -> Response:
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"})
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(status, http.HTTPStatus(status).phrase, headers, body)
