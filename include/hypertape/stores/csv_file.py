"""One bar file, read in time order with unique keys and bounded memory, whatever order its rows are in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hypertape.errors import BadInput, HypertapeError
from hypertape.files import open_regular
from hypertape.frame import TIME_TYPE, Micros, empty_frame, empty_rejects, instant, normalise, times_of
from hypertape.model import Interval, Market, Series
from hypertape.sources import FILE_BYTES
from hypertape.sources._csv_file import ParsedFile, parse_stream
from hypertape.sources.csv_tree import scaled
from hypertape.stores import Block, require_all_rows

AT_ONCE = 16 * 2**20
"""Bytes of a file parsed at a time."""

SORTED_AT_ONCE = 250_000
"""Rows of a file in disorder that are held and sorted at a time: it is read once for every so many."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """The file of one series. `scale` multiplies its prices (1: they are in the market's unit).

    It is a regular file inside the tree `root` (its own directory without one) of `most_bytes` at most.
    """

    path: Path
    series: Series
    market: Market
    scale: float = 1.0
    root: Path | None = None
    most_bytes: int = FILE_BYTES

    def blocks(self, *, start: datetime | None, rows: int) -> Iterator[Block]:
        """Yield bars from `start` on in blocks of at most `rows`, and the rows that cannot be read with the first.

        Of rows with the same time the last one of the file stays; how many gave way is counted in the blocks.
        """
        for part in self._parts():
            require_all_rows(self.path, part.rows_in, len(part.bars) + len(part.rejects))
            asked = _since(part.bars, start)
            kept, dropped = normalise(asked)
            require_all_rows(self.path, len(asked), len(kept) + dropped)
            rejects = _since(part.rejects, start)
            for at in range(0, max(len(kept), min(len(rejects), 1)), rows):
                yield Block(
                    kept.slice(at, rows), rejects if at == 0 else empty_rejects(), 0 if at else dropped
                )

    def _parts(self) -> Iterator[ParsedFile]:
        """Parts of the file whose times do not overlap, in their order."""
        with self._opened() as file:
            size = os.fstat(file.fileno()).st_size
        if size <= AT_ONCE:
            yield from self._parsed()
            return
        times = np.concatenate([times_of(part.bars) for part in self._parsed()])
        if bool((times[1:] > times[:-1]).all()):
            yield from self._parsed()
        else:
            yield from self._in_ranges(np.sort(times))

    def _in_ranges(self, ordered: Micros) -> Iterator[ParsedFile]:
        """Read the file once for each range of times that fits into memory."""
        edges = np.unique(ordered[::SORTED_AT_ONCE])
        for low, high in zip(edges, [*edges[1:], None], strict=True):
            first = low == edges[0]
            bars, rejects = [empty_frame()], [empty_rejects()]
            rows = 0
            for part in self._parsed():
                bars.append(_between(part.bars, int(low), None if high is None else int(high)))
                rejects += [part.rejects] if first else []
                rows += len(bars[-1]) + (len(part.rejects) if first else 0)
            yield ParsedFile(pa.concat_tables(bars), pa.concat_tables(rejects), rows)

    def _parsed(self) -> Iterator[ParsedFile]:
        """The file as it stands, piece by piece, prices in the market's unit."""
        zone = self.market.timezone if self.series.interval is Interval.D1 else None
        try:
            with self._opened() as file:
                for part in parse_stream(file, self.series.ticker, session_zone=zone, at_once=AT_ONCE):
                    yield ParsedFile(scaled(part.bars, self.scale), part.rejects, part.rows_in)
        except OSError as error:
            raise BadInput(
                f"{self.path} cannot be read: {error.strerror}",
                next_step="Check what it is and its permissions.",
            ) from error
        except HypertapeError as error:
            raise type(error)(
                f"{self.path}: {error.what}", next_step=error.advice, market=self.series.market,
                ticker=self.series.ticker, interval=self.series.interval,
            ) from error  # fmt: skip

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        return open_regular(self.path, within=self.root or self.path.parent, most=self.most_bytes)


def _since(table: pa.Table, start: datetime | None) -> pa.Table:
    """The rows from `start` on, and those without a time: they would be lost otherwise."""
    if start is None or len(table) == 0:
        return table
    return table.filter(pc.fill_null(pc.greater_equal(table["time"], pa.scalar(start, TIME_TYPE)), True))


def _between(bars: pa.Table, low: int, high: int | None) -> pa.Table:
    inside = pc.greater_equal(bars["time"], pa.scalar(instant(low), TIME_TYPE))
    if high is not None:
        inside = pc.and_(inside, pc.less(bars["time"], pa.scalar(instant(high), TIME_TYPE)))
    return bars.filter(inside)
