"""One writer for ticks and bars: a bounded queue, batches by size or age, retries, and a spool for when the database
is away.

A row is **accepted** when it is durable: committed in the database, or on the disk in the spool. Only then does the
future that `submit` returned resolve (`write` waits for it). What was accepted survives the death of this process,
of the server, or of both; what was not is the caller's to send again, and sending twice stores once.

Batches go straight to the database as long as it takes them. One that fails three times, or takes too long, goes to
the spool, and from then on all go there, so that their order holds, until the spool has been stored and is empty.
Nothing is dropped: a full queue makes `submit` wait, a full spool makes it fail with SpoolFull.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import psycopg

from hypertape.errors import BadInput, DatabaseUnreachable, HypertapeError, TransientError
from hypertape.stream.metrics import WriterMetrics, metrics_of
from hypertape.stream.spool import Spool

T = TypeVar("T")

_LONGEST_PAUSE = 5.0
"""Seconds between two tries of a database that stays away."""

_log = logging.getLogger(__name__)


class PoisonedRow(Exception):
    """A batch holds a row that no retry will get in. The writer halves the batch until it has that row."""


class Table(Protocol[T]):
    """Where a writer's batches go. Its methods block and run in the writer's threads, one at a time per table."""

    def store(self, rows: Sequence[T]) -> None:
        """Write all rows in one transaction; a row that is there already changes nothing.

        Raises PoisonedRow where a row itself is at fault, else what `translate_errors` raises.
        """
        ...

    def bury(self, row: T, error: str) -> None:
        """Keep a row that cannot be stored in `dead_letter`."""
        ...

    def encode(self, rows: Sequence[T]) -> bytes:
        """The rows as a record of the spool."""
        ...

    def decode(self, record: bytes) -> list[T]:
        """What `encode` was given."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """How a writer works; times in seconds. `lanes` are batches under way at once: more than one keeps no order."""

    batch_size: int = 1000
    interval: float = 0.1
    queue_size: int = 10_000
    tries: int = 3
    retry_delay: float = 0.1
    slow_after: float = 10.0
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """What a writer does now, in rows unless said. `away` is why the database did not take the last batch."""

    queued: int
    in_flight: int
    accepted: int
    buried: int
    refused: int
    spool_records: int
    spool_bytes: int
    away: str | None


class _Ticket:
    """What one call of `submit` waits for."""

    def __init__(self, rows: int) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = rows

    def accepted(self, rows: int) -> None:
        self._missing -= rows
        if self._missing == 0 and not self.future.done():
            self.future.set_result(None)

    def refused(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # a caller that does not look is no unhandled error


_Part = tuple[list[Any], _Ticket]


class BatchWriter(Generic[T]):
    """Writes rows to tables made by `open_table` (one per lane). Use it as an async context manager, or `start` and
    `close`.

    `on_stored` is called in the event loop with the rows of each batch that the database has committed.
    """

    def __init__(
        self,
        name: str,
        open_table: Callable[[], Table[T]],
        options: WriterOptions | None = None,
        *,
        spool: Spool | None = None,
        on_stored: Callable[[Sequence[T]], None] | None = None,
        metrics: WriterMetrics | None = None,
    ) -> None:
        self.name = name
        self._options = options or WriterOptions()
        self._tables = [open_table() for _ in range(self._options.lanes)]
        self._codec = self._tables[0]
        self._spool = spool
        self._on_stored = on_stored
        self._metrics = metrics or metrics_of()
        self._threads = ThreadPoolExecutor(self._options.lanes + 1, f"{name}-writer")
        self._queue: deque[_Part] = deque()
        self._queued = self._in_flight = self._appending = 0
        self._accepted = self._buried = self._refused = 0
        self._first_at = 0.0
        self._hurry = self._closing = False
        self._spooling = spool is not None and spool.records > 0
        self._away: str | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._drainer: asyncio.Task[None] | None = None
        self._runner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; what an earlier process left in the spool is stored first."""
        self._changed = asyncio.Event()
        self._room = asyncio.Condition()
        self._turn = asyncio.Lock()
        self._free = asyncio.Semaphore(self._options.lanes)  # batches being accepted
        self._lanes = asyncio.Semaphore(self._options.lanes)  # batches in the database, slow ones too
        self._runner = asyncio.create_task(self._run(), name=f"{self.name}-writer")
        if self._spooling:
            self._wake_drainer()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def status(self) -> WriterStatus:
        """What it does now."""
        records, size = (self._spool.records, self._spool.size) if self._spool else (0, 0)
        return WriterStatus(
            self._queued,
            self._in_flight,
            self._accepted,
            self._buried,
            self._refused,
            records,
            size,
            self._away,
        )

    async def submit(self, rows: Sequence[T]) -> asyncio.Future[None]:
        """Queue rows, waiting for room; return the future that resolves when all of them are accepted.

        It fails with SpoolFull (or, without a spool and closed, with what keeps the database away); some of the rows
        may be stored then, and all may be sent again.
        """
        ticket = _Ticket(len(rows))
        if not rows:
            ticket.future.set_result(None)
        step = min(self._options.queue_size, self._options.batch_size)
        async with self._turn:
            for start in range(0, len(rows), step):
                await self._enqueue(list(rows[start : start + step]), ticket)
        return ticket.future

    async def write(self, rows: Sequence[T]) -> None:
        """Return when the rows are accepted: they do not wait for others to fill a batch."""
        future = await self.submit(rows)
        self._hurry = True
        self._changed.set()
        await future

    async def flush(self) -> None:
        """Return when everything submitted so far is accepted or refused."""
        while self._queued or self._in_flight:
            self._hurry = True
            self._changed.set()
            await asyncio.sleep(0.002)

    async def drained(self) -> None:
        """Return when everything accepted so far is in the database."""
        while self._queued or self._in_flight or self._spooling:
            await asyncio.sleep(0.01)

    async def close(self, drain_seconds: float = 5.0) -> None:
        """Accept what is queued, give the spool some time to empty, and let go of everything. What stays is stored
        next time."""
        self._closing = True
        self._changed.set()
        if self._runner is not None:
            await self._runner
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._drainer is not None and not self._drainer.done():
            await asyncio.wait({self._drainer}, timeout=0.0 if self._away else drain_seconds)
            self._drainer.cancel()
            with suppress(asyncio.CancelledError):
                await self._drainer
        await asyncio.to_thread(self._threads.shutdown)
        for table in self._tables:
            table.close()
        if self._spool is not None:
            self._spool.close()

    # --- the queue

    async def _enqueue(self, part: list[T], ticket: _Ticket) -> None:
        async with self._room:
            await self._room.wait_for(lambda: self._queued + len(part) <= self._options.queue_size)
        if self._closing:
            raise BadInput(f"The writer of {self.name} is closed", next_step="Open another one.")
        if not self._queue:
            self._first_at = time.monotonic()
        self._queue.append((part, ticket))
        self._count_queued(len(part))
        self._changed.set()

    def _count_queued(self, rows: int) -> None:
        self._queued += rows
        self._metrics.queue_depth.labels(self.name).set(self._queued)

    async def _run(self) -> None:
        while await self._batch_is_due():
            await self._free.acquire()
            parts = self._take()
            task = asyncio.create_task(self._accept(parts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            async with self._room:
                self._room.notify_all()

    async def _batch_is_due(self) -> bool:
        """Wait for a batch; False when the writer is closed and its queue is empty."""
        while True:
            self._changed.clear()
            if self._queued >= self._options.batch_size or (self._queued and (self._hurry or self._closing)):
                return True
            if self._closing:
                return False
            left = self._first_at + self._options.interval - time.monotonic() if self._queued else None
            if left is not None and left <= 0:
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    def _take(self) -> list[_Part]:
        parts: list[_Part] = []
        room = self._options.batch_size
        while self._queue and len(self._queue[0][0]) <= room:
            parts.append(self._queue.popleft())
            room -= len(parts[-1][0])
        if not parts or (room and self._queue):
            rows, ticket = self._queue.popleft()
            parts.append((rows[:room], ticket))
            self._queue.appendleft((rows[room:], ticket))
        taken = sum(len(rows) for rows, _ in parts)
        self._in_flight += taken
        self._count_queued(-taken)
        self._first_at = time.monotonic()
        self._hurry = self._hurry and bool(self._queue)
        return parts

    # --- one batch

    async def _accept(self, parts: list[_Part]) -> None:
        rows: list[T] = parts[0][0] if len(parts) == 1 else [row for part, _ in parts for row in part]
        self._metrics.batch_size.labels(self.name).observe(len(rows))
        try:
            await self._keep(rows)
        except Exception as error:
            self._refused += len(rows)
            self._metrics.writes.labels(self.name, "failed").inc()
            for _, ticket in parts:
                ticket.refused(error)
        else:
            self._accepted += len(rows)
            self._metrics.accepted.labels(self.name).inc(len(rows))
            for part, ticket in parts:
                ticket.accepted(len(part))
        finally:
            self._in_flight -= len(rows)
            self._free.release()

    async def _keep(self, rows: list[T]) -> None:
        """Store a batch, or spool it. Raises what keeps it from both."""
        if self._spooling:
            return await self._to_spool(rows)
        storing = asyncio.ensure_future(self._store_with_tries(rows))
        if self._spool is not None:
            await asyncio.wait({storing}, timeout=self._options.slow_after)
            if not storing.done():
                self._leave_alone(storing)
                return await self._to_spool(rows)  # stored twice is stored once
        try:
            await storing
        except HypertapeError:
            if self._spool is None:
                raise
            await self._to_spool(rows)
        return None

    def _leave_alone(self, slow: asyncio.Future[None]) -> None:
        """Let a slow try end by itself; nobody depends on it."""
        task = asyncio.ensure_future(asyncio.wait({slow}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        slow.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _store_with_tries(self, rows: list[T]) -> None:
        pause, tried = self._options.retry_delay, 0
        while True:
            try:
                return await self._store(rows)
            except HypertapeError as error:
                tried += 1
                if self._spool is None:  # nowhere else to put it: wait, and let the queue fill
                    if self._closing:
                        raise
                elif self._spooling or tried >= self._options.tries or not isinstance(error, TransientError):
                    raise  # once others go to the spool this batch joins them
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _store(self, rows: list[T]) -> None:
        async with self._lanes:
            await self._store_in_lane(rows)
        if self._on_stored is not None:
            try:
                self._on_stored(rows)
            except Exception:  # the rows are stored whatever their listener makes of it
                _log.exception("%s: who listens to stored rows failed", self.name)

    async def _store_in_lane(self, rows: list[T]) -> None:
        started = time.perf_counter()
        table = self._tables.pop()
        try:
            buried = await self._in_thread(_store_or_bury, table, rows)
        except Exception as error:
            known = error if isinstance(error, HypertapeError) else DatabaseUnreachable(str(error))
            self._away = str(known)
            self._metrics.errors.labels(self.name, type(error).__name__).inc()
            _log.warning("%s: %d rows wait: %s", self.name, len(rows), known)
            raise known from error
        finally:
            self._tables.append(table)
        self._away = None
        self._buried += buried
        self._metrics.writes.labels(self.name, "success").inc()
        self._metrics.latency.labels(self.name).observe(time.perf_counter() - started)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    # --- the spool

    async def _to_spool(self, rows: list[T]) -> None:
        assert self._spool is not None
        self._spooling = True
        self._appending += 1
        try:
            await self._in_thread(self._spool.append, self._codec.encode(rows))
        finally:
            self._appending -= 1
            self._wake_drainer()
        self._metrics.writes.labels(self.name, "spooled").inc()
        self._metrics.spool_bytes.labels(self.name).set(self._spool.size)

    def _wake_drainer(self) -> None:
        if self._drainer is None or self._drainer.done():
            self._drainer = asyncio.create_task(self._drain(), name=f"{self.name}-spool")

    async def _drain(self) -> None:
        """Store what the spool holds, oldest first, and go back to the direct way when it is empty."""
        assert self._spool is not None
        pause = self._options.retry_delay
        while self._spool.records or self._appending:
            record = await self._in_thread(self._spool.head)
            if record is None:
                await asyncio.sleep(0.001)
                continue
            try:
                rows = self._codec.decode(record)
            except Exception as error:
                _log.error("%s: a record of the spool cannot be read: %s", self.name, error)
                await self._in_thread(self._spool.set_aside)
                continue
            try:
                await self._store(rows)
            except HypertapeError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = self._options.retry_delay
            await self._in_thread(self._spool.advance)
            self._metrics.spool_bytes.labels(self.name).set(self._spool.size)
        self._spooling = False


def _store_or_bury(table: Table[T], rows: Sequence[T]) -> int:
    """Store rows; return how many were buried. Halves until a poisoned row stands alone.

    What is no failure of the database lies with a row: trying it again for ever would hold up all others.
    """
    try:
        table.store(rows)
    except (HypertapeError, psycopg.Error, OSError):
        raise
    except Exception as poison:
        if len(rows) == 1:
            table.bury(rows[0], str(poison) or type(poison).__name__)
            return 1
        middle = len(rows) // 2
        return _store_or_bury(table, rows[:middle]) + _store_or_bury(table, rows[middle:])
    return 0
