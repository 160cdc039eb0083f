"""A directory of bar files as a store: `<root>/<TICKER>/{1D,1H,1m}.csv`, in the documents' CSV format.

A tree that holds several markets has a directory for each, named like its table: `<root>/market_data/<TICKER>/1D.csv`.
A tree without them belongs to the market its own name tells (`market_data`), else to the one the caller names.
A reader takes `1h.csv` for `1H.csv` and so on, 7 or 20 columns, rows in any order; a writer keeps a file's name, writes
20 columns, and puts the whole new file in the old one's place, so that a kill leaves one or the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from hypertape.digest import CANONICAL_COLUMNS, SeriesDigest, digest_blocks
from hypertape.errors import BadInput, SourceFileMissing
from hypertape.frame import floats_of, times_of
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, Market, Series
from hypertape.sources.csv_tree import bar_files, file_scale, listed
from hypertape.stores import BATCH_ROWS, Block, History, Selection, SeriesInfo, Written
from hypertape.stores.addresses import CsvOptions, require_directory
from hypertape.stores.csv_file import CsvFile
from hypertape.stores.csv_write import rewrite

if TYPE_CHECKING:
    from hypertape.stores.addresses import Opening


def build(place: str, opening: Opening) -> CsvStore:
    """Open the tree at a directory, which need not exist to be written."""
    return CsvStore(Path(place), opening.csv)


@dataclass(frozen=True)
class CsvStore:
    """Bar files under `root`. May be used from several threads and processes at once."""

    root: Path
    options: CsvOptions = field(default_factory=CsvOptions)

    @property
    def address(self) -> str:
        """How the command line names it."""
        return f"csv:{self.root}"

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        """List the files of the selected series; what a file holds is not known before it is read.

        Raises SourceFileMissing when the root does not exist, BadInput when nothing tells its market.
        """
        for market in self._markets(selection):
            directories = self._tickers(market)
            for interval in sorted(market.intervals):
                found = (Series(market.code, ticker, interval) for ticker in sorted(directories))
                for series in filter(selection.covers, found):
                    if bar_files(directories[series.ticker], interval):
                        yield SeriesInfo(series)

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        """Yield the file's bars from `start` on, and its rows that cannot be read, as rejects.

        Of rows with the same time the last one of the file counts. Raises SourceFileMissing, SourceFileEmpty,
        SourceSchemaChanged or BadInput, naming the series.
        """
        yield from self._file(get_market(series.market), series).blocks(start=start, rows=rows)

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

    def rest(self) -> list[str]:
        """The `*.csv` files that are no bar file of a ticker, relative to the root."""
        bases = [self.root / market.table for market in all_markets().values()]
        bases = bases if self._has_market_directories() else [self.root]
        found = (path for path in sorted(self.root.rglob("*.csv")) if path.is_file())
        return [
            str(path.relative_to(self.root))
            for path in found
            if path.parent.parent not in bases or not _is_bar_file(path)
        ]

    def require_writable(self) -> None:
        """Raise BadInput where the system lets nobody make a file in the root, which is made."""
        require_directory(self.root)

    def close(self) -> None:
        """Nothing is held open."""

    def _write(
        self, market: Market, interval: Interval, blocks: Iterable[Block], history: History | None
    ) -> Written:
        written, begun = Written(), set[Series]()
        for series, stretch in _stretches(market, interval, blocks):
            file = CsvFile(self._target(market, series), series, market, self._scale(market, series.ticker))
            anew = self.options.replace and series not in begun
            written += rewrite(file, stretch, self.options.format, anew=anew, history=history)
            begun.add(series)
        return written

    def _scale(self, market: Market, ticker: str) -> float:
        return file_scale(market, ticker) if self.options.legacy_scale else 1.0

    def _markets(self, selection: Selection) -> list[Market]:
        if not self.root.is_dir():
            raise SourceFileMissing(
                f"There is no directory {self.root}", next_step="Check the address: csv:DIR."
            )
        wanted = [m for m in all_markets().values() if not selection.markets or m.code in selection.markets]
        if self._has_market_directories():
            return [market for market in wanted if (self.root / market.table).is_dir()]
        told = self._told_market()
        if told is None and len(selection.markets) == 1:
            told = selection.markets[0]
        if told is not None:
            return [market for market in wanted if market.code == told]
        if any(_is_ticker_directory(entry) for entry in listed(self.root)):
            raise self._whose()
        return []

    def _has_market_directories(self) -> bool:
        return any((self.root / market.table).is_dir() for market in all_markets().values())

    def _told_market(self) -> str | None:
        """The market of a tree without market directories, as far as the tree or the options tell."""
        named = {market.table: market.code for market in all_markets().values()}
        return named.get(self.root.resolve().name, self.options.market)

    def _tickers(self, market: Market) -> dict[str, Path]:
        base = self._base(market)
        return {entry.name: entry for entry in listed(base) if entry.is_dir()} if base.is_dir() else {}

    def _base(self, market: Market) -> Path:
        base = self.root / market.table
        return base if base.is_dir() or self._has_market_directories() else self.root

    def _file(self, market: Market, series: Series) -> CsvFile:
        directory = self._base(market) / series.ticker
        found = bar_files(directory, series.interval) if directory.is_dir() else []
        if not found:
            raise SourceFileMissing(
                f"{self.address} has no file of {series}", next_step="Check the address and the selection."
            )
        return CsvFile(_only(found), series, market, self._scale(market, series.ticker))

    def _target(self, market: Market, series: Series) -> Path:
        """The file to write: the existing one of any accepted name, else a new one."""
        if Path(series.ticker).name != series.ticker or series.ticker == "..":
            raise BadInput(f"{series.ticker!r} is no name of a directory", next_step="Correct the ticker.")
        base = self.root / market.table
        if not self._has_market_directories():
            told = self._told_market()
            if told == market.code:
                base = self.root
            elif told is not None or self._is_flat():
                raise self._whose()
        directory = base / series.ticker
        found = bar_files(directory, series.interval) if directory.is_dir() else []
        return _only(found) if found else directory / f"{series.interval.spelling}.csv"

    def _is_flat(self) -> bool:
        return self.root.is_dir() and any(_is_ticker_directory(entry) for entry in listed(self.root))

    def _whose(self) -> BadInput:
        return BadInput(
            f"{self.root} has tickers and nothing tells their market",
            next_step="Name it with --market, or move them into a directory of its table's name (market_data).",
        )


def _is_ticker_directory(entry: Path) -> bool:
    return entry.is_dir() and any(bar_files(entry, interval) for interval in Interval if interval.is_stored)


def _is_bar_file(path: Path) -> bool:
    return any(path in bar_files(path.parent, interval) for interval in Interval if interval.is_stored)


def _only(found: list[Path]) -> Path:
    if len(found) > 1 and not os.path.samefile(found[0], found[1]):
        names = " and ".join(path.name for path in found)
        raise BadInput(f"{found[0].parent} has both {names}", next_step="Remove the one that is out of date.")
    return found[0]


def _stretches(
    market: Market, interval: Interval, blocks: Iterable[Block]
) -> Iterator[tuple[Series, Iterator[Block]]]:
    """Group consecutive blocks of one series whose times go up. A stretch is used up before the next is asked for."""
    filled = (block for block in blocks if len(block.bars) or len(block.rejects))
    for (ticker, _), stretch in groupby(filled, key=_Stretch()):
        yield Series(market.code, ticker, interval), stretch


class _Stretch:
    """The stretch a block belongs to: its ticker, and a number that goes up where the ticker or the order ends."""

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
