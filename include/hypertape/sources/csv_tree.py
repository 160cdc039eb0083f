"""A directory of bar files as a source: `<root>/<TICKER>/{1D,1H,1h,1m}.csv`, in the documents' CSV format.

Where `<root>/<market's table>` exists (`market_data`, `crypto_data`), that market's tickers are read from
there. A bar file is a regular file inside the tree (`hypertape.files`); what looks like one and is none (`1D.csv.gz`,
`1D.CSV`) is named, and so is a directory whose name is no text.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hypertape.cells import shown
from hypertape.errors import BadInput, HypertapeError, SourceFileMissing, UnknownTicker
from hypertape.files import entries_of, list_directory, read_regular
from hypertape.frame import Floats, floats_of
from hypertape.markets import misspelled
from hypertape.model import PRICE_COLUMNS, Interval, Market, Window
from hypertape.sources._collect import TickerAnswer, collect, judge, reading
from hypertape.sources._csv_file import parse
from hypertape.sources._listing import Listing, listing_of_names
from hypertape.sources._protocol import FILE_BYTES, Fetched, Limits, OnTicker, SourceConfig

if TYPE_CHECKING:
    from hypertape.sources._stand_in import Offered

log = logging.getLogger(__name__)

_EXACT_INTEGERS = 2.0**53
_MOST_DECIMALS = 9
_ALIKE = (
    "csv",
    *(f"csv.{packed}" for packed in ("gz", "bz2", "xz", "zst", "zip", "lz4", "br", "z")),
    "tsv",
    "txt",
)


def build(config: SourceConfig, limits: Limits) -> CsvTree:
    """Open the tree of the configuration's directory. Raises BadInput when it names none."""
    if not config.directory:
        raise BadInput("The source csv_tree needs a directory", next_step="Name it with --source-dir.")
    return CsvTree(Path(config.directory), config.legacy_scale, limits.file_bytes)


@dataclass(frozen=True)
class CsvTree:
    """Bar files under `root`.

    With `legacy_scale`, prices are multiplied by the market's file scale, indices excepted. A file has `file_bytes` at
    most.
    """

    root: Path
    legacy_scale: bool = False
    file_bytes: int = FILE_BYTES
    name: str = "csv_tree"

    def tickers(self, market: Market, interval: Interval) -> tuple[str, ...]:
        """List the directories that have a file of this interval, or what looks like one or cannot be read, sorted.

        What cannot be read is listed so that it is asked for, and fails with its reason. Raises SourceFileMissing when
        the root does not exist.
        """
        found = (
            name for name, path in self._directories(market).items() if self._has_file(Path(path), interval)
        )
        return tuple(sorted({market.ticker_at(self.name, name) for name in found}))

    def listing(self, market: Market) -> Listing:
        """The tree's directories. Raises SourceFileMissing when the root does not exist."""
        return listing_of_names(self, market)

    def _has_file(self, directory: Path, interval: Interval) -> bool:
        try:
            entries = list_directory(directory, within=self.root)
        except BadInput:
            return True
        return any(_kind(entry.name, interval) for entry in entries)

    def fetch(
        self,
        market: Market,
        tickers: Sequence[str],
        interval: Interval,
        window: Window,
        *,
        now: datetime,
        on_ticker: OnTicker | None = None,
    ) -> Fetched:
        """Read the tickers' files, cut to the window. Raises SourceFileMissing when the root does not exist.

        Reject rules: text_in_number, bad_time, wrong_field_count, wrong_ticker. Rows are in the files' order.
        """
        directories = self._directories(market)
        meant = misspelled(market, directories)  # once: all names are looked at

        def read(ticker: str) -> TickerAnswer:
            return self._read(market, ticker, interval, directories, meant)

        return judge(collect(read, tickers, window, on_ticker), market, tickers, interval, window, now)

    def _directories(self, market: Market) -> dict[str, str]:
        """The paths of the tickers' directories by their names. Read once a batch: a tree has thousands."""
        base = self.root / market.table
        base = base if os.path.isdir(base) else self.root
        if not os.path.isdir(base):
            raise SourceFileMissing(f"There is no directory {base}", market=market.code)
        directories = {}
        for entry in entries_of(base, within=self.root):
            # Of a link os.path asks: it does not raise where the system refuses. One that leads nowhere is named later.
            is_link = entry.is_symlink()
            if os.path.exists(entry) and not os.path.isdir(entry) if is_link else not entry.is_dir():
                continue
            if shown(entry.name) == entry.name:
                directories[entry.name] = entry.path
            else:
                log.warning(
                    "%s: a directory's name is no text, and it is not read: %s", base, ascii(entry.name)
                )
        return directories

    def _read(
        self,
        market: Market,
        ticker: str,
        interval: Interval,
        directories: dict[str, str],
        meant: Mapping[str, str],
    ) -> TickerAnswer:
        try:
            symbol = market.symbol_at(self.name, ticker)
            path = self._bar_file(symbol, interval, directories, meant)
            zone = market.timezone if interval is Interval.D1 else None
            data = read_regular(path, within=self.root, most=self.file_bytes)
            with reading("The file"):
                parsed = parse(data, symbol, session_zone=zone)
        except HypertapeError as error:
            raise type(error)(
                error.what, next_step=error.advice, market=market.code, ticker=ticker, interval=interval
            ) from error
        scale = file_scale(market, ticker) if self.legacy_scale else 1.0
        bars, rejects = (_named(table, ticker) for table in (parsed.bars, parsed.rejects))
        return TickerAnswer(scaled(bars, scale), rejects, rows_in=parsed.rows_in)

    def _bar_file(
        self, symbol: str, interval: Interval, directories: dict[str, str], meant: Mapping[str, str]
    ) -> Path:
        if symbol not in directories:
            raise UnknownTicker(
                "The CSV tree has no directory of that name", next_step=f"It has: {_some(directories)}."
            )
        directory = Path(directories[symbol])
        if right := meant.get(symbol):
            raise UnknownTicker(
                f"The directory {symbol} is {right} in other letters",
                next_step=f"Rename it to {right}, or remove it: upper and lower case are different tickers.",
            )
        entries = list_directory(directory, within=self.root)
        files = [entry for entry in entries if _kind(entry.name, interval) == "bars"]
        others = [entry.name for entry in entries if _kind(entry.name, interval) == "alike"]
        if not files:
            raise _no_file(directory, interval, others)
        if len(files) > 1 and not files[0].samefile(files[1]):
            names = " and ".join(path.name for path in files)
            raise BadInput(f"{directory} has both {names}", next_step="Remove the one that is out of date.")
        if others:
            log.warning("%s is read, and %s beside it is not", files[0], ", ".join(map(shown, others)))
        return files[0]


