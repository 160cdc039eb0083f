"""A line to the server that counts round trips, and that can answer as a pooler does: of a process not the server's."""

from __future__ import annotations

import selectors
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread

from psycopg import conninfo

_KEY_DATA = ord("K")


@dataclass
class Wire:
    """`turns`: how often a client spoke after it had been answered, over all connections."""

    dsn: str
    pooled: bool
    target: tuple[str, int]
    turns: int = 0

    def accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener was shut
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self.target)
                Thread(target=self.carry, args=(near, far), daemon=True).start()

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """Both directions of one connection in one thread, so that their order can be counted."""
        answered = True
        greeting = b"" if self.pooled else None
        with suppress(OSError), near, far, selectors.DefaultSelector() as ready:
            ready.register(near, selectors.EVENT_READ)
            ready.register(far, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65_536)
                    if not data:
                        return
                    if key.fileobj is near:
                        self.turns += answered
                        answered = False
                        far.sendall(data)
                        continue
                    answered = True
                    if greeting is not None:
                        greeting, data = _greet(greeting + data)
                    near.sendall(data)


def _greet(held: bytes) -> tuple[bytes | None, bytes]:
    """What is kept for later, None once the process was told of, and what may go to the client.

    A message of the server is a letter and its length, the letter not counted.
    """
    at = 0
    while len(held) >= at + 5:
        (length,) = struct.unpack_from("!i", held, at + 1)
        if len(held) < at + 1 + length:
            break
        if held[at] == _KEY_DATA:
            (pid,) = struct.unpack_from("!i", held, at + 5)
            return None, held[: at + 5] + struct.pack("!i", pid + 1_000_000) + held[at + 9 :]
        at += 1 + length
    return held[at:], held[:at]


@contextmanager
def wire(dsn: str, *, pooled: bool = False) -> Iterator[Wire]:
    """A line to the server of `dsn` at an address of its own, for as long as the block lasts."""
    given = conninfo.conninfo_to_dict(dsn)
    listener = socket.create_server(("127.0.0.1", 0))
    address = {"host": "127.0.0.1", "port": listener.getsockname()[1]}
    plain = {"sslmode": "disable", "gssencmode": "disable"}  # the line reads along
    line = Wire(
        conninfo.make_conninfo(dsn, **address, **plain),
        pooled,
        (str(given["host"]), int(given["port"] or 5432)),
    )
    Thread(target=line.accept, args=(listener,), daemon=True).start()
    try:
        yield line
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
