"""The sink that stores what feeds deliver: ticks by one writer, everything else by another, each with its spool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from hypertape.stream.event_table import EventTable, Notice
from hypertape.stream.model import Tick
from hypertape.stream.spool import Spool
from hypertape.stream.symbols import SymbolIds
from hypertape.stream.tick_table import TickTable
from hypertape.stream.writer import BatchWriter, WriterOptions, WriterStatus

_NOTICE_SHARE = 16
"""The part of the spool's room that refused records, gaps and symbols have for themselves."""


class DatabaseSink:
    """Stores ticks and notices. Use it as an async context manager, or `start` and `close`.

    `now` is the clock in µs since 1970. `on_stored` is called with ticks that the database has committed, in the
    event loop.
    """

    name = "database"

    def __init__(
        self,
        dsn: str,
        spool_directory: Path,
        options: WriterOptions | None = None,
        *,
        spool_bytes: int = 1 << 30,
        keep_days: int = 90,
        now: Callable[[], int] = lambda: time.time_ns() // 1000,
        on_stored: Callable[[Sequence[Tick]], None] | None = None,
    ) -> None:
        ids = SymbolIds()
        self.ticks: BatchWriter[Tick] = BatchWriter(
            "ticks",
            lambda: TickTable(dsn, ids, keep_days=keep_days, now=now),
            options or WriterOptions(lanes=2),
            spool=Spool(spool_directory / "ticks", most_bytes=spool_bytes),
            on_stored=on_stored,
        )
        self.notices: BatchWriter[Notice] = BatchWriter(
            "notices",
            lambda: EventTable(dsn, now=now),
            spool=Spool(spool_directory / "notices", most_bytes=max(spool_bytes // _NOTICE_SHARE, 1 << 20)),
        )

    async def start(self) -> None:
        """Begin; what an earlier process left in the spools is stored first."""
        await self.ticks.start()
        await self.notices.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def publish(self, ticks: list[Tick]) -> None:
        """Return when the ticks are accepted: committed, or on the disk. Raises SpoolFull where neither can be."""
        await self.ticks.write(ticks)

    async def record(self, notices: Sequence[Notice]) -> None:
        """Accept refused records, gaps and symbols in the same sense."""
        await self.notices.write(notices)

    @property
    def status(self) -> WriterStatus:
        """What the writer of ticks does now."""
        return self.ticks.status

    async def close(self) -> None:
        """Accept what is queued and let go."""
        await self.ticks.close()
        await self.notices.close()
