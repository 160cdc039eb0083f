"""Rows in = bars + duplicates + refused, on every way in and in its rehearsal, whatever odd bytes a file holds."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.sources._csv_file import CELLS
from hypertape.steps.migration.run import Part, copy, inspect, plan, report, verify
from hypertape.stores import Selection
from hypertape.stores.addresses import CsvOptions, Opening
from hypertape.stores.copy import CopyReport, rehearse
from hypertape.stores.copy import copy as copy_stores
from hypertape.warehouse.connect import connect
from hypertape.warehouse.migration_ledger import Totals
from stockula_files import stockula_file
from thorough import examples

NOW = utc(2026, 1, 1)
ALL = Selection()
LAW = settings(
    max_examples=examples(6, 100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@dataclass(frozen=True)
class Bytes:
    """Text of these bytes, also where they are no UTF-8."""

    raw: bytes


GOOD_TICKERS = ["AAA", "BBB", "aaa"]
ODD_TICKERS = [
    Bytes(b"AAA\xff"), Bytes(b"AAA\xfe"), Bytes(b"AAA\0B"), Bytes(b"\xc3("), "<b>AAA</b>", "../AAA", "=1+1", "", " AAA",
    "é", "A" * 40, "..", None, b"AAA", 5, 1.5,
]  # fmt: skip
ODD_CELLS = [
    None, "", "1.5", " 2 ", "1_0", "\u0663", "nan", "inf", "1e999", Bytes(b"1\0"), Bytes(b"\xff"), b"\0", -1, 0,
    2**53 + 1, 2**63 - 1, 1e308, 5e-324, float("inf"), -0.0,
]  # fmt: skip
DAYS = [f"2024-01-{day:02d}" for day in range(2, 6)]
ODD_DAYS = [
    "2024-01-02 00:00:00", "2024-01-03 00:00:00-05:00", "2024-01-03T00:00:00+09:00", "2024-01-04 09:30:00",
    "2024-02-30", "now", "", None, 20240102, b"2024-01-02", Bytes(b"2024-01-02\0x"), Bytes(b"2024-01-02\xff"),
    "0001-01-01", "9999-12-31", "2999-01-01",
]  # fmt: skip
SECONDS = [1704153600 + 86400 * day for day in range(4)]
ODD_SECONDS = [
    None, "1704153600", "noon", 1.5, 2**62, -(2**62), b"\0", 1704153601, Bytes(b"\xff"), 32503680000, 0
]  # fmt: skip
INTERVALS = ["1d", "1D", "1h", "1m", "5m", "", Bytes(b"1d\0"), Bytes(b"\xff")]


def rows(times: Sequence[Any], odd_times: Sequence[Any], intervals: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Rows of a table of bars: mostly in order, each part odd now and then."""
    price = st.one_of(st.floats(9.0, 11.0, allow_nan=False), st.sampled_from(ODD_CELLS))
    row = st.tuples(
        st.one_of(st.sampled_from(GOOD_TICKERS), st.sampled_from(ODD_TICKERS)),
        st.one_of(st.sampled_from(times), st.sampled_from(odd_times)),
        *[st.one_of(st.just(10.0), price)] * 5,
        st.sampled_from(intervals),
    )
    return st.lists(row, min_size=1, max_size=25)


def insert(path: Path, table: str, columns: str, found: Iterable[Sequence[Any]]) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        for row in found:
            holes = ", ".join("cast(? as text)" if isinstance(cell, Bytes) else "?" for cell in row)
            cells = [cell.raw if isinstance(cell, Bytes) else cell for cell in row]
            file.execute(f"insert into {table} ({columns}) values ({holes})", cells)


def stockula(path: Path, found: Iterable[Sequence[Any]], others: Iterable[Any]) -> Path:
    stockula_file(path, [], unique=False)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("pragma writable_schema = 1")
        file.execute("update sqlite_master set sql = replace(sql, ' NOT NULL', '') where name in "
                     "('price_history', 'dividends')")  # fmt: skip
    columns = "symbol, date, open_price, high_price, low_price, close_price, volume, interval"
    insert(path, "price_history", columns, found)
    insert(path, "dividends", "symbol, date, amount", ((symbol, "2024-01-02", 0.5) for symbol in others))
    return path


