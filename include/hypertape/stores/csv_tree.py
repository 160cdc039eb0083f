"""Where in a CSV tree the files of which series lie, and what else lies there.

A tree that holds several markets has a directory for each, named like its table: `<root>/market_data/<TICKER>/1D.csv`.
A tree without them belongs to the market its own name tells (`market_data`), else to the one the caller names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

from hypertape.cells import row_text, shown
from hypertape.errors import BadInput, SourceFileMissing
from hypertape.files import list_directory, read_regular
from hypertape.frame import reject_frame
from hypertape.markets import all_markets
from hypertape.model import STORED_INTERVALS, Interval, Market, Series
from hypertape.quality.gate_rules import TICKER_LENGTH, is_ticker
from hypertape.sources.csv_tree import bar_files, files_alike
from hypertape.stores import Selection, Unassigned


@dataclass(frozen=True, slots=True)
class CsvTree:
    """The directories and files below `root`; `market` is the one the caller names, if any.

    A file of `file_bytes` at most is read.
    """

    root: Path
    market: str | None
    file_bytes: int

    def markets(self, selection: Selection) -> list[Market]:
        """The markets of the tree that are selected. Raises SourceFileMissing, and BadInput when nothing tells them."""
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
        if self._is_flat():
            raise self._whose()
        return []

    def series(self, market: Market, selection: Selection) -> Iterator[Series]:
        """The selected series of a market, sorted.

        What cannot be read (a pipe, a link that leads out of the tree, `1D.csv.gz`) is one too, so that it is asked for
        and fails with its reason.
        """
        directories = {entry.name: entry for entry in self._directories(market) if is_ticker(entry.name)}
        for interval in sorted(market.intervals):
            found = (Series(market.code, ticker, interval) for ticker in sorted(directories))
            for series in filter(selection.covers, found):
                if self._has_file(directories[series.ticker], interval):
                    yield series

    def bar_file(self, market: Market, series: Series) -> Path:
        """The file of a series. Raises SourceFileMissing, and BadInput where there are two or it cannot be reached."""
        directory = self._base(market) / series.ticker
        is_there = directory.is_dir() or directory.is_symlink()
        if is_there:
            list_directory(directory, within=self.root)
        found = bar_files(directory, series.interval) if is_there else []
        if found:
            return _only(found)
        if is_there and (alike := files_alike(directory, series.interval)):
            raise SourceFileMissing(
                f"{directory} has {', '.join(shown(path.name) for path in alike)}, which is not read",
                next_step=f"Unpack it, or rename it to {series.interval.spelling}.csv.",
            )
        raise SourceFileMissing(
            f"csv:{self.root} has no file of {series}", next_step="Check the address and the selection."
        )

    def target(self, market: Market, series: Series) -> Path:
        """The file to write: the existing one of any accepted name, else a new one."""
        if not is_ticker(series.ticker):
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

    def unassigned(self, selection: Selection, places: Sequence[str]) -> Iterator[Unassigned]:
        """The lines of files in directories whose name can be no ticker; none where tickers are named."""
        for market in [] if selection.tickers else self.markets(selection):
            odd = [entry for entry in self._directories(market) if not is_ticker(entry.name)]
            for interval in sorted(market.intervals):
                place = market.relation(interval)
                if (places and place not in places) or not selection.covers_interval(interval):
                    continue
                for directory in odd:
                    if rejects := self._rejects(directory, interval):
                        yield Unassigned(market.code, place, pa.concat_tables(rejects))

    def rest(self) -> list[str]:
        """What looks like a file of bars and is none of a ticker, relative to the root."""
        bases = [self.root / market.table for market in all_markets().values()]
        bases = bases if self._has_market_directories() else [self.root]
        found = (path for path in sorted(self.root.rglob("*")) if not path.is_dir())
        return [
            shown(str(path.relative_to(self.root)))
            for path in found
            if (path.suffix == ".csv" and (path.parent.parent not in bases or not _is_bar_file(path)))
            or _is_alike(path)
        ]

    def _rejects(self, directory: Path, interval: Interval) -> list[pa.Table]:
        """The lines of a directory's files as they are, or why they cannot be read."""
        name = shown(os.fsencode(directory.name).decode("utf-8", "backslashreplace"))
        ticker = name[: 2 * TICKER_LENGTH]
        try:
            list_directory(directory, within=self.root)
            return [self._lines(path, ticker, name) for path in bar_files(directory, interval)]
        except BadInput as error:
            said = row_text({"directory": name, "interval": interval.value})
            return [reject_frame([(ticker, None, "bad_ticker", shown(str(error)), said)])]

    def _lines(self, path: Path, ticker: str, name: str) -> pa.Table:
        data = read_regular(path, within=self.root, most=self.file_bytes)
        lines = data.decode("utf-8", "backslashreplace").splitlines()
        numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        return reject_frame(
            (
                ticker, None, "bad_ticker", f"directory={name}",
                row_text({"directory": name, "file": path.name, "line": number, "text": line}),
            )
            for number, line in islice(numbered, 1, None)
        )  # fmt: skip

    def _directories(self, market: Market) -> list[Path]:
        """The directories of a market, and links that are none any more."""
        base = self._base(market)
        entries = list_directory(base, within=self.root) if base.is_dir() else []
        return [entry for entry in entries if entry.is_dir() or (entry.is_symlink() and not entry.exists())]

    def _has_file(self, directory: Path, interval: Interval) -> bool:
        try:
            list_directory(directory, within=self.root)
        except BadInput:
            return interval is Interval.D1  # said once
        return bool(bar_files(directory, interval) or files_alike(directory, interval))

    def _base(self, market: Market) -> Path:
        base = self.root / market.table
        return base if base.is_dir() or self._has_market_directories() else self.root

    def _has_market_directories(self) -> bool:
        return any((self.root / market.table).is_dir() for market in all_markets().values())

    def _told_market(self) -> str | None:
        """The market of a tree without market directories, as far as the tree or the caller tells."""
        named = {market.table: market.code for market in all_markets().values()}
        return named.get(self.root.resolve().name, self.market)

    def _is_flat(self) -> bool:
        return self.root.is_dir() and any(
            _is_ticker_directory(entry) for entry in list_directory(self.root, within=self.root)
        )

    def _whose(self) -> BadInput:
        return BadInput(
            f"{self.root} has tickers and nothing tells their market",
            next_step="Name it with --market, or move them into a directory of its table's name (market_data).",
        )


def _is_ticker_directory(entry: Path) -> bool:
    return entry.is_dir() and any(bar_files(entry, interval) for interval in STORED_INTERVALS)


def _is_bar_file(path: Path) -> bool:
    return any(path in bar_files(path.parent, interval) for interval in STORED_INTERVALS)


def _is_alike(path: Path) -> bool:
    return any(path in files_alike(path.parent, interval) for interval in STORED_INTERVALS)


def _only(found: list[Path]) -> Path:
    if len(found) > 1 and not os.path.samefile(found[0], found[1]):
        names = " and ".join(path.name for path in found)
        raise BadInput(f"{found[0].parent} has both {names}", next_step="Remove the one that is out of date.")
    return found[0]
