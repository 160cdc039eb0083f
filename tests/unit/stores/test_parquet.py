"""The Parquet store: what goes in comes out, copies prove it, and no file is taken for what it is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_lab import D1, H1, NOW, VN, blocks, digest_of, frame, read_all, series, tree

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.model import Interval, utc
from hypertape.stores import Block, Selection
from hypertape.stores.copy import copy, verify
from hypertape.stores.csv import CsvStore
from hypertape.stores.parquet import ParquetStore
from hypertape.stores.parquet_series import ParquetSeries
from object_store import object_store

ALL = Selection()
MANY = {
    (D1, "VIC"): frame("VIC", 800, adjusted=True),
    (D1, "E1"): frame("E1", 3, seed=2),
    (H1, "VIC"): frame("VIC", 9_000, H1),
}


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    return ParquetStore(str(tmp_path / "bars"))


def fill(store: ParquetStore) -> ParquetStore:
    for (interval, _), table in MANY.items():
        store.write(VN, interval, blocks(table, 250))
    return store


def place(store: ParquetStore, ticker: str = "VIC", year: int = 2021) -> Path:
    return Path(store.url) / f"market=vn/interval=1d/ticker={ticker}/year={year}/bars.parquet"


def test_what_goes_in_comes_out(store: ParquetStore) -> None:
    fill(store)
    found = {(i.series.interval, i.series.ticker): i for i in store.series(ALL)}
    assert found.keys() == MANY.keys()
    for (interval, ticker), table in MANY.items():
        assert read_all(store.read(series("vn", ticker, interval), rows=70)).equals(table)
        assert store.digest(series("vn", ticker, interval)) == digest_of(table)
        info = found[interval, ticker]
        assert (info.rows, info.first) == (len(table), table["time"][0].as_py())
        assert info.last == table["time"][-1].as_py()
    late = read_all(store.read(series("vn", "VIC"), start=utc(2021, 6, 1)))
    assert late.equals(
        MANY[D1, "VIC"].filter(pa.compute.greater_equal(MANY[D1, "VIC"]["time"], pa.scalar(utc(2021, 6, 1))))
    )
    assert store.rest() == []


def test_writing_again_changes_no_byte(store: ParquetStore) -> None:
    before = tree(Path(fill(store).url))
    written = store.write(VN, D1, blocks(MANY[D1, "VIC"], 33))
    assert (written.inserted, written.updated, written.unchanged) == (0, 0, 800)
    assert tree(Path(store.url)) == before


def test_new_bars_are_laid_over_old_ones(store: ParquetStore) -> None:
    fill(store)
    table = MANY[D1, "VIC"]
    doubled = table.slice(300, 10).set_column(
        5, "close", pa.compute.multiply(table["close"].slice(300, 10), 2.0)
    )
    bare = doubled.set_column(7, "adjusted_close", pa.nulls(10, pa.float64()))
    longer = frame("VIC", 830).slice(800)
    written = store.write(VN, D1, [Block(longer), Block(bare)])
    assert (written.inserted, written.updated, written.unchanged) == (30, 10, 0)
    found = read_all(store.read(series("vn", "VIC")))
    assert len(found) == 830
    assert found["close"].slice(300, 10).combine_chunks().equals(doubled["close"].combine_chunks())
    assert found["adjusted_close"].slice(300, 10).equals(table["adjusted_close"].slice(300, 10)), (
        "left as it was"
    )


@pytest.mark.parametrize("ticker", ["^GSPC", "BRK/B", "A=B", "BTC-USD", "a b", "..", "ĐÔNG", "50%"])
def test_any_ticker_has_a_place(store: ParquetStore, ticker: str) -> None:
    table = frame(ticker, 5)
    store.write(VN, D1, blocks(table))
    assert [info.series.ticker for info in store.series(ALL)] == [ticker]
    assert read_all(store.read(series("vn", ticker))).equals(table)
    assert len(list(Path(store.url).glob("market=vn/interval=1d/ticker=*/year=2020/bars.parquet"))) == 1


def test_it_goes_through_copy_and_back(store: ParquetStore, tmp_path: Path) -> None:
    fill(store)
    tree_, again = CsvStore(tmp_path / "csv"), ParquetStore(str(tmp_path / "again"))
    for source, target in ((store, tree_), (tree_, again)):
        report = copy(source, target, ALL, now=NOW, verify=True)
        assert not report.failed
        assert not report.discrepancies
    assert {i.series: again.digest(i.series) for i in again.series(ALL)} == {
        i.series: store.digest(i.series) for i in store.series(ALL)
    }


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _rewritten(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.slice(0, len(table) - 1), path)


DAMAGE = {
    "cut": (_cut, "not what was written"),
    "one bit changed": (_changed, "not what was written"),
    "written by somebody else, a bar fewer": (_rewritten, "not what was written"),
    "removed": (Path.unlink, "not there"),
    "another year's": (lambda path: shutil.copy(place_of_year(path, 2020), path), "not what was written"),
    "its manifest cut": (lambda path: _cut(path.parents[1] / "_manifest.json"), "no manifest"),
}  # fmt: skip


def place_of_year(path: Path, year: int) -> Path:
    return path.parents[1] / f"year={year}" / path.name


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_finds_a_file_that_is_not_what_it_was(
    store: ParquetStore, tmp_path: Path, damage: str
) -> None:
    fill(store)
    whole = ParquetStore(str(shutil.copytree(store.url, tmp_path / "whole")))
    harm, says = DAMAGE[damage]
    harm(place(store))
    with pytest.raises(BadInput, match=says):
        read_all(store.read(series("vn", "VIC")))
    if damage == "its manifest cut":
        return
    for one, other in ((whole, store), (store, whole)):
        report = verify(one, other, ALL, now=NOW)
        assert [str(entry.series) for entry in report.failed] == ["vn/1d/VIC"]
    with pytest.raises(BadInput, match=says):
        store.write(VN, D1, [Block(frame("VIC", 400, seed=9))])


def test_a_file_that_no_manifest_knows_is_named(store: ParquetStore) -> None:
    fill(store)
    shutil.copytree(place(store).parent, place(store, year=1999).parent)
    assert store.rest() == ["market=vn/interval=1d/ticker=VIC/year=1999/bars.parquet"]
    assert read_all(store.read(series("vn", "VIC"))).equals(MANY[D1, "VIC"])


@pytest.mark.parametrize("steps", range(9))
def test_a_kill_at_any_step_is_made_good_by_the_next_copy(
    store: ParquetStore, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Three years of three writes each; before the kill there were other bars."""
    store.write(VN, D1, blocks(frame("VIC", 500, seed=7)))
    puts, put = iter(range(100)), ParquetSeries._put

    def killed(self: ParquetSeries, name: str, data: bytes) -> None:
        if next(puts) == steps:
            raise KeyboardInterrupt
        put(self, name, data)

    with monkeypatch.context() as patched:
        patched.setattr(ParquetSeries, "_put", killed)
        with pytest.raises(KeyboardInterrupt):
            store.write(VN, D1, blocks(MANY[D1, "VIC"]))
    readable = read_all(store.read(series("vn", "VIC")))
    assert len(readable) >= 500, "what was there before is still read, old or new"
    store.write(VN, D1, blocks(MANY[D1, "VIC"]))
    assert read_all(store.read(series("vn", "VIC"))).equals(MANY[D1, "VIC"])
    assert store.rest() == []
    manifest = json.loads((place(store).parents[1] / "_manifest.json").read_text())
    assert "next" not in manifest
    assert manifest["rows"] == 800


