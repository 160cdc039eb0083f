"""The bounded queue in front of a writer: rows as they are submitted, taken out in batches by size or age."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueClosed(Exception):
    """Rows were put into a queue that takes none any more."""


class Ticket:
    """What one submission waits for: `future` resolves when all its rows are accepted, or fails."""

    def __init__(self, rows: int) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = rows
        self.accepted(0)

    def accepted(self, rows: int) -> None:
        """Count some of its rows as accepted."""
        self._missing -= rows
        if self._missing == 0 and not self.future.done():
            self.future.set_result(None)

    def refused(self, error: BaseException) -> None:
        """Fail it: some of its rows could not be kept."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # a caller that does not look is no unhandled error


Part = tuple[list[T], Ticket]
"""Rows of one submission."""


class RowQueue(Generic[T]):
    """Rows that wait for their batch, in order; one reader takes the batches.

    A batch is due at `batch_size` rows, or when its first row has waited for `interval` seconds, or at once in a hurry.
    `on_count` is told how many rows wait, whenever that changes.
    """

    def __init__(
        self, batch_size: int, queue_size: int, interval: float, on_count: Callable[[int], object]
    ) -> None:
        self._batch_size, self._size, self._interval = batch_size, queue_size, interval
        self._on_count = on_count
        self._parts: deque[Part[T]] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Condition()
        self._turn = asyncio.Lock()
        self._first_at = 0.0
        self._hurried = False
        self.closed = False
        self.rows = 0
        """How many wait."""

    async def put(self, rows: Sequence[T], ticket: Ticket) -> None:
        """Queue the rows of a submission, waiting for room. Raises QueueClosed."""
        step = min(self._size, self._batch_size)
        async with self._turn:
            for start in range(0, len(rows), step):
                await self._put_part(list(rows[start : start + step]), ticket)

    async def is_due(self) -> bool:
        """Wait for a batch; False when the queue is closed and empty."""
        while True:
            self._changed.clear()
            if self.rows >= self._batch_size or (self.rows and (self._hurried or self.closed)):
                return True
            if self.closed:
                return False
            left = self._first_at + self._interval - time.monotonic() if self.rows else None
            if left is not None and left <= 0:
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    def take(self) -> list[Part[T]]:
        """The next batch; then `tell_room`."""
        parts: list[Part[T]] = []
        room = self._batch_size
        while self._parts and len(self._parts[0][0]) <= room:
            parts.append(self._parts.popleft())
            room -= len(parts[-1][0])
        if not parts or (room and self._parts):
            rows, ticket = self._parts.popleft()
            parts.append((rows[:room], ticket))
            self._parts.appendleft((rows[room:], ticket))
        self._count(-sum(len(rows) for rows, _ in parts))
        self._first_at = time.monotonic()
        self._hurried = self._hurried and bool(self._parts)
        return parts

    def hurry(self) -> None:
        """Let what waits be due at once."""
        self._hurried = True
        self._changed.set()

    def close(self) -> None:
        """Take nothing more; what waits is due."""
        self.closed = True
        self._changed.set()

    async def tell_room(self) -> None:
        """Wake who waits for room."""
        async with self._room:
            self._room.notify_all()

    async def _put_part(self, part: list[T], ticket: Ticket) -> None:
        async with self._room:
            await self._room.wait_for(lambda: self.rows + len(part) <= self._size)
        if self.closed:
            raise QueueClosed
        if not self._parts:
            self._first_at = time.monotonic()
        self._parts.append((part, ticket))
        self._count(len(part))
        self._changed.set()

    def _count(self, rows: int) -> None:
        self.rows += rows
        self._on_count(self.rows)
