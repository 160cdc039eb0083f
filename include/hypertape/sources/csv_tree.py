"""A directory of bar files as a source: `<root>/<TICKER>/{1D,1H,1h,1m}.csv`, in the documents' CSV format.

Where `<root>/<market's table>` exists (`market_data`, `crypto_data`), that market's tickers are read from
there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from hypertape.errors import BadInput, HypertapeError, SourceFileMissing, UnknownTicker
from hypertape.frame import Floats, floats_of
from hypertape.model import PRICE_COLUMNS, Interval, Market, Window
from hypertape.sources import Fetched, OnTicker, SourceConfig
from hypertape.sources._collect import TickerAnswer, collect, judge
from hypertape.sources._csv_file import parse

_EXACT_INTEGERS = 2.0**53
_MOST_DECIMALS = 9


def build(config: SourceConfig) -> CsvTree:
    """Open the tree of the configuration's directory. Raises BadInput when it names none."""
    if not config.directory:
        raise BadInput("The source csv_tree needs a directory", next_step="Name it with --source-dir.")
    return CsvTree(Path(config.directory), legacy_scale=config.legacy_scale)


@dataclass(frozen=True)
class CsvTree:
    """Bar files under `root`.

    With `legacy_scale`, prices are multiplied by the market's file scale, indices excepted.
    """

    root: Path
    legacy_scale: bool = False
    name: str = "csv_tree"

    def tickers(self, market: Market, interval: Interval) -> tuple[str, ...]:
        """List the directories that have a file of this interval, sorted.

        Raises SourceFileMissing when the root does not exist.
        """
        directories = self._directories(market)
        return tuple(sorted(name for name, path in directories.items() if bar_files(path, interval)))

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

        def read(ticker: str) -> TickerAnswer:
            return self._read(market, ticker, interval, directories)

        return judge(collect(read, tickers, window, on_ticker), market, tickers, interval, window, now)

    def _directories(self, market: Market) -> dict[str, Path]:
        base = self.root / market.table
        base = base if base.is_dir() else self.root
        if not base.is_dir():
            raise SourceFileMissing(f"There is no directory {base}", market=market.code)
        return {entry.name: entry for entry in listed(base) if entry.is_dir()}

    def _read(
        self, market: Market, ticker: str, interval: Interval, directories: dict[str, Path]
    ) -> TickerAnswer:
        try:
            path = _bar_file(ticker, interval, directories)
            zone = market.timezone if interval is Interval.D1 else None
            parsed = parse(_content(path), ticker, session_zone=zone)
        except HypertapeError as error:
            raise type(error)(
                error.what, next_step=error.advice, market=market.code, ticker=ticker, interval=interval
            ) from error
        scale = file_scale(market, ticker) if self.legacy_scale else 1.0
        return TickerAnswer(scaled(parsed.bars, scale), parsed.rejects)


def _bar_file(ticker: str, interval: Interval, directories: dict[str, Path]) -> Path:
    if ticker not in directories:
        raise UnknownTicker(
            "The CSV tree has no directory of that name", next_step=f"It has: {_some(directories)}."
        )
    files = bar_files(directories[ticker], interval)
    if not files:
        expected = " or ".join(_file_names(interval))
        raise SourceFileMissing(f"There is no {expected} in {directories[ticker]}")
    if len(files) > 1 and not files[0].samefile(files[1]):
        names = " and ".join(path.name for path in files)
        raise BadInput(
            f"{directories[ticker]} has both {names}", next_step="Remove the one that is out of date."
        )
    return files[0]


def _file_names(interval: Interval) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{name}.csv" for name in (interval.spelling, interval.value)))


def bar_files(directory: Path, interval: Interval) -> list[Path]:
    """Return the files of an interval in a ticker's directory, of whichever spelling (`1H.csv`, `1h.csv`)."""
    # Compared here and not by the file system: where case does not count, 1M.csv would pass for 1m.csv.
    names = _file_names(interval)
    return sorted(entry for entry in listed(directory) if entry.name in names)


def listed(directory: Path) -> list[Path]:
    """List a directory. Raises BadInput where the system refuses."""
    try:
        return list(directory.iterdir())
    except OSError as error:
        raise _unreadable(directory, error) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        f"{path} cannot be read: {error.strerror}", next_step="Check what it is and its permissions."
    )


def _some(directories: dict[str, Path]) -> str:
    names = sorted(directories)
    return (
        ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        if names
        else "none"
    )


def file_scale(market: Market, ticker: str) -> float:
    """What a legacy file's prices are multiplied by: the market's file scale, 1 for an index."""
    return 1.0 if market.is_index(ticker) else market.file_scale


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
