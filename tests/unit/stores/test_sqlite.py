"""The dual-write schema as a store: what is written comes back bit for bit, and a row that is there stays that row."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hypertape.errors import BadInput, DatabaseBusy, SourceFileMissing
from hypertape.frame import BAR_SCHEMA, bar_frame, micros, reject_frame
from hypertape.indicators import enrich
from hypertape.markets import get_market
from hypertape.model import INDICATOR_COLUMNS, Interval, Series, utc
from hypertape.stores import Block, Selection, Written, _sqlite_write
from hypertape.stores.sqlite import SqliteStore

CRYPTO, VN = get_market("crypto"), get_market("vn")
BTC = Series("crypto", "BTC", Interval.D1)
DAY = 86_400_000_000
FIRST, LATER = utc(2025, 1, 1), utc(2025, 2, 1)


def walk(bars: int, *, ticker: str = "BTC", adjusted: bool = False) -> pa.Table:
    """Bars whose numbers have no short binary form, volumes in fractions."""
    random = np.random.default_rng(bars)
    close = 100 + random.normal(0, 1, bars)
    values = {
        "open": close,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": random.uniform(0, 9, bars),
    }
    if adjusted:
        values["adjusted_close"] = close * 0.9
    return bar_frame(ticker, micros(utc(2020)) + np.arange(bars) * DAY, values)


def changed(bars: pa.Table, row: int, close: float) -> pa.Table:
    closes = bars["close"].to_pylist()
    closes[row] = close
    return bars.set_column(bars.schema.get_field_index("close"), BAR_SCHEMA.field("close"), pa.array(closes))


def store_at(root: Path, now: datetime = FIRST) -> SqliteStore:
    return SqliteStore(root, now=now)


def put(store: SqliteStore, *frames: pa.Table) -> Written:
    return store.write(CRYPTO, Interval.D1, [Block(frame) for frame in frames])


def read(store: SqliteStore, series: Series = BTC, **options: Any) -> pa.Table:
    return pa.concat_tables(
        [BAR_SCHEMA.empty_table(), *(block.bars for block in store.read(series, **options))]
    )


def rows(path: Path, columns: str, table: str = "crypto_daily") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"select {columns} from {table} order by ticker, time").fetchall()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_is_written_is_read(tmp_path: Path, size: int) -> None:
    store, bars = store_at(tmp_path), walk(50)
    assert put(store, bars) == Written(inserted=50)
    assert read(store, rows=size).equals(bars)
    assert put(store, bars) == Written(unchanged=50)


def test_any_cut_into_blocks_gives_the_same_rows(tmp_path: Path) -> None:
    bars = walk(450)
    put(store_at(tmp_path / "whole"), bars)
    put(store_at(tmp_path / "parts"), bars.slice(0, 3), bars.slice(3, 250), bars.slice(253))
    whole, parts = (rows(tmp_path / name / "crypto_data.db", "*") for name in ("whole", "parts"))
    assert whole == parts


def test_indicators_are_those_of_the_series(tmp_path: Path) -> None:
    bars = walk(260)
    put(store_at(tmp_path), bars.slice(100), bars.slice(0, 100))  # history arrives late
    expected = enrich(bars["close"].to_numpy(), bars["volume"].to_numpy())
    stored = rows(tmp_path / "crypto_data.db", ", ".join(INDICATOR_COLUMNS))
    for column, values in zip(INDICATOR_COLUMNS, zip(*stored, strict=True), strict=True):
        np.testing.assert_array_equal(np.array(values, float), expected[column], err_msg=column)


@pytest.mark.parametrize(
    ("volume", "kind"),
    [
        (5.0, "integer"),
        (0.1, "real"),
        (1e15, "integer"),
        (2.0**53, "integer"),
        (1e19, "real"),
        (0.0, "integer"),
    ],
)
def test_a_volume_keeps_its_value(tmp_path: Path, volume: float, kind: str) -> None:
    bars = walk(1).set_column(6, BAR_SCHEMA.field("volume"), pa.array([volume]))
    put(store_at(tmp_path), bars)
    assert rows(tmp_path / "crypto_data.db", "typeof(volume)") == [(kind,)]
    assert read(store_at(tmp_path))["volume"].to_pylist() == [volume]


def test_an_update_keeps_id_and_created_at(tmp_path: Path) -> None:
    path, bars = tmp_path / "crypto_data.db", walk(3)
    put(store_at(tmp_path), bars)
    before = rows(path, "id, created_at")
    assert put(store_at(tmp_path, LATER), changed(bars, 1, 99.5)) == Written(updated=1, unchanged=2)
    assert rows(path, "id, created_at") == before
    first, later = (int(now.timestamp()) for now in (FIRST, LATER))
    # the bar after it has another change; the one before it does not
    assert rows(path, "close, updated_at")[0][1] == first
    assert [updated for (updated,) in rows(path, "updated_at")] == [first, later, later]
    assert rows(path, "close")[1] == (99.5,)


def test_the_table_is_the_documents(tmp_path: Path) -> None:
    put(store_at(tmp_path), walk(1))
    with closing(sqlite3.connect(tmp_path / "crypto_data.db")) as connection:
        names = [row[1] for row in connection.execute("pragma table_info(crypto_daily)")]
        indexes = {row[1] for row in connection.execute("pragma index_list(crypto_daily)")}
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    prices = ["open", "high", "low", "close", "volume"]
    assert names == ["id", "ticker", "time", *prices, *INDICATOR_COLUMNS, "created_at", "updated_at"]
    assert {"idx_crypto_daily_ticker_time", "idx_crypto_daily_unique"} <= indexes


def test_adjusted_closes_get_a_column_when_there_are_some(tmp_path: Path) -> None:
    store, plain, adjusted = store_at(tmp_path), walk(3), walk(3, adjusted=True)
    put(store, plain)
    assert put(store, adjusted) == Written(updated=3)
    assert read(store).equals(adjusted)
    assert put(store, plain) == Written(unchanged=3), "a source without adjusted closes takes none away"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_the_schema_cannot_hold_is_counted(tmp_path: Path, bad: float) -> None:
    reject = reject_frame([("BTC", None, "bad_time", "x", "{}")])
    written = store_at(tmp_path).write(CRYPTO, Interval.D1, [Block(changed(walk(3), 1, bad), reject)])
    assert written == Written(inserted=2, refused=2)


def test_a_block_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = pa.concat_tables([walk(3, ticker="BTC"), walk(3, ticker="ETH")])
    put(store_at(tmp_path), walk(1, ticker="AAA"))
    real = _sqlite_write.enrich

    def once(*arrays: Any) -> Any:
        monkeypatch.setattr(_sqlite_write, "enrich", fail)
        return real(*arrays)

    def fail(*_: Any) -> Any:
        raise RuntimeError("pulled the plug")

    monkeypatch.setattr(_sqlite_write, "enrich", once)
    with pytest.raises(RuntimeError, match="pulled the plug"):
        put(store_at(tmp_path), two)
    assert rows(tmp_path / "crypto_data.db", "ticker") == [("AAA",)]


def test_a_locked_file_is_worth_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store_at(tmp_path), walk(1))
    monkeypatch.setattr(_sqlite_write, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(tmp_path / "crypto_data.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(DatabaseBusy, match="Another process holds"):
            put(store_at(tmp_path), walk(2))
        assert len(read(store_at(tmp_path))) == 1, "readers do not wait for it"
        other.execute("rollback")


def test_reading_from_a_start(tmp_path: Path) -> None:
    store, bars = store_at(tmp_path), walk(10)
    put(store, bars)
    assert read(store, start=utc(2020, 1, 4), rows=3).equals(bars.slice(3))
    assert read(store, start=utc(2020, 1, 3, 0, 1)).equals(bars.slice(3))


def document_table(path: Path, values: list[tuple[Any, ...]]) -> None:
    """A table some other program made: no types, no key."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table crypto_daily (ticker, time, open, high, low, close, volume)")
        connection.executemany("insert into crypto_daily values (?, ?, ?, ?, ?, ?, ?)", values)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("BTC", "2024-01-02", 1, 2, 1, 2, 3), "bad_time"),
        (("BTC", None, 1, 2, 1, 2, 3), "bad_time"),
        (("BTC", 2**62, 1, 2, 1, 2, 3), "bad_time"),
        (("BTC", 172_800, 1, None, 1, 2, 3), "null_price"),
        (("BTC", 172_800, 1, 2, 1, 2, None), "null_volume"),
        (("BTC", 172_800, "one", 2, 1, 2, 3), "text_in_number"),
        (("BTC", 86_400, 7, 9, 7, 8, 3), "duplicate_key"),
    ],
)
def test_a_row_that_is_no_bar_is_a_reject(tmp_path: Path, row: tuple[Any, ...], rule: str) -> None:
    path = tmp_path / "crypto_data.db"
    document_table(path, [row, ("BTC", 86_400, 1, 2, 1, 2, 3)])
    blocks = list(store_at(tmp_path).read(BTC))
    assert [reject["rule"] for block in blocks for reject in block.rejects.to_pylist()] == [rule]
    assert [bar["close"] for block in blocks for bar in block.bars.to_pylist()] == [2.0]


def test_series_of_a_directory_and_of_one_file(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "all.db"):
        store = store_at(root)
        store.write(VN, Interval.H1, [Block(walk(2, ticker="VIC"))])
        put(store, walk(3, ticker="ETH"), walk(3, ticker="BTC"))
        found = [(str(info.series), info.rows, info.first, info.last) for info in store.series(Selection())]
        assert found == [
            ("crypto/1d/BTC", 3, utc(2020), utc(2020, 1, 3)),
            ("crypto/1d/ETH", 3, utc(2020), utc(2020, 1, 3)),
            ("vn/1h/VIC", 2, utc(2020), utc(2020, 1, 2)),
        ]
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["all.db", "crypto_data.db", "vn_data.db"]


def test_a_series_that_is_not_there_has_no_bars(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    assert list(store.read(BTC)) == []
    with pytest.raises(SourceFileMissing, match="no dual-write file"):
        list(store.series(Selection()))
    put(store, walk(1))
    assert list(store.read(Series("crypto", "BTC", Interval.H1))) == []
    assert store.digest(Series("crypto", "NONE", Interval.D1)).rows == 0


def test_derived_intervals_have_no_table(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no table for 1w"):
        store_at(tmp_path).write(CRYPTO, Interval.W1, [])
