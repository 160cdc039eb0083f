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
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from hypertape.errors import BadInput, DatabaseUnreachable, HypertapeError, TransientError
from hypertape.stream.metrics import WriterMetrics, metrics_of
from hypertape.stream.row_queue import Part, QueueClosed, RowQueue, Ticket
from hypertape.stream.spool import Spool
from hypertape.stream.spool_drain import LONGEST_PAUSE, SpoolDrain
from hypertape.stream.table import Table, store_or_bury

T = TypeVar("T")

_log = logging.getLogger(__name__)


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
        self._on_stored = on_stored
        self._metrics = metrics or metrics_of()
        self._threads = ThreadPoolExecutor(self._options.lanes + 1, f"{name}-writer")
        depth = self._metrics.queue_depth.labels(name)
        self._queue: RowQueue[T] = RowQueue(
            self._options.batch_size, self._options.queue_size, self._options.interval, depth.set
        )
        self._in_flight = 0
        self._accepted = self._buried = self._refused = 0
        self._spool = None if spool is None else self._drain_of(spool)
        self._away: str | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._runner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; what an earlier process left in the spool is stored first."""
        self._free = asyncio.Semaphore(self._options.lanes)  # batches being accepted
        self._lanes = asyncio.Semaphore(self._options.lanes)  # batches in the database, slow ones too
        self._runner = asyncio.create_task(self._run(), name=f"{self.name}-writer")
        if self._spool is not None:
            self._spool.start()

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
        spool = self._spool.spool if self._spool is not None else None
        records, size = (0, 0) if spool is None else (spool.records, spool.size)
        return WriterStatus(
            self._queue.rows,
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
        ticket = Ticket(len(rows))
        try:
            await self._queue.put(rows, ticket)
        except QueueClosed:
            raise BadInput(f"The writer of {self.name} is closed", next_step="Open another one.") from None
        return ticket.future

    async def write(self, rows: Sequence[T]) -> None:
        """Return when the rows are accepted: they do not wait for others to fill a batch."""
        future = await self.submit(rows)
        self._queue.hurry()
        await future

    async def flush(self) -> None:
        """Return when everything submitted so far is accepted or refused."""
        while self._queue.rows or self._in_flight:
            self._queue.hurry()
            await asyncio.sleep(0.002)

    async def drained(self) -> None:
        """Return when everything accepted so far is in the database."""
        while self._queue.rows or self._in_flight or (self._spool and self._spool.active):
            await asyncio.sleep(0.01)

    async def close(self, drain_seconds: float = 5.0) -> None:
        """Accept what is queued, give the spool some time to empty, and let go of everything. What stays is stored
        next time."""
        self._queue.close()
        if self._runner is not None:
            await self._runner
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._spool is not None:
            await self._spool.stop(0.0 if self._away else drain_seconds)
        await asyncio.to_thread(self._threads.shutdown)
        for table in self._tables:
            table.close()
        if self._spool is not None:
            self._spool.spool.close()

    def _drain_of(self, spool: Spool) -> SpoolDrain[T]:
        return SpoolDrain(
            self.name,
            spool,
            self._tables[0],
            store=self._store,
            in_thread=self._in_thread,
            pause=self._options.retry_delay,
            metrics=self._metrics,
        )

    async def _run(self) -> None:
        while await self._queue.is_due():
            await self._free.acquire()
            parts = self._queue.take()
            self._in_flight += sum(len(rows) for rows, _ in parts)
            self._look_after(self._accept(parts))
            await self._queue.tell_room()

    def _look_after(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let it run; `close` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- one batch

    async def _accept(self, parts: list[Part[T]]) -> None:
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
        if self._spool is not None and self._spool.active:
            return await self._spool.append(rows)
        storing = asyncio.ensure_future(self._store_with_tries(rows))
        if self._spool is not None:
            await asyncio.wait({storing}, timeout=self._options.slow_after)
            if not storing.done():
                self._leave_alone(storing)
                return await self._spool.append(rows)  # stored twice is stored once
        try:
            await storing
        except HypertapeError:
            if self._spool is None:
                raise
            await self._spool.append(rows)
        return None

    def _leave_alone(self, slow: asyncio.Future[None]) -> None:
        """Let a slow try end by itself; nobody depends on it."""
        self._look_after(asyncio.wait({slow}))
        slow.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _store_with_tries(self, rows: list[T]) -> None:
        pause, tried = self._options.retry_delay, 0
        while True:
            try:
                return await self._store(rows)
            except HypertapeError as error:
                tried += 1
                if self._spool is None:  # nowhere else to put it: wait, and let the queue fill
                    if self._queue.closed:
                        raise
                elif (
                    self._spool.active
                    or tried >= self._options.tries
                    or not isinstance(error, TransientError)
                ):
                    raise  # once others go to the spool this batch joins them
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

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
            buried = await self._in_thread(store_or_bury, table, rows)
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
