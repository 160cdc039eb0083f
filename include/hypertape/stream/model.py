"""The words of a feed: ticks, gaps, symbols, finalised bars, and what a feed and a sink are.

Prices and volumes are whole numbers of 1e-8: exact to the eighth decimal, cheap to build, compare and encode. Instants
are whole microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

SCALE = 100_000_000
"""Units of a price or volume in one."""

MINUTE = 60_000_000
"""Microseconds of a minute, the width of the finest bar."""


class Tick(NamedTuple):
    """One quote of a feed. `sequence` tells ticks of one instant apart."""

    symbol: str
    time: int
    sequence: int
    bid: int | None
    ask: int | None
    bid_volume: int | None
    ask_volume: int | None
    source: str


class Bar1m(NamedTuple):
    """One finalised minute of a symbol; `time` is its opening instant. `vwap` is None where nothing had a volume."""

    symbol: str
    time: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    vwap: int | None


class FeedGap(NamedTuple):
    """What a feed knows that it missed: from the last it had to the first after it."""

    source: str
    symbol: str | None
    """None: the whole feed."""
    reason: str
    """`sequence`, `reconnect` or `silent`."""
    start: int
    end: int | None
    """None: still open."""
    last_sequence: int | None
    first_sequence: int | None


class GapFilled(NamedTuple):
    """Everything that a gap missed has come after all."""

    gap: FeedGap
    by: str
    """Who says so: `resend`, `late` (out of order) or `unbroken` (the count went on where it had stopped)."""


class Rejected(NamedTuple):
    """A record that is no tick: kept whole in `dead_letter` with the reason."""

    source: str
    record: bytes
    error: str


class SymbolInfo(NamedTuple):
    """An instrument as the feed lists it."""

    symbol: str
    name: str | None
    digits: int | None
    tick_size: int | None
    contract_size: int | None


Event = Tick | FeedGap | GapFilled | Rejected | SymbolInfo


class Feed(Protocol):
    """Where ticks come from. A feed raises only errors of `errors` and ends when its input ends."""

    name: str
    numbering: str
    """Who counts its ticks: each `symbol`, the `feed`, a `session` that begins anew with each connection, or `none`."""
    live: bool
    """Whether it has no end, so that silence and lateness mean something."""

    def run(self) -> AsyncIterator[list[Event]]:
        """Yield batches as they arrive; the next is asked for only when the last was accepted (back-pressure)."""
        ...

    async def close(self) -> None:
        """Let go of the input; a running `run` ends."""
        ...


class Sink(Protocol):
    """Where accepted ticks go: database, websocket, rabbitmq. A sink that is down holds up no other."""

    name: str

    async def publish(self, ticks: list[Tick]) -> None:
        """Hand over ticks in the order of their feed."""
        ...

    async def close(self) -> None:
        """Finish what was handed over, then let go."""
        ...