def test_what_is_no_number_is_null_in_the_file_and_infinity_stays(store: ParquetStore) -> None:
    """Who sums a column with another program must not get NaN of it."""
    table = frame("VIC", 4, adjusted=True)
    odd = pa.array([None, 1.0, float("inf"), float("-inf")], pa.float64())
    for name in ("volume", "close"):
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), odd)
    store.write(VN, D1, [Block(table)])
    found = pq.read_table(place(store, year=2020), partitioning=None)
    assert found["volume"].to_pylist() == [None, 1.0, float("inf"), float("-inf")]
    assert store.digest(series("vn", "VIC")) == digest_of(table)
    written = store.write(VN, D1, [Block(table)])
    assert (written.inserted, written.updated, written.unchanged) == (0, 0, 4)


def test_a_ticker_that_another_program_spelt_otherwise_is_named_and_not_read_twice(
    store: ParquetStore,
) -> None:
    store.write(VN, D1, blocks(frame("A B", 5)))
    own = Path(store.url) / "market=vn" / "interval=1d" / "ticker=A%20B"
    shutil.copytree(own, own.with_name("ticker=A B"))
    assert [info.series.ticker for info in store.series(ALL)] == ["A B"]
    assert store.rest() == ["market=vn/interval=1d/ticker=A B/year=2020/bars.parquet"]


def test_a_store_that_is_not_there_is_told(store: ParquetStore) -> None:
    with pytest.raises(SourceFileMissing, match="does not exist"):
        list(store.series(ALL))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    import s3fs

    with object_store() as address:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("bars")
        yield "s3://bars/tape"
        s3fs.S3FileSystem.clear_instance_cache()


def test_it_lies_on_an_object_store_as_well(bucket: str, store: ParquetStore) -> None:
    fill(store)
    there = ParquetStore(bucket)
    assert list(there.series(ALL)) == []
    assert not copy(store, there, ALL, now=NOW, verify=True).discrepancies
    assert {i.series: there.digest(i.series) for i in there.series(ALL)} == {
        i.series: store.digest(i.series) for i in store.series(ALL)
    }
    assert there.rest() == []
    report = copy(store, there, ALL, now=NOW)
    assert {entry.status for entry in report.series} == {"equal"}


def test_other_readers_of_parquet_read_it_as_it_is(store: ParquetStore) -> None:
    """DuckDB, polars and pyarrow's own data sets, with the partitions of the path as columns."""
    import duckdb
    import polars as pl

    fill(store)
    files = f"{store.url}/**/*.parquet"
    rows = sum(len(table) for table in MANY.values())
    sql = (
        "select interval, ticker, count(*), sum(close) from read_parquet(?, hive_partitioning = true) "
        "group by all"
    )
    found = {(i, t): (n, total) for i, t, n, total in duckdb.execute(sql, [files]).fetchall()}
    frames = (
        pl.scan_parquet(files, hive_partitioning=True)
        .group_by("interval", "ticker")
        .agg(pl.len().alias("n"))
        .collect()
    )
    for (interval, ticker), table in MANY.items():
        assert found[interval.value, ticker][0] == len(table)
        assert found[interval.value, ticker][1] == pytest.approx(
            pa.compute.sum(table["close"]).as_py(), rel=1e-12
        )
        assert frames.filter(pl.col("interval") == interval.value, pl.col("ticker") == ticker)[
            "n"
        ].item() == len(table)
    assert pa.dataset.dataset(store.url, partitioning="hive").count_rows() == rows


def test_only_stored_intervals_are_looked_for(store: ParquetStore) -> None:
    fill(store)
    (Path(store.url) / "market=vn/interval=1w/ticker=VIC").mkdir(parents=True)
    assert {info.series.interval for info in store.series(ALL)} == {Interval.D1, Interval.H1}