def dual_write(path: Path, found: Iterable[Sequence[Any]]) -> Path:
    columns = "ticker, time, open, high, low, close, volume"
    with closing(sqlite3.connect(path)) as file, file:
        for table in ("crypto_daily", "crypto_minute"):
            file.execute(f"create table {table} (id integer primary key, {columns}, ma10)")
    for table, wanted in (("crypto_daily", ("1d", "1D", "5m", "")), ("crypto_minute", ("1h", "1m"))):
        insert(path, table, columns, [row[:7] for row in found if row[7] in wanted])
    return path


def counted(path: Path, *tables: str) -> int:
    with closing(sqlite3.connect(path)) as file:
        return sum(file.execute(f"select count(*) from {table}").fetchone()[0] for table in tables)


def emptied(dsn: str) -> None:
    """A warehouse as if it had never been loaded."""
    with connect(dsn, autocommit=True) as connection:
        names = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables where (schemaname = 'bars' and tablename ~ "
            "'_(1d|1h|1m)$') or (schemaname = 'public' and tablename in ('series', 'load', 'quarantine', "
            "'bar_revision', 'rollup_pending', 'migration', 'dividends', 'splits', 'symbols', 'claim'))"
        ).fetchall()
        connection.execute(f"truncate {', '.join(name for (name,) in names)} cascade")


def accounted(report: CopyReport) -> int:
    """Rows that a report says something of."""
    assert not report.failed, report.failed[0].error
    rows = sum(e.source.rows + e.source.refused_rows + e.source.duplicates for e in report.series)
    return rows + sum(each.rows for each in report.unassigned)


def told(report: CopyReport) -> list[Any]:
    return [(e.series, e.source) for e in report.series] + list(report.unassigned)


def every_way(dsn: str, address: str, directory: Path, expected: int, csv: CsvOptions | None = None) -> None:
    """Rehearse a copy, make it into the warehouse and into the other kinds of stores, and hold each to the law."""
    emptied(dsn)
    source = Opening(address, Settings(), NOW, "run", dsn, csv=csv or CsvOptions())
    if not list(source.open().series(ALL)):
        return  # a file of odd rows only has nothing to copy, and says so
    target = Opening("warehouse", Settings(), NOW, "run", dsn)
    planned = rehearse(source, target, ALL, now=NOW)
    assert accounted(planned) == expected
    done = copy_stores(source, target, ALL, now=NOW, verify=True)
    assert told(done) == told(planned)
    assert not done.discrepancies
    with connect(dsn) as connection:
        stored = sum(
            connection.execute(f"select count(*) from bars.{table}").fetchone()[0]
            for table in ("us_data_1d", "us_data_1h", "us_data_1m", "crypto_data_1d", "crypto_data_1m")
        )
    assert stored == sum(entry.source.rows for entry in done.series)
    for kind in ("csv", "sqlite"):
        shutil.rmtree(directory / kind, ignore_errors=True)
        (directory / kind).mkdir()
        other = Opening(f"{kind}:{directory / kind}", Settings(), NOW, "run", dsn)
        back = copy_stores(target, other, ALL, now=NOW, verify=True) if stored else None
        assert back is None or (accounted(back) == stored and not back.discrepancies)


def migrated(dsn: str, path: Path, directory: Path, *, dry_run: bool) -> tuple[Totals, dict[str, int]]:
    where = Settings(state_dir=directory, database_url=dsn)
    planned = plan(
        dsn,
        inspect([str(path)], deep=False),
        run_id=f"dry {dry_run}",
        now=NOW,
        dry_run=dry_run,
        settings=where,
    )
    copy(dsn, Part(planned.migration_id), settings=where)
    verify(dsn, planned, now=NOW, settings=where)
    done = report(dsn, planned, now=NOW, settings=where)
    return done.totals, dict(done.refused_rules)


def both_migrations(dsn: str, path: Path, directory: Path, expected: int) -> None:
    """A rehearsal says what the migration then does."""
    emptied(dsn)
    rehearsed, rules = migrated(dsn, path, directory, dry_run=True)
    done, found = migrated(dsn, path, directory, dry_run=False)
    assert (rehearsed.rows_read, rehearsed.refused, rules) == (done.rows_read, done.refused, found)
    assert done.rows_read == expected == done.inserted + done.updated + done.unchanged + done.refused
    assert sum(found.values()) == done.refused
    assert done.equal == done.units


