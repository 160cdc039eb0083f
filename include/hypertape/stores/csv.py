"""A directory of bar files as a store: `<root>/<TICKER>/{1D,1H,1m}.csv`, in the documents' CSV format.

Where in the tree these lie, of several markets too, is `csv_tree`'s to know.
A reader takes `1h.csv` for `1H.csv` and so on, 7 or 20 columns, rows in any order; a writer keeps a file's name, writes
20 columns, and puts the whole new file in the old one's place, so that a kill leaves one or the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from hypertape.digest import CANONICAL_COLUMNS, SeriesDigest, digest_blocks
from hypertape.frame import floats_of, times_of
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Series
from hypertape.sources import FILE_BYTES
from hypertape.sources.csv_tree import file_scale
from hypertape.stores import BATCH_ROWS, Block, History, Selection, SeriesInfo, Unassigned, Written
from hypertape.stores.addresses import CsvOptions, require_directory
from hypertape.stores.csv_file import CsvFile
from hypertape.stores.csv_tree import CsvTree
from hypertape.stores.csv_write import rewrite

if TYPE_CHECKING:
    from hypertape.stores.addresses import Opening


def build(place: str, opening: Opening) -> CsvStore:
    """Open the tree at a directory, which need not exist to be written."""
    return CsvStore(Path(place), opening.csv, opening.settings.file_bytes)


@dataclass(frozen=True)
class CsvStore:
    """Bar files under `root`. May be used from several threads and processes at once."""

    root: Path
    options: CsvOptions = field(default_factory=CsvOptions)
    file_bytes: int = FILE_BYTES

    @property
    def tree(self) -> CsvTree:
        """Where things lie."""
        return CsvTree(self.root, self.options.market, self.file_bytes)

    @property
    def address(self) -> str:
        """How the command line names it."""
        return f"csv:{self.root}"

    def typed(self, infos: Iterable[SeriesInfo]) -> list[Series]:
        """All: a ticker is the name of a directory."""
        return [info.series for info in infos]

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        """List the files of the selected series; what a file holds is not known before it is read.

        What cannot be read is listed and fails when it is. Raises SourceFileMissing when the root does not exist,
        BadInput when nothing tells its market.
        """
        for market in self.tree.markets(selection):
            yield from map(SeriesInfo, self.tree.series(market, selection))

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        """Yield the file's bars from `start` on, and its rows that cannot be read, as rejects.

        Of rows with the same time the last one of the file counts. Raises SourceFileMissing, SourceFileEmpty,
        SourceSchemaChanged or BadInput, naming the series.
        """
        market = get_market(series.market)
        path, scale = self.tree.bar_file(market, series), self._scale(market, series.ticker)
        file = CsvFile(path, series, market, scale, self.root, self.file_bytes)
        yield from file.blocks(start=start, rows=rows)

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        """Lay the blocks' bars over the files (with the option `replace`: put them in their place).

        Consecutive blocks of one series are one pass over its file.

        Rejects are not written, only counted. Raises BadInput where the system refuses, where an existing file has
        rows that cannot be read (they would be lost), and DiskFull.
        """
        return self._write(market, interval, blocks, None)

    def write_part(
        self, market: Market, interval: Interval, blocks: Iterable[Block], history: History
    ) -> Written:
        """As `write`; a file that begins later than its series has the indicators the whole series would give it."""
        return self._write(market, interval, blocks, history)

    def digest(self, series: Series, *, start: datetime | None = None) -> SeriesDigest:
        """The digest over the file's readable bars from `start` on."""
        blocks = (
            (times_of(block.bars), [floats_of(block.bars, name) for name in CANONICAL_COLUMNS])
            for block in self.read(series, start=start)
        )
        return digest_blocks(series.ticker, blocks)

    def unassigned(self, selection: Selection, *, places: Sequence[str] = ()) -> Iterator[Unassigned]:
        """The lines of files in directories whose name can be no ticker."""
        yield from self.tree.unassigned(selection, places)

    def rest(self) -> list[str]:
        """What looks like a file of bars and is none of a ticker, relative to the root."""
        return self.tree.rest()

    def require_writable(self) -> None:
        """Raise BadInput where the system lets nobody make a file in the root, which is made."""
        require_directory(self.root)

    def close(self) -> None:
        """Nothing is held open."""

    def _write(
        self, market: Market, interval: Interval, blocks: Iterable[Block], history: History | None
    ) -> Written:
        written, begun = Written(), set[Series]()
        for series, run in _runs(market, interval, blocks):
            file = CsvFile(
                self.tree.target(market, series), series, market, self._scale(market, series.ticker)
            )
            anew = self.options.replace and series not in begun
            written += rewrite(file, run, self.options.format, anew=anew, history=history)
            begun.add(series)
        return written

    def _scale(self, market: Market, ticker: str) -> float:
        return file_scale(market, ticker) if self.options.legacy_scale else 1.0


def _runs(
    market: Market, interval: Interval, blocks: Iterable[Block]
) -> Iterator[tuple[Series, Iterator[Block]]]:
    """Group consecutive blocks of one series whose times go up. A run is used up before the next is asked for."""
    filled = (block for block in blocks if len(block.bars) or len(block.rejects))
    for (ticker, _), run in groupby(filled, key=_RunOfSeries()):
        yield Series(market.code, ticker, interval), run


class _RunOfSeries:
    """The run a block belongs to: its ticker, and a number that goes up where the ticker or the order ends."""

    def __init__(self) -> None:
        self._ticker, self._number = "", 0
        self._last: int | None = None

    def __call__(self, block: Block) -> tuple[str, int]:
        ticker = (block.bars if len(block.bars) else block.rejects)["ticker"][0].as_py()
        times = times_of(block.bars)
        turns_back = len(times) and self._last is not None and times[0] <= self._last
        if ticker != self._ticker or turns_back:
            self._ticker, self._number, self._last = ticker, self._number + 1, None
        if len(times):
            self._last = int(times[-1])
        return ticker, self._number
