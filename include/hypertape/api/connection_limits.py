"""Who may stay connected before a login: limits on what arrives, on how long it takes, and on connections.

| limit | who goes |
|---|---|
| bytes of a request's head, and of its body; headers | told 431 or 413 |
| seconds until a head is whole, and then until its body is | told 408 when it began one; a silent one is closed |
| seconds in which a reader takes nothing of its answer | cut off |
| requests sent ahead on one connection | cut off |
| connections of an address (IPv6: of a /64), of all | the oldest that awaits its caller; if none does, the new: 503 |

A connection whose request is being answered never makes room for another. The addresses of trusted proxies stand for
many callers, so theirs are not counted; the limits of time and size hold for them too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

log = logging.getLogger("hypertape.api")

SWEEP_SECONDS = 0.5
"""How often overdue connections are looked for."""

MOST_AHEAD = 100
"""Requests that a client may send before the first of them is answered."""

MOST_HEADERS = 100
"""Headers of a request."""

SLOW_DOWN = "slow_down_seconds"
"""The key of a request's state under which the app says for how long its connection need not be read from."""

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one server process; seconds are wall seconds, and a proxy's connections are not counted."""

    request_bytes: int = 65_536
    request_seconds: float = 10.0
    stall_seconds: float = 30.0
    clients: int = 500
    clients_each: int = 100
    proxies: tuple[Network, ...] = ()
    all_proxies: bool = False

    def is_proxy(self, address: str) -> bool:
        """True when X-Forwarded-For of that address is believed."""
        try:
            return self.all_proxies or any(ip_address(address) in network for network in self.proxies)
        except ValueError:
            return False


def proxy_networks(addresses: str) -> tuple[Network, ...]:
    """The networks that `serve --proxies` names; what is no address (a Unix socket's name) is none.

    `*` is all of them, and asked for by `ConnectionLimits.all_proxies`.
    """
    found: list[Network] = []
    for address in filter(None, map(str.strip, addresses.split(","))):
        try:
            found.append(ip_network(address, strict=False))
        except ValueError:
            continue
    return tuple(found)


def caller_of(address: str) -> str:
    """Whom a connection counts for: one IPv4 address, or the 2^64 IPv6 addresses that one customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))


class Connection(Protocol):
    """What the register asks of a connection."""

    caller: str | None

    def waits(self) -> bool:
        """True while its caller has not sent a whole request that is unanswered."""

    def cut(self) -> None:
        """Close it now."""

    def check(self, now: float) -> None:
        """Close it when it is overdue."""


@dataclass(slots=True)
class ConnectionRegister:
    """The open connections of one process, oldest first, by caller; used from the event loop alone."""

    limits: ConnectionLimits
    open: dict[Connection, None] = field(default_factory=dict)
    by_caller: dict[str, dict[Connection, None]] = field(default_factory=dict)
    _sweep: asyncio.TimerHandle | None = None

    def admit(self, connection: Connection) -> bool:
        """Take a connection in, if need be in the place of an older one; False when there is no place."""
        own = self.by_caller.get(connection.caller or "", {})
        full = connection.caller is not None and len(own) >= self.limits.clients_each
        if full and not self._make_room(own):
            return False
        if len(self.open) >= self.limits.clients and not self._make_room(self._largest()):
            return False
        self.open[connection] = None
        if connection.caller is not None:
            self.by_caller.setdefault(connection.caller, {})[connection] = None
        self._watch()
        return True

    def release(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self.open.pop(connection, None)
        own = self.by_caller.get(connection.caller or "")
        if own is not None:
            own.pop(connection, None)
            if not own:
                del self.by_caller[connection.caller or ""]

    def _make_room(self, among: dict[Connection, None]) -> bool:
        oldest = next((connection for connection in among if connection.waits()), None)
        if oldest is None:
            return False
        self.release(oldest)
        oldest.cut()
        return True

    def _largest(self) -> dict[Connection, None]:
        """The connections of the caller that has the most which wait."""
        most = max(
            self.by_caller.values(), key=lambda own: sum(each.waits() for each in own), default=self.open
        )
        return most if any(each.waits() for each in most) else self.open

    def _watch(self) -> None:
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._swept)

    def _swept(self) -> None:
        now, self._sweep = asyncio.get_running_loop().time(), None
        for connection in list(self.open):
            connection.check(now)
        if self.open:
            self._watch()


@dataclass(slots=True)
class Arrival:
    """How far the request at hand has arrived, and by when it has to.

    `bytes` counts what has come of the head, then of the body. `due` is None while nothing is awaited of the caller.
    """

    limits: ConnectionLimits
    now: Callable[[], float]
    due: float | None = None
    in_head: bool = False
    in_body: bool = False
    bytes: int = 0

    def expect(self) -> None:
        """Wait for a request's first byte."""
        self.due, self.in_head, self.in_body = self.now() + self.limits.request_seconds, False, False

    def begin(self) -> None:
        """The first byte is here."""
        self.expect()
        self.in_head, self.bytes = True, 0

    def head_is_whole(self) -> None:
        """The head is whole, and the body may follow."""
        self.due, self.bytes = self.now() + self.limits.request_seconds, 0
        self.in_head, self.in_body = False, True

    def is_whole(self) -> None:
        """Nothing is missing any more."""
        self.due, self.in_head, self.in_body = None, False, False

    def later(self) -> None:
        """It is us who do not read on: start the time anew."""
        if self.due is not None:
            self.due = self.now() + self.limits.request_seconds

    @property
    def is_too_large(self) -> bool:
        """True when more came than may."""
        return self.bytes > self.limits.request_bytes
