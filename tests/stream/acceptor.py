"""A FIX 4.4 acceptor on loopback, over simplefix: another hand than the feed's own codec wrote its wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import simplefix

TICK_TIME = "20260105-00:00:0"


@dataclass
class Acceptor:
    """Takes one session at a time; what a test changes is public."""

    refuse: str | None = None
    """The text of the logout that answers a logon."""
    answers: bool = True
    """Whether heartbeats and test requests are answered, and messages are sent at all."""
    resends: bool = True
    """Whether a resend request is answered with the messages; else with a gap fill."""
    lists: bytes = b"whole"
    """How the security list is answered: `whole`, or `no` for a business reject."""
    symbols: tuple[tuple[str, str], ...] = (("EURUSD", "1"), ("GBPUSD", "2"))
    """Names and what messages call them."""
    port: int = 0
    heard: list[simplefix.FixMessage] = field(default_factory=list)
    logons: int = 0
    number: int = 0
    sent: dict[int, bytes] = field(default_factory=dict)
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    writer: asyncio.StreamWriter | None = None
    on_subscribed: Callable[[], None] | None = None
    delivered: int = 0

    def types(self) -> list[str]:
        """The types of what was heard, in order."""
        return [message.get(35).decode() for message in self.heard]

    def build(
        self, kind: str, *pairs: tuple[int, object], number: int | None = None, repeat: bool = False
    ) -> bytes:
        """A message of ours, with the next number unless it is named."""
        if number is None:
            self.number += 1
            number = self.number
        message = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4", header=True)
        for tag, value in ((35, kind), (49, "THEM"), (56, "ME"), (34, number)):
            message.append_pair(tag, value, header=True)
        if repeat:
            message.append_pair(43, "Y", header=True)
            message.append_pair(122, "20260105-00:00:00.000", header=True)
        message.append_pair(52, "20260105-00:00:09.000", header=True)
        for tag, value in pairs:
            message.append_pair(tag, value)
        encoded: bytes = message.encode()
        if kind not in "0124A5":
            self.sent[number] = encoded
        return encoded

    def snapshot(self, bid: str, ask: str, second: int = 0, symbol: str = "1") -> bytes:
        """A snapshot of one symbol at a second of the test's minute."""
        stamp = ((272, "20260105"), (273, f"00:00:{second % 60:02}.{second // 60:06}"))
        return self.build(
            "W", (55, symbol), (268, 2), (269, 0), (270, bid), (271, 1), *stamp, (269, 1), (270, ask), (271, 2), *stamp
        )  # fmt: skip

    def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        assert self.writer is not None
        if self.answers:
            self.writer.write(data)

    def cut(self) -> None:
        """End the connection without a word."""
        assert self.writer is not None
        self.writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        parser = simplefix.FixParser()
        while data := await reader.read(65_536):
            parser.append_buffer(data)
            while (message := parser.get_message()) is not None:
                self.heard.append(message)
                self._answer(message)

    def _answer(self, message: simplefix.FixMessage) -> None:
        kind = message.get(35)
        if kind == b"A":
            self.logons += 1
            if self.refuse is not None:
                self.send(self.build("5", (58, self.refuse)))
                return
            reset = ((141, "Y"),) if message.get(141) == b"Y" else ()
            if reset:
                self.number = 0
                self.sent.clear()
            self.send(self.build("A", (98, 0), (108, message.get(108).decode()), *reset))
        elif kind == b"1":
            self.send(self.build("0", (112, message.get(112).decode())))
        elif kind == b"2":
            self._resend(int(message.get(7)), int(message.get(16)))
        elif kind == b"x" and self.lists == b"no":
            self.send(self.build("j", (45, 2), (372, "x"), (380, 3), (58, "no lists here")))
        elif kind == b"x":
            self.send(
                self.build("y", (320, "1"), (322, "1"), (560, 0), (146, len(self.symbols)), *self._listed())
            )
        elif kind == b"V":
            self.subscribed.set()
            if self.on_subscribed is not None:
                self.on_subscribed, call = None, self.on_subscribed
                call()

    def _listed(self) -> list[tuple[int, object]]:
        pairs: list[tuple[int, object]] = []
        for name, wire in self.symbols:
            pairs += [(55, wire), (107, f"{name} spot"), (969, "0.00001"), (1007, name), (1008, 5)]
        return pairs

    def _resend(self, first: int, last: int) -> None:
        last = last or self.number
        for number in range(first, last + 1):
            if self.resends and number in self.sent:
                parser = simplefix.FixParser()
                parser.append_buffer(self.sent[number])
                body = [(int(tag), value.decode()) for tag, value in parser.get_message().pairs
                        if int(tag) not in (8, 9, 10, 34, 35, 43, 49, 52, 56, 122)]  # fmt: skip
                kind = parser_type(self.sent[number])
                original = self.sent[number]
                self.send(self.build(kind, *body, number=number, repeat=True))
                self.sent[number] = original
            else:
                self.send(self.build("4", (123, "Y"), (36, number + 1), number=number, repeat=True))


def parser_type(data: bytes) -> str:
    """The type of a message."""
    return data.partition(b"\x0135=")[2].partition(b"\x01")[0].decode()


@asynccontextmanager
async def accepting(**options: object) -> AsyncIterator[Acceptor]:
    """Run an acceptor until the block ends."""
    acceptor = Acceptor(**options)  # type: ignore[arg-type]
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await acceptor._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    acceptor.port = server.sockets[0].getsockname()[1]
    try:
        yield acceptor
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
