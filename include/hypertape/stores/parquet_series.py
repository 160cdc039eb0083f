"""One series as Parquet files, one a year, and the manifest that says what is in them.

`ticker=VIC/year=2024/bars.parquet` has the columns time (timestamp[us, UTC]), open, high, low, close, volume and
adjusted_close; what stands in the path is not repeated in it. `ticker=VIC/_manifest.json` has of each year its rows,
first and last bar, the digest of its bars (`digest.canonical`), the sha256 of the file and the version that wrote it.
A reader compares the file with it, so that a file that was cut, changed or lost is never taken for the bars.

A file and its manifest cannot be written at once. So the manifest is written first, with the new file's sha256 beside
the old one's (`next`): after a kill, either file is one that it knows.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hypertape import __version__
from hypertape.digest import CANONICAL_COLUMNS, RunningDigest
from hypertape.errors import BadInput
from hypertape.frame import BAR_SCHEMA, floats_of, micros, times_of
from hypertape.model import VALUE_COLUMNS, Series, format_instant
from hypertape.storage import PARQUET, storage_errors
from hypertape.stores import Written

MANIFEST = "_manifest.json"
"""Readers of Parquet leave out files whose names begin with an underscore."""

FILE = "bars.parquet"
FILE_SCHEMA = pa.schema([BAR_SCHEMA.field(name) for name in ("time", *VALUE_COLUMNS)])
_ZSTD = {"compression": "zstd", "use_dictionary": False, "row_group_size": 122_880}

errors_of_place = partial(storage_errors, PARQUET)


@dataclass(frozen=True, slots=True)
class YearFile:
    """What the manifest says of one year."""

    year: int
    rows: int
    first: str
    last: str
    digest: str
    sha256: str
    code_version: str = __version__


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a series' files. `next` is a year that was being written when the manifest was."""

    years: dict[int, YearFile] = field(default_factory=dict)
    next: YearFile | None = None

    @property
    def rows(self) -> int:
        """Bars in all."""
        return sum(year.rows for year in self.years.values())

    def to_bytes(self, series: Series) -> bytes:
        """The file's text."""
        whole = {
            "market": series.market,
            "interval": series.interval.value,
            "ticker": series.ticker,
            "rows": self.rows,
            "code_version": __version__,
            "years": [asdict(self.years[year]) for year in sorted(self.years)],
            **({"next": asdict(self.next)} if self.next else {}),
        }
        return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read the file's text. Raises ValueError, KeyError or TypeError for what is none."""
        whole = json.loads(data)
        years = {entry["year"]: YearFile(**entry) for entry in whole["years"]}
        return cls(years, YearFile(**whole["next"]) if "next" in whole else None)