@LAW
@given(
    found=rows(DAYS, ODD_DAYS, INTERVALS),
    others=st.lists(st.sampled_from([*GOOD_TICKERS, *ODD_TICKERS]), max_size=5),
)
def test_stockula_files(warehouse: str, tmp_path: Path, found: Any, others: Any) -> None:
    path = tmp_path / "stockula.db"
    path.unlink(missing_ok=True)
    stockula(path, found, others)
    every_way(warehouse, f"stockula:{path}", tmp_path, counted(path, "price_history"))
    both_migrations(warehouse, path, tmp_path, counted(path, "price_history", "dividends"))


@LAW
@given(found=rows(SECONDS, ODD_SECONDS, INTERVALS[:6]))
def test_dual_write_files(warehouse: str, tmp_path: Path, found: Any) -> None:
    path = tmp_path / "crypto_data.db"
    path.unlink(missing_ok=True)
    dual_write(path, found)
    rows_in = counted(path, "crypto_daily", "crypto_minute")
    every_way(warehouse, f"sqlite:{path}", tmp_path, rows_in)
    both_migrations(warehouse, path, tmp_path, rows_in)


NAMES = [b"AAA", b"BBB", b"AAA\xff", b"<b>", b"=1+1", b"-", b"A B", "é".encode(), b"A" * 40]
CELL = st.sampled_from(
    ["10", "9.5", "", "1_0", "\u0663", "nan", "inf", "1e999", "-1", "x\0y", '"', "<i>", "\ud7ff", "1,5"]
)
TIME = st.sampled_from([*DAYS, *(day for day in ODD_DAYS if isinstance(day, str)), "2024-01-02\0"])
LINE = st.one_of(
    st.tuples(TIME, st.one_of(st.just("10"), CELL), CELL),
    st.tuples(st.sampled_from(DAYS), st.just("10"), st.just("100")),
)


@LAW
@given(files=st.dictionaries(st.sampled_from(NAMES), st.lists(LINE, min_size=1, max_size=12), min_size=1))
def test_csv_trees(warehouse: str, tmp_path: Path, files: dict[bytes, list[tuple[str, str, str]]]) -> None:
    root = tmp_path / "crypto_data"
    shutil.rmtree(root, ignore_errors=True)
    rows_in = 0
    for name, lines in files.items():
        directory = root / name.decode("utf-8", "surrogateescape")
        directory.mkdir(parents=True)
        text = [",".join(CELLS).encode()]
        for time, close, volume in lines:
            cells = [time, close, "11", "9", "10", volume]
            text.append(name + b"," + ",".join(cells).encode("utf-8", "surrogatepass"))
        rows_in += len(lines)
        (directory / "1D.csv").write_bytes(b"\n".join(text) + b"\n")
    every_way(warehouse, f"csv:{root}", tmp_path, rows_in)


@pytest.mark.parametrize(
    ("ticker", "shown"),
    [
        (Bytes(b"AB\xff"), "AB\\xff"),
        (Bytes(b"AB\0C"), "AB\N{SYMBOL FOR NULL}C"),
        ("<script>", "<script>"),
        ("../../etc", "../../etc"),
        ("=cmd()", "=cmd()"),
    ],
    ids=["no UTF-8", "a NUL", "HTML", "a path", "a formula"],
)
def test_a_ticker_that_is_none_is_quarantined_under_its_bytes_and_all_else_arrives(
    warehouse: str, tmp_path: Path, ticker: Any, shown: str
) -> None:
    good = [("AAA", day, 10.0, 12.0, 9.0, 10.0, 5, "1d") for day in DAYS]
    odd = [(ticker, *row[1:]) for row in good]
    path = stockula(tmp_path / "f.db", [*good, *odd], [])
    totals, rules = migrated(warehouse, path, tmp_path, dry_run=False)
    assert (totals.inserted, totals.refused, rules) == (4, 4, {"bad_ticker": 4})
    with connect(warehouse) as connection:
        kept = connection.execute(
            "select ticker, rule, interval, count(*) from quarantine group by 1, 2, 3"
        ).fetchall()
    assert kept == [(shown, "bad_ticker", "price_history", 4)]
