"""Laying bars over a bar file: one pass over the old file and the new bars, then one rename."""

from __future__ import annotations

import fcntl
import filecmp
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from hypertape.errors import BadInput
from hypertape.frame import Bars, instant, split_series
from hypertape.model import Series
from hypertape.stores import BATCH_ROWS, Block, History, Written
from hypertape.stores.addresses import CsvFormat, system_errors
from hypertape.stores.csv_file import CsvFile
from hypertape.stores.csv_format import HEADER, Writer
from hypertape.warehouse.loading.merge import join_bars, merge


def rewrite(
    file: CsvFile,
    blocks: Iterable[Block],
    format: CsvFormat,
    *,
    anew: bool = False,
    history: History | None = None,
) -> Written:
    """Lay the bars of some blocks (one series, times going up) over a file that need not exist.

    With `anew` the file's own bars go as soon as some come, and all that come count as inserted. The indicators of the
    first bars see what `history` tells. The new text takes the old one's place only where they differ. One writer at a
    time per directory; readers see either text whole. Raises BadInput and DiskFull as CsvStore.write says.
    """
    tally = _Tally()
    with system_errors(file.path), _locked(file.path.parent):
        partial = file.path.with_name(f".{file.path.name}.partial")
        try:
            writer = Writer(file.series.ticker, file.series.interval, format, file.scale)
            stored = iter(()) if anew else _stored(file, writer)
            _write(
                partial,
                writer,
                file.series,
                _merged(stored, _incoming(blocks, writer, tally), tally),
                history,
            )
            if tally.bars and not _same(partial, file.path):
                partial.replace(file.path)
        finally:
            partial.unlink(missing_ok=True)
    return Written(tally.inserted, tally.updated, tally.unchanged, tally.refused)


@dataclass(slots=True)
class _Tally:
    bars: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0


def _write(
    partial: Path, writer: Writer, series: Series, pieces: Iterator[Bars], history: History | None
) -> None:
    with partial.open("wb") as out:
        out.write(HEADER)
        for bars in pieces:
            if history is not None:
                writer.follow(history(series, instant(int(bars.time[0]))))
                history = None
            for piece in writer.lines(bars):
                out.write(piece)
        out.flush()
        os.fsync(out.fileno())


def _stored(file: CsvFile, writer: Writer) -> Iterator[Bars]:
    """The bars of the existing file. Raises BadInput when it has rows that would be lost by writing it anew."""
    if not file.path.is_file():
        return
    for block in file.blocks(start=None, rows=BATCH_ROWS):
        if len(block.rejects):
            row = block.rejects.slice(0, 1).to_pylist()[0]
            raise BadInput(
                f"{file.path} has rows that cannot be read ({row['rule']}: {row['row']}), and writing it anew would "
                "lose them",
                next_step="Mend the file, or move it away.",
            )
        yield writer.settle(_bars(block.bars))


def _incoming(blocks: Iterable[Block], writer: Writer, tally: _Tally) -> Iterator[Bars]:
    for block in blocks:
        tally.refused += len(block.rejects)
        if len(block.bars):
            yield writer.settle(_bars(block.bars))


def _bars(frame: pa.Table) -> Bars:
    parts = [bars for _, bars in split_series(frame)]
    assert len(parts) <= 1, "a block holds one series"
    return parts[0] if parts else Bars.empty()


def _merged(stored: Iterator[Bars], incoming: Iterator[Bars], tally: _Tally) -> Iterator[Bars]:
    """Lay incoming bars over stored ones and count; both come in time order, piece by piece."""
    old, new = Bars.empty(), Bars.empty()
    more_old = more_new = True
    while more_old or more_new or len(old) or len(new):
        old, more_old = _filled(old, stored) if more_old else (old, False)
        new, more_new = _filled(new, incoming) if more_new else (new, False)
        ends = [int(part.time[-1]) for part, more in ((old, more_old), (new, more_new)) if more and len(part)]
        at = [np.searchsorted(part.time, min(ends), "right") if ends else len(part) for part in (old, new)]
        laid = merge(old.take(slice(0, at[0])), new.take(slice(0, at[1])))
        old, new = old.take(slice(at[0], None)), new.take(slice(at[1], None))
        inserted, updated = int(laid.added.sum()), int(laid.changed.sum())
        tally.inserted += inserted
        tally.updated += updated
        tally.unchanged += int(at[1]) - inserted - updated
        tally.bars += len(laid.bars)
        if len(laid.bars):
            yield laid.bars


def _filled(held: Bars, pieces: Iterator[Bars]) -> tuple[Bars, bool]:
    """What is held, with the next piece where nothing is; False once there is no more."""
    if len(held):
        return held, True
    piece = next((piece for piece in pieces if len(piece)), None)
    return (held, False) if piece is None else (join_bars(held, piece), True)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Be the only writer of a ticker's directory, which is made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
