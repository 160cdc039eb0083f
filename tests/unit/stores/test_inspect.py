"""What a file holds and what of it will not arrive: every problem with its count."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.frame import bar_frame, micros
from hypertape.markets import get_market
from hypertape.model import Interval, utc
from hypertape.stores import Block, Selection
from hypertape.stores.inspect import FileReport, inspect
from hypertape.stores.sqlite import SqliteStore
from hypertape.stores.stockula import StockulaStore
from stockula_files import bar, stockula_file, troubled_file


def counts(report: FileReport) -> dict[tuple[str, str], int]:
    return {(problem.name, problem.table): problem.rows for problem in report.problems}


def test_everything_that_is_wrong_is_counted(tmp_path: Path) -> None:
    report = inspect(troubled_file(tmp_path / "f.db"))
    assert report.schema == "stockula"
    assert counts(report) == {
        ("orphan", "price_history"): 2,
        ("precision_loss", "price_history"): 1,
        ("unsupported_interval", "price_history"): 1,
        ("bad_time", "price_history"): 2,
        ("interval_collapse", "price_history"): 2,
        ("null_price", "price_history"): 1,
        ("null_volume", "price_history"): 1,
        ("text_in_number", "price_history"): 1,
    }
    samples = {problem.name: problem.sample for problem in report.problems}
    assert samples["orphan"] == ("GHOST (2 rows)",)
    assert samples["precision_loss"] == ("AAPL volume=9007199254740993",)
    assert samples["unsupported_interval"] == ("AAPL interval=5m",)
    assert samples["null_price"] == ("AAPL 1d close_price=NULL",)
    assert [(table.name, table.rows) for table in report.unknown] == [("watchlists", 1)]
    assert [table.name for table in report.bookkeeping] == ["alembic_version"]
    assert {table.name: table.rows for table in report.tables}["price_history"] == 14
    assert json.dumps(asdict(report), default=str)


def test_every_row_is_a_bar_or_counted(tmp_path: Path) -> None:
    path = troubled_file(tmp_path / "f.db")
    store = StockulaStore(path)
    bars = sum(len(block.bars) for info in store.series(Selection()) for block in store.read(info.series))
    kept_back = {name for name, _ in counts(inspect(path))} - {"orphan", "precision_loss"}
    lost = sum(rows for (name, _), rows in counts(inspect(path)).items() if name in kept_back)
    assert bars + lost == 14


@pytest.mark.parametrize("updated_at", [True, False], ids=["current", "older"])
def test_a_sound_file_has_no_problems(tmp_path: Path, updated_at: bool) -> None:
    report = inspect(stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02")], updated_at=updated_at))
    assert (report.schema, report.problems, report.unknown) == ("stockula", (), ())


@pytest.mark.parametrize(
    ("cell", "rows"),
    [
        (2**53 + 1, 1),
        (2**53 + 2, 0),  # even: a double holds it
        (2**62, 0),
        ("0.1", 0),  # the nearest double writes itself like this
        ("0.1000000000000000055", 1),
        ("n/a", 0),  # no number at all: another problem
    ],
)
def test_precision_loss_is_what_no_double_holds(tmp_path: Path, cell: object, rows: int) -> None:
    path = stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02", volume=cell)], volume_type="BLOB")
    assert counts(inspect(path, deep=False)).get(("precision_loss", "price_history"), 0) == rows


def test_orphans_of_every_table(tmp_path: Path) -> None:
    extra = ("insert into dividends (symbol, date, amount) values ('GONE', '2024-02-09', 0.24)",)
    report = inspect(stockula_file(tmp_path / "f.db", [bar("AAPL", "2024-01-02")], extra=extra))
    assert counts(report) == {("orphan", "dividends"): 1}


def test_a_dual_write_file(tmp_path: Path) -> None:
    path = tmp_path / "vn_data.db"
    times = micros(utc(2024)) + 86_400_000_000 * 1
    values = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
    store = SqliteStore(path, now=utc(2025))
    store.write(get_market("vn"), Interval.D1, [Block(bar_frame("VIC", [times], values))])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("insert into vn_daily (ticker, time, open, high, low, close, volume) "
                           "values ('VIC', 'noon', 1, 1, 1, 1, 1), (x'00', 0, 1, 1, 1, 1, 1)")  # fmt: skip
        connection.execute("create table notes (text)")
    report = inspect(path)
    assert report.schema == "dual_write"
    assert [(table.name, table.rows) for table in report.tables] == [("vn_daily", 3)]
    assert [table.name for table in report.unknown] == ["notes"]
    assert counts(report) == {("bad_symbol", "vn_daily"): 1, ("bad_time", "vn_daily"): 1}


def test_a_file_nobody_knows(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "f.db")) as connection, connection:
        connection.execute("create table customers (name)")
    report = inspect(tmp_path / "f.db")
    assert (report.schema, report.tables, [table.name for table in report.unknown]) == (
        "unknown",
        (),
        ["customers"],
    )


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceFileMissing):
        inspect(tmp_path / "absent.db")
    (tmp_path / "text.db").write_text("not a database" * 100)
    with pytest.raises(BadInput, match="undamaged"):
        inspect(tmp_path / "text.db")