@dataclass(frozen=True, slots=True)
class ParquetSeries:
    """The files of one series in a directory of a file system (fsspec's)."""

    files: Any
    root: str
    series: Series

    @property
    def directory(self) -> str:
        """Where its files lie."""
        return f"{self.root}/{place_of(self.series)}"

    def manifest(self) -> Manifest:
        """What is in the files; empty where there is none. Raises BadInput for a manifest that is none."""
        try:
            with errors_of_place():
                data = self.files.cat_file(f"{self.directory}/{MANIFEST}")
        except FileNotFoundError:
            return Manifest()
        return read_manifest(data, self.series, self.directory)

    def years(self, start: datetime | None = None) -> Iterator[pa.Table]:
        """The bars from `start` on, a table of FILE_SCHEMA for each year. Raises BadInput as `_read` does."""
        manifest = self.manifest()
        for year in sorted(manifest.years.keys() | ({manifest.next.year} if manifest.next else set())):
            if start is None or year >= start.year:
                table = self._read(manifest, year)
                first = 0 if start is None else int(np.searchsorted(times_of(table), micros(start)))
                if first < len(table):
                    yield table.slice(first)

    def lay(self, year: int, bars: pa.Table) -> Written:
        """Lay bars of one year (of FILE_SCHEMA, sorted, keys unique) over those that are there."""
        manifest = self.manifest()
        there = year in manifest.years or (manifest.next is not None and manifest.next.year == year)
        old = self._read(manifest, year) if there else FILE_SCHEMA.empty_table()
        merged, written = laid_over(old, bars)
        half_written = manifest.next is not None and manifest.next.year == year
        if written.inserted or written.updated or half_written:
            self._write(manifest, year, merged)
        return written

    def _write(self, manifest: Manifest, year: int, bars: pa.Table) -> None:
        if manifest.next is not None and manifest.next.year != year:
            manifest = self._settled(manifest)
        sink = io.BytesIO()
        pq.write_table(bars, sink, **_ZSTD)
        data = sink.getvalue()
        made = _described(year, bars, data)
        self._put(MANIFEST, replace(manifest, next=made).to_bytes(self.series))
        self._put(f"year={year}/{FILE}", data)
        settled = Manifest({**manifest.years, year: made})
        self._put(MANIFEST, settled.to_bytes(self.series))

    def _settled(self, manifest: Manifest) -> Manifest:
        """The manifest with the year that a kill left half written as its file has it."""
        assert manifest.next is not None
        year, before = manifest.next.year, manifest.years.get(manifest.next.year)
        try:
            found = hashlib.sha256(self._bytes(year)).hexdigest()
        except FileNotFoundError as error:
            if before is None:  # its first file was being written
                return Manifest(manifest.years)
            raise self._damaged(year, "it is not there") from error
        for entry in (manifest.next, before):
            if entry is not None and entry.sha256 == found:
                return Manifest({**manifest.years, year: entry})
        raise self._damaged(year, "it is not what was written")

    def _read(self, manifest: Manifest, year: int) -> pa.Table:
        """The bars of a year. Raises BadInput where the file is lost, cut or changed."""
        try:
            data = self._bytes(year)
        except FileNotFoundError as error:
            if year not in manifest.years:
                return FILE_SCHEMA.empty_table()  # its first file was being written
            raise self._damaged(year, "it is not there") from error
        entries = (manifest.years.get(year), manifest.next)
        known = {entry.sha256 for entry in entries if entry is not None and entry.year == year}
        if hashlib.sha256(data).hexdigest() not in known:
            raise self._damaged(year, "it is not what was written")
        table: pa.Table = pq.read_table(io.BytesIO(data), columns=FILE_SCHEMA.names, partitioning=None)
        return table.cast(FILE_SCHEMA)

    def _bytes(self, year: int) -> bytes:
        with errors_of_place():
            data: bytes = self.files.cat_file(f"{self.directory}/year={year}/{FILE}")
        return data

    def _put(self, name: str, data: bytes) -> None:
        """Write a file whole: where files are written in place, beside it first."""
        path = f"{self.directory}/{name}"
        with errors_of_place():
            if "file" not in self.files.protocol:
                self.files.pipe_file(path, data)
                return
            self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
            beside = f"{path.rpartition('/')[0]}/_{path.rpartition('/')[2]}.part"
            self.files.pipe_file(beside, data)
            self.files.mv(beside, path)

    def _damaged(self, year: int, what: str) -> BadInput:
        return BadInput(
            f"{self.directory}/year={year}/{FILE}: {what}",
            next_step="Restore the file, or remove the ticker's directory and copy the series again.",
            market=self.series.market,
            ticker=self.series.ticker,
            interval=self.series.interval.value,
        )


def place_of(series: Series) -> str:
    """Where a series lies in a store; what a path cannot hold of a ticker is written as in a URL, as Hive does."""
    name = quote(series.ticker, safe="-_.")
    return f"market={series.market}/interval={series.interval.value}/ticker={name}"


def read_manifest(data: bytes, series: Series, directory: str) -> Manifest:
    """Read a manifest. Raises BadInput for one that is none."""
    try:
        return Manifest.from_bytes(data)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{directory}/{MANIFEST} is no manifest of {series}",
            next_step="Restore it, or remove the ticker's directory and copy the series again.",
        ) from error


def laid_over(old: pa.Table, new: pa.Table) -> tuple[pa.Table, Written]:
    """Bars laid over others, both sorted with unique times: a bar without an adjusted close leaves the one there is."""
    held, coming = times_of(old), times_of(new)
    at = np.minimum(np.searchsorted(held, coming), max(len(held) - 1, 0))
    known = held[at] == coming if len(held) else np.zeros(len(coming), bool)
    times = np.concatenate([held, coming[~known]])
    order = np.argsort(times, kind="stable")
    columns, same = [], np.ones(int(known.sum()), bool)
    for name in VALUE_COLUMNS:
        values, given = floats_of(old, name).copy(), floats_of(new, name)
        fresh = given[known]
        if name == "adjusted_close":
            fresh = np.where(np.isnan(fresh), values[at[known]] if len(held) else fresh, fresh)
        if len(held):
            same &= _equal(values[at[known]], fresh)
            values[at[known]] = fresh
        whole = np.concatenate([values, given[~known]])[order]
        columns.append(pa.array(whole, pa.float64(), from_pandas=True))
    time = pa.array(times[order]).cast(pa.timestamp("us")).cast(FILE_SCHEMA.field("time").type)
    written = Written(int((~known).sum()), int((~same).sum()), int(same.sum()))
    return pa.table([time, *columns], schema=FILE_SCHEMA), written


def _equal(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))


def _described(year: int, bars: pa.Table, data: bytes) -> YearFile:
    running = RunningDigest()
    running.add(times_of(bars), [floats_of(bars, name) for name in CANONICAL_COLUMNS])
    found = running.result("")
    assert found.first is not None
    assert found.last is not None
    first, last = (format_instant(at.astimezone(UTC)) for at in (found.first, found.last))
    return YearFile(year, found.rows, first, last, found.sha256, hashlib.sha256(data).hexdigest())
