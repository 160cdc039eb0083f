"""uvicorn's HTTP/1.1 protocol with limits on what a caller may send, take its time for, and hold open.

uvicorn parses with httptools and lets a server bring its own protocol class. Of itself it limits the time of idle
connections, and nothing else that happens before a request is whole (docs/decisions/0028-limits-before-the-login.md).
"""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hypertape.api.connection_limits import (
    MOST_AHEAD,
    MOST_HEADERS,
    SLOW_DOWN,
    Arrival,
    ConnectionLimits,
    ConnectionRegister,
    caller_of,
)

PIECE = 16_384
"""Bytes that are parsed at a time, so that a head without end is noticed before it is kept."""


class _Refused(Exception):
    """Ends the parser's work on a request that is not wanted; the caller is told by then."""


def limited_protocol(limits: ConnectionLimits) -> Any:
    """What `uvicorn.Config(http=…)` takes: a protocol whose connections share these limits."""
    return partial(LimitedProtocol, register=ConnectionRegister(limits))


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, register: ConnectionRegister, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._register, self._limits = register, register.limits
        self._arrival = Arrival(register.limits, self.loop.time)
        self._stalled: float | None = None
        self._closing: float | None = None
        self.caller: str | None = None

    # --- the register's side

    def waits(self) -> bool:
        """True while its caller has not sent a whole request that is unanswered."""
        return self.cycle is None or self.cycle.response_complete or self._arrival.in_body

    def cut(self) -> None:
        """Close it now, whatever is still to be sent."""
        self.transport.abort()

    def check(self, now: float) -> None:
        """Close it when its caller took too long to send a request or to take an answer."""
        if self.transport.is_closing():
            self._closing = self._closing or now
            if now - self._closing > self._limits.request_seconds:
                self.cut()
        elif self._stalled is not None and now - self._stalled > self._limits.stall_seconds:
            self.cut()
        elif self.flow.read_paused:
            self._arrival.later()
        elif self._arrival.due is not None and now > self._arrival.due:
            self._give_up()

    def _give_up(self) -> None:
        if self._arrival.in_head and self._is_quiet():
            self._tell(HTTPStatus.REQUEST_TIMEOUT, "The request did not come in time.")
        else:
            self.cut()

    # --- asyncio's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection in, or say that there are too many."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        self.caller = None if self._limits.is_proxy(peer) else caller_of(peer)
        self._arrival.expect()
        if not self._register.admit(self):
            self._tell(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections. Try again in a moment.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._register.release(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse piece by piece while the request is within its limits."""
        for first in range(0, len(data), PIECE):
            if self.transport.is_closing():
                return
            piece = data[first : first + PIECE]
            if self._arrival.in_head or self._arrival.in_body:
                self._arrival.bytes += len(piece)
            super().data_received(piece)
            if self._arrival.is_too_large:
                self._refuse_size()
        if self._arrival.due is None and self._is_quiet():
            self._arrival.due = self.loop.time() + self.timeout_keep_alive  # empty lines begin no request

    def pause_writing(self) -> None:
        """The reader takes less than we send."""
        self._stalled = self._stalled or self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The reader has taken what there was."""
        self._stalled = None
        super().resume_writing()

    # --- the parser's side

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._arrival.begin()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer behind a body in chunks."""
        if self._arrival.in_body:
            return  # nobody asks for trailers, and kept they would change the request's headers
        if len(self.headers) >= MOST_HEADERS:
            self._refuse_size()
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head that is whole; the app is asked now, or after the requests before."""
        if self._arrival.is_too_large or self._body_is_too_large():
            self._refuse_size()
            raise _Refused
        if len(self.pipeline) >= MOST_AHEAD:
            self.cut()
            raise _Refused
        self._arrival.head_is_whole()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request that is whole."""
        self._arrival.is_whole()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer that is whole: read on, soon when the caller has been told to slow down."""
        super().on_response_complete()
        seconds = self.cycle.scope["state"].get(SLOW_DOWN) if not self.pipeline else None
        if seconds and self.caller is not None and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    # --- what is refused

    def send_400_response(self, msg: str) -> None:
        """Tell what is no request; nothing where the caller was told or an answer is on its way."""
        if not self.transport.is_closing():
            self._tell(HTTPStatus.BAD_REQUEST, msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if nobody had asked for another protocol, and read nothing more."""
        self._arrival.is_whole()
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _body_is_too_large(self) -> bool:
        """True when a head that is whole announces more than may come."""
        lengths = [value for name, value in self.headers if name == b"content-length"]
        return any(
            int(value) > self._limits.request_bytes for value in lengths
        )  # the parser took digits alone

    def _refuse_size(self) -> None:
        if self.transport.is_closing():
            return
        if self._arrival.in_body:
            self.cut()
        elif self._arrival.is_too_large or len(self.headers) >= MOST_HEADERS:
            most = f"{self._limits.request_bytes} bytes or {MOST_HEADERS} headers"
            text = f"The request's address and headers are more than {most}."
            self._tell(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
        else:
            text = f"The request's body is longer than {self._limits.request_bytes} bytes."
            self._tell(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)

    def _is_quiet(self) -> bool:
        """True when no answer is on its way that ours would fall into."""
        return self.cycle is None or self.cycle.response_complete

    def _tell(self, status: HTTPStatus, text: str) -> None:
        """Answer and close; only close where another answer is on its way."""
        if not self._is_quiet():
            self.cut()
            return
        body = b'{"error":"%s"}' % text.encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()
