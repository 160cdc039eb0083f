"""Reading series from a store while what was read before is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from hypertape.errors import HypertapeError
from hypertape.model import Series
from hypertape.stores import BATCH_ROWS, Block, Store
from hypertape.stores.series_stats import NOTHING, GatedSeries, SeriesStats


@dataclass(frozen=True, slots=True)
class SeriesRead:
    """A series that was read whole and gated, or the error of reading it."""

    series: Series
    stats: SeriesStats = NOTHING
    blocks: tuple[Block, ...] = ()
    error: HypertapeError | None = None


class ReadAhead(AbstractContextManager["ReadAhead"]):
    """One thread that reads while another one writes.

    All reading of a process is this thread's, one thing after the other (`_sqlite_read` says why).
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "reader")

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def whole(
        self,
        source: Store,
        wanted: Sequence[Series],
        *,
        start: datetime | None,
        now: datetime,
        rows: int = BATCH_ROWS,
    ) -> Future[list[SeriesRead]]:
        """Begin to read some series whole."""
        return self._thread.submit(read_whole, source, wanted, start=start, now=now, rows=rows)

    def blocks(self, found: Iterator[Block]) -> Iterator[Block]:
        """Yield blocks; while one is worked on the next one is fetched."""
        ahead = self._thread.submit(next, found, None)
        while (block := ahead.result()) is not None:
            ahead = self._thread.submit(next, found, None)
            yield block


def read_whole(
    source: Store, wanted: Sequence[Series], *, start: datetime | None, now: datetime, rows: int = BATCH_ROWS
) -> list[SeriesRead]:
    """Read series whole and gate them; one that cannot be read carries its error."""
    return [_read_whole(source, series, start, now, rows) for series in wanted]


def _read_whole(
    source: Store, series: Series, start: datetime | None, now: datetime, rows: int
) -> SeriesRead:
    gated = GatedSeries(series, now)
    try:
        blocks = tuple(gated.blocks(source.read(series, start=start, rows=rows)))
    except HypertapeError as error:
        return SeriesRead(series, error=error)
    return SeriesRead(series, gated.stats(), blocks)


def finished(ahead: Future[list[SeriesRead]] | None) -> None:
    """Wait until nothing is read ahead any more."""
    if ahead is not None:
        wait([ahead])
