"""Bars out of Stockula files: bit for bit where they are sound, a reject with its rule where they are not."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from threading import Timer
from typing import Any

import pyarrow as pa
import pytest
from psycopg import sql

from hypertape.errors import BadInput, DatabaseBusy, SourceFileMissing
from hypertape.frame import BAR_SCHEMA
from hypertape.markets import get_market
from hypertape.model import Interval, Series, utc
from hypertape.stores import Selection, _sqlite_arrow, _sqlite_file, _sqlite_read
from hypertape.stores.stockula import StockulaStore
from stockula_files import bar, stockula_file, troubled_file

AAPL = Series("us", "AAPL", Interval.D1)


def read(path: Path, series: Series = AAPL, **options: Any) -> tuple[pa.Table, list[dict[str, Any]]]:
    blocks = list(StockulaStore(path).read(series, **options))
    bars = pa.concat_tables([BAR_SCHEMA.empty_table(), *(block.bars for block in blocks)])
    return bars, [reject for block in blocks for reject in block.rejects.to_pylist()]


def rules(rejects: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(reject["rule"], reject["value"]) for reject in rejects]


def test_values_arrive_bit_for_bit(tmp_path: Path) -> None:
    odd = 0.1 + 0.2
    path = stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02", odd, 2**53)])
    bars, rejects = read(path)
    assert bars.to_pylist() == [
        {"ticker": "AAPL", "time": utc(2024, 1, 2), "open": 10.0, "high": 12.0, "low": 9.0, "close": odd,
         "volume": float(2**53), "adjusted_close": None}
    ]  # fmt: skip
    assert rejects == []


@pytest.mark.parametrize("first", [True, False], ids=["before the integers", "after them"])
@pytest.mark.parametrize(
    ("volume", "declared", "expected"),
    [
        (100, "INTEGER", 100.0),
        (0.1, "INTEGER", 0.1),  # a REAL in an INTEGER column keeps its bits
        (2.5, "REAL", 2.5),
        (7, "REAL", 7.0),
        ("123.25", "TEXT", 123.25),
        (" 12 ", "TEXT", 12.0),
        (42, "TEXT", 42.0),
        ("1e3", "TEXT", 1000.0),
    ],
)
def test_a_volume_of_any_type_is_read(
    tmp_path: Path, volume: Any, declared: str, expected: float, first: bool
) -> None:
    days = [f"2024-01-{day:02d}" for day in range(1, 9)]
    prices = [bar("AAPL", day, volume=5) for day in days]
    prices[0 if first else -1] = bar("AAPL", days[0 if first else -1], volume=volume)
    bars, rejects = read(stockula_file(tmp_path / "f.db", prices, volume_type=declared), rows=3)
    assert bars["volume"].to_pylist()[0 if first else -1] == expected
    assert len(bars) == 8
    assert rejects == []


@pytest.mark.parametrize(
    ("row", "rule", "value"),
    [
        (bar("AAPL", "2024-01-05", None), "null_price", "close_price=NULL"),
        (bar("AAPL", "2024-01-05", volume=None), "null_volume", "volume=NULL"),
        (bar("AAPL", "2024-01-05", "n/a"), "text_in_number", "close_price=n/a"),
        (bar("AAPL", "2024-01-05", "1_000"), "text_in_number", "close_price=1_000"),  # Python would take it
        (bar("AAPL", "2024-01-05", b"\x01"), "text_in_number", "close_price=01"),
        (bar("AAPL", "2024-02-30"), "bad_time", "date=2024-02-30"),  # SQLite itself would make it March 1
        (bar("AAPL", "now"), "bad_time", "date=now"),  # SQLite would make it the present
        (bar("AAPL", "05/01/2024"), "bad_time", "date=05/01/2024"),
        (bar("AAPL", 20240105), "bad_time", "date=20240105"),
        (bar("AAPL", None), "bad_time", "date=None"),
        (bar("AAPL", ""), "bad_time", "date="),
    ],
)
@pytest.mark.parametrize("place", [0, 1], ids=["first", "last"])
def test_a_row_that_is_no_bar_is_a_reject(
    tmp_path: Path, row: Any, rule: str, value: str, place: int
) -> None:
    good = [bar("AAPL", "2024-01-02"), bar("AAPL", "2024-01-08")]
    path = stockula_file(tmp_path / "f.db", [row, *good] if place == 0 else [*good, row])
    bars, rejects = read(path)
    assert bars["time"].to_pylist() == [utc(2024, 1, 2), utc(2024, 1, 8)]
    assert rules(rejects) == [(rule, value)]
    assert json.loads(rejects[0]["row"])["symbol"] == "AAPL", "the whole row can be replayed"


def test_intraday_rows_without_a_time_of_day_are_collapsed(tmp_path: Path) -> None:
    prices = [bar("AAPL", "2024-01-02", close, interval="1h") for close in (1.0, 2.0, 3.0)]
    path = stockula_file(tmp_path / "f.db", prices, unique=False)
    bars, rejects = read(path, Series("us", "AAPL", Interval.H1))
    assert len(bars) == 0
    assert rules(rejects) == [("interval_collapse", "date=2024-01-02")] * 3
    assert [json.loads(reject["row"])["close_price"] for reject in rejects] == [1.0, 2.0, 3.0]


def test_intraday_rows_with_a_time_are_bars(tmp_path: Path) -> None:
    prices = [
        bar("AAPL", "2024-01-02 14:30:00", 1.0, interval="1h"),
        bar("AAPL", "2024-01-02T15:30:00+00:00", 2.0, interval="60m"),
        bar("AAPL", "2024-01-02 11:30:00-05:00", 3.0, interval="1h"),
        bar("AAPL", "2024-01-02 17:30:00.000000", 4.0, interval="1h"),
    ]
    bars, rejects = read(stockula_file(tmp_path / "f.db", prices), Series("us", "AAPL", Interval.H1))
    assert bars["time"].to_pylist() == [utc(2024, 1, 2, hour, 30) for hour in (14, 15, 16, 17)]
    assert bars["close"].to_pylist() == [1.0, 2.0, 3.0, 4.0]
    assert rejects == []


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_of_rows_with_one_bar_time_the_newest_wins(tmp_path: Path, rows: int) -> None:
    prices = [
        bar("AAPL", "2024-01-03", 1.0),
        bar("AAPL", "2024-01-02", 2.0),
        bar("AAPL", "2024-01-02 00:00:00", 3.0),
        bar("AAPL", "2024-01-03", 4.0),
        bar("AAPL", "2024-01-02", 5.0),
    ]
    bars, rejects = read(stockula_file(tmp_path / "f.db", prices, unique=False), rows=rows)
    assert bars["close"].to_pylist() == [5.0, 4.0]
    assert sorted(json.loads(reject["row"])["close_price"] for reject in rejects) == [1.0, 2.0, 3.0]
    assert {reject["rule"] for reject in rejects} == {"interval_collapse"}


def test_orphans_arrive_as_bars(tmp_path: Path) -> None:
    path = stockula_file(tmp_path / "f.db", [bar("GHOST", "2024-01-02")], stocks=[])
    bars, rejects = read(path, Series("us", "GHOST", Interval.D1))
    assert (len(bars), rejects) == (1, [])


@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
def test_blocks_are_bounded_and_in_order(tmp_path: Path, rows: int) -> None:
    days = [f"2024-{month:02d}-{day:02d}" for month in range(1, 4) for day in range(1, 29)]
    path = stockula_file(tmp_path / "f.db", [bar("AAPL", day) for day in reversed(days)])
    blocks = list(StockulaStore(path).read(AAPL, rows=rows))
    assert max(len(block.bars) for block in blocks) <= rows
    times = [time for block in blocks for time in block.bars["time"].to_pylist()]
    assert times == [datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in days]


def test_reading_from_a_start(tmp_path: Path) -> None:
    prices = [bar("AAPL", f"2024-01-{day:02d}") for day in range(1, 11)]
    path = stockula_file(tmp_path / "f.db", [*prices, bar("AAPL", "2024-01-12", None), bar("AAPL", "zzz")])
    bars, rejects = read(path, start=utc(2024, 1, 8), rows=2)
    assert bars["time"].to_pylist() == [utc(2024, 1, day) for day in (8, 9, 10)]
    assert rules(rejects) == [("null_price", "close_price=NULL")], "an unreadable date has no place in time"


def test_an_older_file_without_updated_at(tmp_path: Path) -> None:
    path = stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02")], updated_at=False)
    bars, rejects = read(path)
    assert (len(bars), rejects) == (1, [])


def test_series_are_listed_by_interval_and_ticker(tmp_path: Path) -> None:
    prices = [
        bar("MSFT", "2024-01-02"), bar("AAPL", "2024-01-02"), bar("AAPL", "2024-01-05"),
        bar("AAPL", "2024-01-02 15:00:00", interval="1h"), bar("AAPL", "2024-01-02", interval="1wk"),
    ]  # fmt: skip
    store = StockulaStore(stockula_file(tmp_path / "f.db", prices))
    found = [(i.series.ticker, i.series.interval, i.rows, i.last) for i in store.series(Selection())]
    assert found == [
        ("AAPL", Interval.D1, 2, utc(2024, 1, 5)),
        ("MSFT", Interval.D1, 1, utc(2024, 1, 2)),
        ("AAPL", Interval.H1, 1, utc(2024, 1, 2, 15)),
    ]
    assert [i.series.ticker for i in store.series(Selection(tickers=("MSFT",)))] == ["MSFT"]
    assert list(store.series(Selection(markets=("vn",)))) == []


def test_a_writer_beside_us_is_no_trouble(tmp_path: Path) -> None:
    path = stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02")])
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("pragma journal_mode = wal")
        values = "open_price, high_price, low_price, close_price, volume, interval"
        again = (
            f"insert into price_history (symbol, date, {values}) "
            f"select symbol, ?, {values} from price_history limit 1"
        )
        writer.execute(again, ("2024-01-03",))
        writer.commit()  # in the write-ahead log, not yet in the file
        writer.execute(again, ("2024-01-04",))
        bars, _ = read(path)
    assert bars["time"].to_pylist() == [utc(2024, 1, 2), utc(2024, 1, 3)], "what is committed, and only that"


def test_a_name_that_a_uri_would_misread(tmp_path: Path) -> None:
    path = stockula_file(tmp_path / "50% of a?b#c d.db", [bar("AAPL", "2024-01-02")])
    assert len(read(path)[0]) == 1


def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    path = troubled_file(tmp_path / "f.db")
    before = path.read_bytes()
    store = StockulaStore(path)
    for info in store.series(Selection()):
        store.digest(info.series)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.db"]


def test_writing_is_refused(tmp_path: Path) -> None:
    store = StockulaStore(stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02")]))
    with pytest.raises(BadInput, match="only read"):
        store.write(get_market("us"), Interval.D1, [])


def test_what_is_no_stockula_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceFileMissing, match="There is no file"):
        StockulaStore(tmp_path / "absent.db")
    (tmp_path / "text.db").write_text("not a database" * 100)
    with pytest.raises(BadInput, match="undamaged SQLite file"):
        StockulaStore(tmp_path / "text.db")
    sqlite3.connect(tmp_path / "empty.db").close()
    with pytest.raises(BadInput, match="is no Stockula file"):
        StockulaStore(tmp_path / "empty.db")


def test_the_real_file(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "stockula.db"
    shutil.copy(shared_data / "sqlite" / "stockula.db", path)
    store = StockulaStore(path)
    infos = list(store.series(Selection()))
    blocks = [block for info in infos for block in store.read(info.series)]
    assert len(infos) == 26
    assert sum(len(block.bars) for block in blocks) == sum(info.rows or 0 for info in infos) == 16_581
    assert sum(len(block.rejects) for block in blocks) == 0
    with closing(sqlite3.connect(path)) as plain:
        closes = plain.execute(
            "select close_price from price_history where symbol = 'SPY' order by date"
        ).fetchall()
    (spy,) = (info.series for info in infos if info.series.ticker == "SPY")
    read_closes = [close for block in store.read(spy) for close in block.bars["close"].to_pylist()]
    assert read_closes == [close for (close,) in closes]


HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("begin exclusive")
print("held", flush=True)
sys.stdin.readline()
held.execute("rollback")
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[Callable[[], None]]:
    """An exclusive lock; locks belong to processes. The function that is yielded lets go."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        def let_go() -> None:
            assert holder.stdin is not None
            holder.stdin.write("\n")
            holder.stdin.flush()

        yield let_go
        holder.stdin.close()