def _no_file(directory: Path, interval: Interval, others: Sequence[str]) -> SourceFileMissing:
    expected = " or ".join(_file_names(interval))
    if others:
        return SourceFileMissing(
            f"There is no {expected} in {directory}, but {', '.join(map(shown, others))}, which is not read",
            next_step=f"Unpack it, or rename it to {_file_names(interval)[0]}.",
        )
    return SourceFileMissing(f"There is no {expected} in {directory}")


def _file_names(interval: Interval) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{name}.csv" for name in (interval.spelling, interval.value)))


def _kind(name: str, interval: Interval) -> str | None:
    """What a file's name says: `bars` of the interval, or only `alike`: packed, or with its end in capitals."""
    # Compared here and not by the file system: where case does not count, 1M.csv would pass for 1m.csv.
    if name in _file_names(interval):
        return "bars"
    stem, _, end = name.partition(".")
    is_alike = stem in (interval.spelling, interval.value) and end.lower() in _ALIKE
    return "alike" if is_alike else None


def bar_files(directory: Path, interval: Interval) -> list[Path]:
    """Return the files of an interval in a ticker's directory, of whichever spelling (`1H.csv`, `1h.csv`)."""
    return [entry for entry in listed(directory) if _kind(entry.name, interval) == "bars"]


def files_alike(directory: Path, interval: Interval) -> list[Path]:
    """Return what looks like a file of an interval and is not read: `1D.csv.gz`, `1D.CSV`."""
    return [entry for entry in listed(directory) if _kind(entry.name, interval) == "alike"]


def listed(directory: Path) -> list[Path]:
    """List a directory, sorted. Raises BadInput where the system refuses."""
    return list_directory(directory, within=directory)


def _some(directories: dict[str, str]) -> str:
    names = sorted(directories)
    return (
        ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        if names
        else "none"
    )


def file_scale(market: Market, ticker: str) -> float:
    """What a legacy file's prices are multiplied by: the market's file scale, 1 for an index."""
    return 1.0 if market.is_index(ticker) else market.file_scale


def _named(table: pa.Table, ticker: str) -> pa.Table:
    """The rows of one file as rows of a ticker, whatever its directory is called."""
    column = table.schema.get_field_index("ticker")
    return table.set_column(column, table.schema.field(column), pa.array([ticker] * len(table), pa.string()))


def scaled(bars: pa.Table, factor: float) -> pa.Table:
    """Multiply the prices of a bar frame."""
    if factor == 1.0:
        return bars
    for name in PRICE_COLUMNS:
        at = bars.schema.get_field_index(name)
        bars = bars.set_column(
            at, bars.schema.field(at), pa.array(exact_product(floats_of(bars, name), factor))
        )
    return bars


def exact_product(values: Floats, factor: float) -> Floats:
    """Multiply decimals as they are written: 2.35397 × 1000 is 2353.97, not 2353.9700000000003.

    A value of at most nine decimals becomes an integer, exactly; one division, correctly rounded, brings the
    product back. `factor` is a whole number. What has more digits is multiplied as it is.
    """
    products = values * factor
    open_values = np.isfinite(values)
    for digits in range(_MOST_DECIMALS + 1):
        unit = 10**digits
        shared = math.gcd(unit, int(factor))
        with np.errstate(over="ignore"):
            whole = np.rint(values * unit)
            multiplied = whole * (int(factor) // shared)
        exact = (whole / unit == values) & (np.abs(whole) < _EXACT_INTEGERS)
        fits = open_values & exact & (np.abs(multiplied) < _EXACT_INTEGERS)
        products[fits] = multiplied[fits] / (unit // shared)
        open_values &= ~fits
        if not open_values.any():
            break
    return products


def write_stand_in(directory: Path, offered: Sequence[Offered]) -> None:
    """A tree of daily files with these series, for the conformance kit: what is offered twice stands there twice."""
    for one in offered:
        (directory / one.symbol).mkdir(exist_ok=True)
        file = directory / one.symbol / "1D.csv"
        with file.open("a", encoding="utf-8") as lines:
            if not lines.tell():
                lines.write("ticker,time,open,high,low,close,volume\n")
            for row in one.rows:
                lines.write(",".join(map(str, (one.symbol, *row[:6]))) + "\n")
