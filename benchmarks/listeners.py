"""Clients of the stream's WebSocket in a process of their own: `python -m benchmarks.listeners PORT CLIENTS TICKS`.

Prints `ready` when all are connected, then a line each time that every client has got another TICKS ticks, until its
stdin ends.
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.client import ClientConnection, connect


async def listen(port: int, clients: int, ticks: int) -> None:
    """Connect, count, tell."""
    address = f"ws://127.0.0.1:{port}/ws?topics=ticker:*"
    connections = await asyncio.gather(
        *(connect(address, max_size=None, compression=None, ping_interval=None) for _ in range(clients))
    )
    await asyncio.gather(*(connection.recv() for connection in connections))
    print("ready", flush=True)
    while True:
        await asyncio.gather(*(_count(connection, ticks) for connection in connections))
        print(ticks, flush=True)


async def _count(connection: ClientConnection, ticks: int) -> None:
    got = 0
    while got < ticks:
        got += (await connection.recv(decode=False)).count(b'"sequence"')


if __name__ == "__main__":
    asyncio.run(listen(*(int(word) for word in sys.argv[1:])))