def a_query(path: Path) -> _sqlite_read.SeriesQuery:
    return StockulaStore(path)._query(AAPL, None)


def test_a_file_that_stays_locked_is_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02")])
    store, query = StockulaStore(path), a_query(path)
    monkeypatch.setattr(_sqlite_file, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(_sqlite_arrow, "_WAIT", sql.SQL("pragma busy_timeout = 50"))
    with held_by_another_process(path):
        with pytest.raises(DatabaseBusy, match="Another process holds"):
            list(store.read(AAPL))
        with pytest.raises(DatabaseBusy, match="Another process holds"):
            list(_sqlite_read.read_blocks(query, start=None, rows=10))


def test_a_reader_waits_for_a_writer_that_is_about_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02")])
    query = a_query(path)
    monkeypatch.setattr(_sqlite_file, "BUSY_SECONDS", 0.01)  # only Arrow's reader has time to wait
    with held_by_another_process(path) as let_go:
        release = Timer(0.5, let_go)
        release.start()
        assert [len(block.bars) for block in _sqlite_read.read_blocks(query, start=None, rows=10)] == [1]
        release.join()


def test_looking_at_single_rows_keeps_the_lock(tmp_path: Path) -> None:
    """A writer that comes in the middle of a read waits, also when rows were judged one by one on the way."""
    prices = [bar("AAPL", f"2024-01-{day:02d}", None if day == 1 else 10.0) for day in range(1, 29)]
    path = stockula_file(tmp_path / "f.db", prices)
    blocks = StockulaStore(path).read(AAPL, rows=5)
    first = next(blocks)
    assert len(first.rejects) == 1
    command = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0.05); c.execute('delete from price_history'); "
        "c.commit()"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, str(path)], capture_output=True, text=True, check=False
    )
    assert "database is locked" in done.stderr
    assert len(first.bars) + sum(len(block.bars) for block in blocks) == 27
