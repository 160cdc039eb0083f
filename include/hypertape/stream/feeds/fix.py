"""`fix:HOST:PORT?sender=ME&target=THEM`: quotes of a FIX 4.4 acceptor.

It logs on, asks for the security list and again every `sync` seconds, subscribes to the best bid and ask of
`symbols` (by commas; default: all that are listed), and connects anew with growing pauses when the connection
breaks. The first logon resets the numbers; later ones go on where the last stopped, so that what was missed
can be asked for again, unless `resume=no`. The password is HYPERTAPE_FIX_PASSWORD, never part of an address.

Gaps it knows of: `sequence` (numbers were missing; filled when all were sent again), `reconnect` (the
connection broke) and `silent` (heartbeats stopped). The last two begin at the last tick and end at the first
after it; they are filled when the session was resumed and every number came.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from hypertape.errors import BadInput, FeedRefused
from hypertape.stream.feeds import Address, FeedConfig
from hypertape.stream.feeds._fix_book import Books
from hypertape.stream.feeds._fix_session import ADMINISTRATIVE, Broken, Identity, Progress, Session
from hypertape.stream.feeds._fix_wire import Framer, Garbled, Message, Tag, Value
from hypertape.stream.model import Event, Feed, FeedGap, GapFilled, Rejected, Tick
from hypertape.stream.record import BadRecord

OPTIONS = (
    "sender", "target", "sender_sub", "target_sub", "user", "heartbeat", "symbols", "sync", "resume", "tls", "source",
)  # fmt: skip
EXAMPLE = "fix:quotes.example:5201?sender=ME&target=THEM"

LIST_SECONDS = 5.0
"""How long the security list is waited for before the named symbols are subscribed without it."""

log = logging.getLogger("hypertape.stream.fix")


def build(address: Address, config: FeedConfig) -> Feed:
    """Build the feed. Raises BadInput for an address that lacks a part."""
    host, colon, port = address.rest.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536 or "@" in host:
        raise BadInput(f"{address} is no HOST:PORT", next_step=f"Write it as {EXAMPLE}.")
    for name in ("sender", "target"):
        if not address.options.get(name):
            raise BadInput(f"{address} has no {name}", next_step=f"Write it as {EXAMPLE}.")
    return FixFeed(address, config, host.strip("[]"), int(port))


class FixFeed:
    """One acceptor."""

    numbering, live = "session", True

    def __init__(self, address: Address, config: FeedConfig, host: str, port: int) -> None:
        given = address.options
        self.name = given.get("source") or f"fix:{given['sender']}-{given['target']}"
        self._host, self._port, self._config = host, port, config
        identity = Identity(
            given["sender"], given["target"], given.get("sender_sub", ""), given.get("target_sub", ""),
            given.get("user", ""), config.fix_password or "", int(address.number("heartbeat", 30, least=1, most=600)),
        )  # fmt: skip
        self._session = Session(identity, config.clock, time.monotonic)
        self._beat = min(identity.heartbeat / 4, 1.0)
        self._wanted = [name for name in given.get("symbols", "").split(",") if name]
        self._sync = address.number("sync", 300.0, least=1.0)
        self._resume = address.choice("resume", "yes", "no") == "yes"
        self._tls = address.choice("tls", "no", "yes") == "yes"
        self._stop = asyncio.Event()
        self._books = Books(self.name)
        self._begin()
        self._gaps: dict[int, FeedGap] = {}
        self._last: Tick | None = None
        self._apart: FeedGap | None = None
        self._lossless, self._resets = True, 0
        self._was_on = False

    def _begin(self) -> None:
        self._subscribed: set[str] = set()
        self._listed_at = self._connected_at = time.monotonic()
        self._asked_list = self._has_list = False
        self._books.clear()

    async def run(self) -> AsyncGenerator[list[Event]]:
        """Yield what the acceptor sends, until the feed is closed. Raises FeedRefused when the first logon is refused.

        A later one that is refused is tried again: acceptors close for the night, and forget their numbers.
        """
        pause, reset = self._config.first_pause, True
        while not self._stop.is_set():
            silent = False
            try:
                async with aclosing(self._connection(reset)) as connection:
                    async for events in connection:
                        pause = self._config.first_pause
                        yield events
            except Broken as error:
                silent = error.silent
                log.warning("%s: %s", self.name, error)
            except FeedRefused as error:
                if not self._was_on:
                    raise
                log.warning("%s: %s", self.name, error)
            except (OSError, ssl.SSLError) as error:
                log.warning("%s: %s", self.name, error)
            if self._stop.is_set():
                return
            reset = not (self._resume and self._session.logged_on)
            self._was_on = self._was_on or self._session.logged_on
            if self._session.logged_on and self._apart is None:
                yield [self._parted("silent" if silent else "reconnect")]
            self._session.logged_on = False
            await self._rest(pause)
            pause = min(2 * pause, self._config.longest_pause)

    async def close(self) -> None:
        """Log out and end."""
        if self._session.logged_on and not self._stop.is_set():
            self._session.say("5", [])
        self._stop.set()

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds * random.uniform(0.5, 1.0))

    def _parted(self, reason: str) -> FeedGap:
        at = self._last.time if self._last else self._config.clock()
        self._lossless, self._resets = True, self._session.resets
        self._apart = FeedGap(self.name, None, reason, at, None, self._session.expected - 1, None)
        return self._apart

    async def _connection(self, reset: bool) -> AsyncGenerator[list[Event]]:
        """One connection, from logon to its end: Broken, OSError, or closed."""
        context = ssl.create_default_context() if self._tls else None
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
        self._begin()
        self._session.send = writer.write
        self._session.logon(reset=reset)
        beats = asyncio.create_task(self._keep_alive())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            async with aclosing(self._read(reader, stopped)) as read:
                async for events in read:
                    yield events
        finally:
            beats.cancel()
            stopped.cancel()
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)

    async def _keep_alive(self) -> None:
        """Heartbeats go out also while nobody asks for the next batch."""
        while True:
            await asyncio.sleep(self._beat)
            self._session.keep_alive()

    async def _read(
        self, reader: asyncio.StreamReader, stopped: asyncio.Task[bool]
    ) -> AsyncGenerator[list[Event]]:
        framer = Framer()
        reading: asyncio.Task[bytes] | None = None
        try:
            while not stopped.done():
                since = time.monotonic()
                reading = reading or asyncio.create_task(reader.read(65_536))
                while not await _one_of(reading, stopped, seconds=self._beat):
                    self._ask()
                    if events := self._events(self._session.on_time(since)):
                        yield events
                if stopped.done():
                    return
                data, reading = reading.result(), None
                if not data:
                    raise Broken("the other side closed the connection")
                if events := [event for part in framer.feed(data) for event in self._take(part)]:
                    yield events
                self._ask()
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    def _take(self, part: Message | Garbled) -> list[Event]:
        if isinstance(part, Garbled):
            return [Rejected(self.name, part.raw, f"no FIX message: {part.why}")]
        return self._events(self._session.receive(part))

    def _events(self, progress: Progress) -> list[Event]:
        """What a step of the session means for the reader: gaps, then what was delivered, then gaps that are over."""
        events: list[Event] = []
        start = self._last.time if self._last else self._config.clock()
        for first, last in progress.missing:
            gap = FeedGap(self.name, None, "sequence", start, None, first - 1, last + 1)
            self._gaps[last] = gap
            events.append(gap)
        for message in progress.deliver:
            events += self._read_message(message, late=False)
        for message in progress.again:
            events += self._read_message(message, late=True)
        for _, last, lost in progress.settled:
            if lost:
                self._lossless = False
            if (known := self._gaps.pop(last, None)) is not None:
                gap = known._replace(
                    end=max(known.start, self._last.time if self._last else self._config.clock())
                )
                events += [gap] if lost else [gap, GapFilled(gap, "resend")]
        return events

    def _read_message(self, message: Message, *, late: bool) -> list[Event]:
        if message.kind in (b"W", b"X"):
            return self._quotes(message, late=late)
        if message.kind == b"y":
            found, wrong = self._books.instruments(message)
            self._has_list = message.values.get(Tag.LAST_FRAGMENT, b"Y") == b"Y"
            return [*found, *(Rejected(self.name, message.raw, f"security list: {why}") for why in wrong)]
        if message.kind in (b"Y", b"j", b"3"):
            self._has_list = self._has_list or message.kind == b"j"
            what = "market data request" if message.kind == b"Y" else "a request"
            return [Rejected(self.name, message.raw, f"{what} is refused: {message.text(Tag.TEXT)}")]
        if message.kind not in ADMINISTRATIVE:
            log.info("%s: a message of type %r is not read", self.name, message.kind)
        return []

    def _quotes(self, message: Message, *, late: bool) -> list[Event]:
        try:
            ticks = self._books.ticks(message, late=late)
        except BadRecord as error:
            return [Rejected(self.name, message.raw, str(error))]
        events: list[Event] = list(ticks)
        if ticks and not late:
            self._last = ticks[-1]
            if self._apart is not None:
                end = max(self._apart.start, self._last.time)
                gap = self._apart._replace(end=end, first_sequence=message.sequence)
                whole = self._lossless and self._session.resets == self._resets
                events[:0] = [gap, GapFilled(gap, "resend")] if whole else [gap]
                self._apart = None
        return events

    def _ask(self) -> None:
        """Ask for the security list when it is due, and subscribe to what is wanted and not subscribed yet."""
        if not self._session.logged_on:
            return
        now = time.monotonic()
        if not self._asked_list or now - self._listed_at >= self._sync:
            self._asked_list, self._listed_at = True, now
            self._session.say("x", [(Tag.SECURITY_REQUEST, f"list-{int(now)}"), (Tag.LIST_TYPE, 0)])
        if not self._has_list and (not self._wanted or now - self._connected_at < LIST_SECONDS):
            return
        for symbol in self._wanted or sorted(set(self._books.names.values())):
            if symbol not in self._subscribed:
                self._subscribed.add(symbol)
                self._session.say("V", _subscription(symbol, self._books.wire_name(symbol)))


async def _one_of(*tasks: asyncio.Task[Any], seconds: float) -> bool:
    """Wait until one of some tasks is done; False when none was in time."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def _subscription(symbol: str, wire_name: str) -> list[tuple[int, Value]]:
    """Snapshot and updates of the top of a book. One request a symbol: one that is refused takes no other with it."""
    return [
        (Tag.REQUEST, f"md-{symbol}"), (Tag.SUBSCRIPTION, 1), (Tag.DEPTH, 1), (Tag.UPDATE_TYPE, 1), (Tag.TYPES, 2),
        (Tag.ENTRY_TYPE, 0), (Tag.ENTRY_TYPE, 1), (Tag.RELATED, 1), (Tag.SYMBOL, wire_name),
    ]  # fmt: skip
