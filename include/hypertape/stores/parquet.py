"""Parquet files as a store, local or on an object store: `market=/interval=/ticker=/year=/bars.parquet`.

DuckDB, polars and Spark read them as they are; `parquet_series` says what a file and its manifest hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from hypertape.digest import CANONICAL_COLUMNS, SeriesDigest, digest_blocks
from hypertape.errors import SourceFileMissing
from hypertape.frame import BAR_SCHEMA, floats_of, times_of
from hypertape.markets import all_markets
from hypertape.model import STORED_INTERVALS, Interval, Market, Series, parse_instant
from hypertape.storage import PARQUET, is_local, store_of
from hypertape.stores import BATCH_ROWS, Block, Selection, SeriesInfo, Written
from hypertape.stores.parquet_series import (
    FILE,
    FILE_SCHEMA,
    MANIFEST,
    ParquetSeries,
    errors_of_place,
    place_of,
    read_manifest,
)

if TYPE_CHECKING:
    from hypertape.stores.addresses import Opening

_MANIFESTS_AT_ONCE = 500


def build(place: str, opening: Opening) -> ParquetStore:
    """Open the store at a directory or URL, which need not exist to be written."""
    return ParquetStore(place)


@dataclass(frozen=True)
class ParquetStore:
    """Parquet files under `url`, a directory or any URL of fsspec's. Several processes may write different series."""

    keeps_adjusted: ClassVar[bool] = True

    url: str

    @property
    def address(self) -> str:
        """How the command line names it."""
        return f"parquet:{self.url}"

    @cached_property
    def _place(self) -> tuple[Any, str]:
        files, path = store_of(self.url, PARQUET)
        return files, path.rstrip("/")

    def series(self, selection: Selection) -> Iterator[SeriesInfo]:
        """List the selected series as their manifests have them. Raises SourceFileMissing where there is no store."""
        files, root = self._place
        with errors_of_place():
            if is_local(self.url) and not files.isdir(root):
                raise SourceFileMissing(f"{self.url} does not exist", next_step="Name the store's directory.")
            found = sorted(s for s in self._listed(files, root, selection) if selection.covers(s))
        for first in range(0, len(found), _MANIFESTS_AT_ONCE):
            yield from self._informed(found[first : first + _MANIFESTS_AT_ONCE], selection)

    def read(
        self, series: Series, *, start: datetime | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[Block]:
        """Yield the bars, a year of them in memory. Raises BadInput where a file is not what its manifest says."""
        for table in self._files_of(series).years(start):
            for at in range(0, len(table), rows):
                yield Block(_with_ticker(series.ticker, table.slice(at, rows)))

    def write(self, market: Market, interval: Interval, blocks: Iterable[Block]) -> Written:
        """Lay the blocks' bars over the files, year by year; rejects are not written, only counted.

        Raises BadInput where a file that would be written over is not what its manifest says.
        """
        written, waiting = Written(), _Waiting()
        for block in blocks:
            written += Written(refused=len(block.rejects))
            for ticker, year, bars in _by_year(block.bars):
                if waiting.tables and (ticker, year) != (waiting.ticker, waiting.year):
                    written += self._lay(market, interval, waiting)
                    waiting = _Waiting()
                waiting.ticker, waiting.year = ticker, year
                waiting.tables.append(bars)
        return written + self._lay(market, interval, waiting)

    def digest(self, series: Series, *, start: datetime | None = None) -> SeriesDigest:
        """The digest over the files' bars from `start` on."""
        blocks = (
            (times_of(block.bars), [floats_of(block.bars, name) for name in CANONICAL_COLUMNS])
            for block in self.read(series, start=start)
        )
        return digest_blocks(series.ticker, blocks)

    def rest(self) -> list[str]:
        """Files of bars that no manifest knows, relative to the store's place."""
        files, root = self._place
        with errors_of_place():
            found = [path for path in files.find(root) if path.endswith(".parquet")]
        known: set[str] = set()
        for info in self.series(Selection()):
            entry = self._files_of(info.series)
            manifest = entry.manifest()
            years = {*manifest.years, *((manifest.next.year,) if manifest.next else ())}
            known |= {f"{entry.directory}/year={year}/{FILE}" for year in years}
        return sorted(path.removeprefix(f"{root}/") for path in found if path not in known)

    def close(self) -> None:
        """Nothing is held open."""

    def _files_of(self, series: Series) -> ParquetSeries:
        return ParquetSeries(*self._place, series)

    def _lay(self, market: Market, interval: Interval, waiting: _Waiting) -> Written:
        if not waiting.tables:
            return Written()
        bars = pa.concat_tables(waiting.tables).combine_chunks()
        times = times_of(bars)
        if not (times[1:] > times[:-1]).all():  # of bars of one time the last one counts
            last = np.unique(times[::-1], return_index=True)[1]
            bars = bars.take(pa.array(len(times) - 1 - last))
        return self._files_of(Series(market.code, waiting.ticker, interval)).lay(waiting.year, bars)

    def _listed(self, files: Any, root: str, selection: Selection) -> Iterator[Series]:
        for market in selection.markets or all_markets():
            for interval in selection.intervals or STORED_INTERVALS:
                above = f"{root}/market={market}/interval={interval.value}"
                try:
                    entries = files.ls(above, detail=False)
                except FileNotFoundError:
                    continue
                for path in entries:
                    name = path.rstrip("/").rpartition("/")[2]
                    series = Series(market, unquote(name.removeprefix("ticker=")), interval)
                    if name.startswith("ticker=") and place_of(series).endswith(
                        f"/{name}"
                    ):  # else `rest` tells
                        yield series

    def _informed(self, series: list[Series], selection: Selection) -> Iterator[SeriesInfo]:
        files, root = self._place
        paths = {f"{root}/{place_of(each)}/{MANIFEST}": each for each in series}
        with errors_of_place():
            texts = files.cat(list(paths), on_error="omit")
        for path, each in paths.items():
            if path not in texts:
                continue  # its first file was being written, or it is none of ours: `rest` tells
            manifest = read_manifest(texts[path], each, path.rpartition("/")[0])
            years = [manifest.years[year] for year in sorted(manifest.years)]
            if not years:
                continue
            first, last = parse_instant(years[0].first), parse_instant(years[-1].last)
            if selection.start is None or last >= selection.start:
                yield SeriesInfo(each, manifest.rows, first, last)


class _Waiting:
    """Bars of one year of a series that are not written yet."""

    def __init__(self) -> None:
        self.ticker, self.year = "", 0
        self.tables: list[pa.Table] = []


def _by_year(bars: pa.Table) -> Iterator[tuple[str, int, pa.Table]]:
    """The bars of one series, cut where its ticker or the year (UTC) changes."""
    if not len(bars):
        return
    years = times_of(bars).astype("datetime64[us]").astype("datetime64[Y]").astype(int) + 1970
    tickers = bars["ticker"].combine_chunks().dictionary_encode()
    codes = np.asarray(tickers.indices)
    starts = np.flatnonzero(np.append(True, (years[1:] != years[:-1]) | (codes[1:] != codes[:-1])))
    for first, last in zip(starts, [*starts[1:], len(bars)], strict=True):
        part = bars.slice(int(first), int(last - first))
        yield str(part["ticker"][0]), int(years[first]), part.select(FILE_SCHEMA.names)


def _with_ticker(ticker: str, table: pa.Table) -> pa.Table:
    names = pa.array([ticker], pa.string()).take(pa.array(np.zeros(len(table), np.int32)))
    return pa.table([names, *table.columns], schema=BAR_SCHEMA)
