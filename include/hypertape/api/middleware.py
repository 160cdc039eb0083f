"""Around every request: headers that keep a browser safe, the meter, one line of access log, and the last resort.

The log has the method, path, status, milliseconds, caller and address. It has neither query strings nor headers, where
somebody may have put a key.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypertape.api.errors import unforeseen
from hypertape.api.request_metrics import Meter

log = logging.getLogger("hypertape.api.access")

SAFE_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""A page that needs more of the policy sets its own; what a response has already is left as it is."""


class RequestMiddleware:
    """Adds the headers, meters and logs, and answers what nobody foresaw."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app, self._meter = app, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, inner, outward = time.perf_counter(), _asked(scope), _Outward(scope["method"], send)
        try:
            await self._answered(inner, receive, outward)
        finally:
            seconds = time.perf_counter() - began
            self._meter.count(_route(inner), outward.status, seconds)
            log.info(
                "%s %s %d %.1f ms %s %s",
                scope["method"],
                _printable(scope["path"]),
                outward.status,
                seconds * 1000,
                inner.get("state", {}).get("caller", "-"),
                (scope.get("client") or ("-",))[0],
            )

    async def _answered(self, scope: Scope, receive: Receive, outward: _Outward) -> None:
        try:
            await self._app(scope, receive, outward.send)
        except Exception as error:
            if outward.started:
                raise
            await unforeseen(scope, error)(scope, receive, outward.send)


class _Outward:
    """What goes to the client: with safe headers, and without a body where only the headers were asked for."""

    def __init__(self, method: str, send: Send) -> None:
        self._bare, self._send = method == "HEAD", send
        self.started, self.status = False, 500

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            known = {name.lower() for name, _ in message["headers"]}
            more = [header for header in SAFE_HEADERS if header[0] not in known]
            message["headers"] = [*message["headers"], *more]
        elif self._bare and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def _asked(scope: Scope) -> Scope:
    """The request as the routes know it: HEAD is a GET whose body stays here, `gzip;q=0` names no encoding, and no part
    is asked for: nothing here is worth one, and starlette answers a range that cannot be without JSON.
    """
    headers = [
        (name, _acceptable(value) if name == b"accept-encoding" else value)
        for name, value in scope["headers"]
        if name not in (b"range", b"if-range")
    ]
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return {**scope, "method": method, "headers": headers}


def _acceptable(encodings: bytes) -> bytes:
    """The encodings that are not refused by a weight of zero."""
    return b", ".join(part.strip() for part in encodings.split(b",") if not _REFUSED.search(part))


_REFUSED = re.compile(rb";\s*q\s*=\s*0(\.0*)?\s*$", re.IGNORECASE)


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unknown"))


def _printable(path: str) -> str:
    """A path that cannot begin a new line of the log."""
    return path.encode("unicode_escape").decode("ascii")[:300]
