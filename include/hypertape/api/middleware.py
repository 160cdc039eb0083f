"""Around every request: headers that keep a browser safe, the meter, and one line of access log.

The log has the method, path, status, milliseconds, caller and address. It has neither query strings nor headers, where
somebody may have put a key.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypertape.api.meter import Meter

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


class Around:
    """Adds the headers, meters and logs."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app, self._meter = app, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def outward(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                known = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in SAFE_HEADERS if header[0] not in known),
                ]
            await send(message)

        try:
            await self._app(scope, receive, outward)
        finally:
            seconds = time.perf_counter() - began
            self._meter.count(_route(scope), status, seconds)
            log.info(
                "%s %s %d %.1f ms %s %s",
                scope["method"],
                _printable(scope["path"]),
                status,
                seconds * 1000,
                scope.get("state", {}).get("caller", "-"),
                (scope.get("client") or ("-",))[0],
            )


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unknown"))


def _printable(path: str) -> str:
    """A path that cannot begin a new line of the log."""
    return path.encode("unicode_escape").decode("ascii")[:300]
