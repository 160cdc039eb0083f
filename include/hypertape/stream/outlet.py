"""A queue before a sink that may have to wait: it holds up nobody, and says what it could not pass on."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from hypertape.errors import HypertapeError
from hypertape.stream.model import Sink, Tick

MOST_WAITING = 100_000
"""Ticks that wait for a sink which is away; of later ones the oldest batches give way."""

MOST_AT_ONCE = 5_000

log = logging.getLogger("hypertape.stream")


class Outlet:
    """Passes ticks on to one sink, in order, from a queue of its own. Use `start`, `offer`, `close`."""

    def __init__(self, sink: Sink, *, most_waiting: int = MOST_WAITING) -> None:
        self.name, self._sink, self._most = sink.name, sink, most_waiting
        self._queue: deque[list[Tick]] = deque()
        self.waiting = self.passed = self.dropped = 0
        self.error: str | None = None
        """Why the sink takes nothing any more, or None."""
        self._changed = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to pass on."""
        self._task = asyncio.create_task(self._run(), name=f"outlet {self.name}")

    def offer(self, ticks: list[Tick]) -> None:
        """Take ticks; never waits."""
        if self.error is not None:
            self.dropped += len(ticks)
            return
        self._queue.append(ticks)
        self.waiting += len(ticks)
        while self.waiting > self._most and len(self._queue) > 1:
            lost = self._queue.popleft()
            if not self.dropped:
                log.warning("%s does not keep up: the oldest ticks that wait for it are left out", self.name)
            self.waiting -= len(lost)
            self.dropped += len(lost)
        self._changed.set()

    async def close(self, seconds: float = 5.0) -> None:
        """Pass on what waits, for so long at most, and close the sink."""
        self._closing = True
        self._changed.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
        await self._sink.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.dropped += self.waiting
        if self.waiting:
            log.warning("%s was away: %d ticks did not reach it", self.name, self.waiting)

    async def _run(self) -> None:
        while self._queue or not self._closing:
            self._changed.clear()
            if not self._queue:
                await self._changed.wait()
                continue
            ticks = self._queue.popleft()
            while self._queue and len(ticks) + len(self._queue[0]) <= MOST_AT_ONCE:
                ticks = ticks + self._queue.popleft()
            try:
                await self._sink.publish(ticks)
            except HypertapeError as error:
                self.error = str(error)
                log.error("%s: %s", self.name, error)
                return
            self.waiting -= len(ticks)
            self.passed += len(ticks)
