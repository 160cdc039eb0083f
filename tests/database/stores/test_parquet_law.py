"""Out of a warehouse to Parquet and back: equal digests, DuckDB's answers are SQL's, whatever lies between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

import duckdb
import pytest
from lab import CRYPTO, D1, M1, NOW, to_frame, walk

from hypertape.digest import SeriesDigest
from hypertape.errors import BadInput, UnknownTicker
from hypertape.frame import Bars
from hypertape.model import Series, utc
from hypertape.stores import Block, Selection
from hypertape.stores.copy import copy, verify
from hypertape.stores.parquet import ParquetStore
from hypertape.stores.warehouse import WarehouseStore
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import digests
from hypertape.warehouse.schema import tier
from hypertape.warehouse.symbology import rename
from object_store import object_store, own_bucket

ALL, YEAR_END = Selection(), utc(2023, 12, 30)
ASKED = (
    "select ticker, count(*), min(low), max(high), min(time), max(time), count(adjusted_close), min(close), "
    "max(volume) from {} group by 1 order by 1"
)
NewWarehouse = Callable[[], AbstractContextManager[str]]


def bare(bars: Bars) -> Bars:
    """The same without adjusted closes."""
    return Bars(bars.time, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.close * float("nan"))


@pytest.fixture
def filled(warehouse: str) -> str:
    """Days of three tickers, minutes of one over the end of a year; one was renamed, chunks are compressed."""
    store = WarehouseStore(warehouse, NOW, "run", "lab")
    days = {"OLD": walk(500), "BTC-USDT": bare(walk(300, seed=2)), "^X=F": walk(10, seed=3)}
    store.write(CRYPTO, D1, [Block(to_frame(days))])
    store.write(CRYPTO, M1, [Block(to_frame({"OLD": walk(4_000, interval=M1, start=YEAR_END)}))])
    with connect(warehouse, autocommit=True) as connection:
        rename(connection, CRYPTO, "OLD", "NEW", date(2024, 1, 5))
        if tier(connection) == "timescaledb":
            for relation in ("crypto_data_1d", "crypto_data_1m"):
                connection.execute(
                    f"select compress_chunk(c, true) from show_chunks('bars.{relation}') c".encode()
                )
    store.close()
    return warehouse


def all_digests(dsn: str) -> list[SeriesDigest]:
    with connect(dsn) as connection:
        return [found for interval in (D1, M1) for found in digests(connection, CRYPTO, interval)]


def goes_and_comes_back(dsn: str, place: str, new_warehouse: NewWarehouse) -> None:
    store = ParquetStore(place)
    one = WarehouseStore(dsn, NOW, "run", "lab")
    done = copy(one, store, ALL, now=NOW, verify=True)
    assert not done.failed
    assert not done.discrepancies
    assert {str(entry.series) for entry in done.series} == {
        "crypto/1d/NEW", "crypto/1d/BTC-USDT", "crypto/1d/^X=F", "crypto/1m/NEW",
    }  # fmt: skip
    assert store.rest() == []
    with new_warehouse() as other:
        two = WarehouseStore(other, NOW, "run", "lab")
        assert not copy(store, two, ALL, now=NOW, verify=True).failed
        assert all_digests(other) == all_digests(dsn)
        again = copy(store, two, ALL, now=NOW)
        assert {entry.status for entry in again.series} == {"equal"}
        two.close()
    one.close()


def test_digests_are_equal_and_duckdb_says_what_sql_says(
    filled: str, tmp_path: Path, new_warehouse: NewWarehouse
) -> None:
    """Ten million bars: `python -m benchmarks --only parquet`."""
    goes_and_comes_back(filled, str(tmp_path / "tape"), new_warehouse)
    for interval in ("1d", "1m"):
        every = f"from read_parquet('{tmp_path}/tape/**/*.parquet', hive_partitioning = true)"
        files = f"({every} where interval = '{interval}')"
        with duckdb.connect() as reader, connect(filled) as connection:
            reader.execute("set timezone = 'UTC'")
            found = reader.execute(ASKED.format(files)).fetchall()
            assert found == connection.execute(ASKED.format(f"crypto_data_{interval}").encode()).fetchall()
            assert found


def test_the_same_on_an_object_store(filled: str, new_warehouse: NewWarehouse) -> None:
    with object_store() as address, own_bucket(address, "tape") as bucket:
        goes_and_comes_back(filled, f"s3://{bucket}/tape", new_warehouse)


def test_a_former_name_begins_no_second_series(filled: str, tmp_path: Path) -> None:
    """An archive of before the rename: it is told what the series is called, and goes in under that."""
    store = ParquetStore(str(tmp_path / "tape"))
    store.write(CRYPTO, D1, [Block(to_frame({"OLD": walk(40, start=utc(2022, 1, 1))}))])
    one = WarehouseStore(filled, NOW, "run", "lab")
    before = all_digests(filled)
    with pytest.raises(UnknownTicker, match="OLD is called NEW since 2024-01-05"):
        one.write(CRYPTO, D1, store.read(Series("crypto", "OLD", D1)))
    report = copy(store, one, ALL, now=NOW)
    assert [str(entry.series) for entry in report.failed] == ["crypto/1d/OLD"]
    assert all_digests(filled) == before
    places = tmp_path / "tape" / "market=crypto" / "interval=1d"
    (places / "ticker=OLD").rename(places / "ticker=NEW")
    assert one.write(CRYPTO, D1, store.read(Series("crypto", "NEW", D1))).inserted == 40
    one.close()


def test_names_that_no_warehouse_takes_cost_nobody_else(warehouse: str, tmp_path: Path) -> None:
    names = ["FINE", "../x", "BTC/USDT", "a b", "ĐÔNG", "x" * 40, "'; drop table series; --"]
    store = ParquetStore(str(tmp_path / "tape"))
    store.write(CRYPTO, D1, [Block(to_frame({name: walk(5)})) for name in names])
    assert sorted(info.series.ticker for info in store.series(ALL)) == sorted(names)
    assert list(tmp_path.iterdir()) == [tmp_path / "tape"]
    one = WarehouseStore(warehouse, NOW, "run", "lab")
    copy(store, one, ALL, now=NOW)
    with connect(warehouse) as connection:
        assert connection.execute("select distinct ticker from crypto_data_1d").fetchall() == [("FINE",)]
        refused = connection.execute("select count(*) from quarantine where rule = 'bad_ticker'").fetchone()
        assert refused == (5 * (len(names) - 1),)
    one.close()


def test_nothing_makes_no_file(warehouse: str, tmp_path: Path) -> None:
    one, store = WarehouseStore(warehouse, NOW, "run", "lab"), ParquetStore(str(tmp_path / "tape"))
    with pytest.raises(BadInput, match="has no series at all"):
        copy(one, store, ALL, now=NOW)
    assert not (tmp_path / "tape").exists()
    one.close()


KILLED = """
import os, signal, sys
from hypertape.stores.parquet import ParquetStore
from hypertape.stores.parquet_series import ParquetSeries
from hypertape.stores.warehouse import WarehouseStore
from hypertape.stores.copy import copy
from hypertape.stores import Selection
from hypertape.model import utc
dsn, place, steps = sys.argv[1:]
done, files = [], ParquetStore(place)._place[0]
move = type(files).mv
def killed(self, *words, **more):
    done.append(1)
    if len(done) > int(steps):
        os.kill(os.getpid(), signal.SIGKILL)
    move(self, *words, **more)
type(files).mv = killed
copy(WarehouseStore(dsn, utc(2030), "run", "lab"), ParquetStore(place), Selection(), now=utc(2030))
"""


@pytest.mark.parametrize(
    "steps", [4, *(pytest.param(n, marks=pytest.mark.thorough) for n in (0, 1, 2, 3, 5, 6, 7))]
)
def test_a_killed_copy_leaves_nothing_that_is_taken_for_bars(filled: str, tmp_path: Path, steps: int) -> None:
    place = tmp_path / "tape"
    words = [sys.executable, "-c", KILLED, filled, str(place), str(steps)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == -9
    store, one = ParquetStore(str(place)), WarehouseStore(filled, NOW, "run", "lab")
    for info in store.series(ALL):
        assert sum(len(block.bars) for block in store.read(info.series)) == info.rows
    assert copy(one, store, ALL, now=NOW, verify=True).failed == ()
    assert store.rest() == []
    assert verify(one, store, ALL, now=NOW).discrepancies == ()
    one.close()
