"""The way of a writer's batches while the database is away: to the spool, and from it to the database, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from hypertape.errors import HypertapeError
from hypertape.stream.metrics import WriterMetrics
from hypertape.stream.spool import Spool
from hypertape.stream.table import Table

T = TypeVar("T")

LONGEST_PAUSE = 5.0
"""Seconds between two tries of a database that stays away."""

_log = logging.getLogger(__name__)


class SpoolDrain(Generic[T]):
    """A spool and the task that empties it. `active`: batches go this way, until the spool has been stored.

    `store` stores a batch or raises one of our errors; `in_thread` runs what blocks; `pause` is the first one, in
    seconds, after a failure.
    """

    def __init__(
        self,
        name: str,
        spool: Spool,
        codec: Table[T],
        *,
        store: Callable[[list[T]], Awaitable[None]],
        in_thread: Callable[..., Awaitable[Any]],
        pause: float,
        metrics: WriterMetrics,
    ) -> None:
        self.spool = spool
        self.active = spool.records > 0
        self._name, self._codec, self._pause, self._metrics = name, codec, pause, metrics
        self._store, self._in_thread = store, in_thread
        self._appending = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._tell_size()
        if self.active:
            self._wake()

    async def append(self, rows: list[T]) -> None:
        """Keep a batch on the disk. Raises SpoolFull."""
        self.active = True
        self._appending += 1
        try:
            await self._in_thread(self.spool.append, self._codec.encode(rows))
        finally:
            self._appending -= 1
            self._wake()
        self._metrics.writes.labels(self._name, "spooled").inc()
        self._tell_size()

    async def stop(self, seconds: float) -> None:
        """Give it some time to become empty."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=seconds)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(), name=f"{self._name}-spool")

    async def _drain(self) -> None:
        """Store what the spool holds, oldest first, and go back to the direct way when it is empty."""
        pause = self._pause
        while self.spool.records or self._appending:
            record = await self._in_thread(self.spool.head)
            if record is None:
                await asyncio.sleep(0.001)
                continue
            try:
                rows = self._codec.decode(record)
            except Exception as error:
                _log.error("%s: a record of the spool cannot be read: %s", self._name, error)
                await self._in_thread(self.spool.set_aside)
                continue
            try:
                await self._store(rows)
            except HypertapeError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = self._pause
            await self._in_thread(self.spool.advance)
            self._tell_size()
        self.active = False

    def _tell_size(self) -> None:
        self._metrics.spool_bytes.labels(self._name).set(self.spool.size)
