"""Every row of a migrated file is stored or in quarantine with its reason; what was asked for is what is looked at."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lab import D1, H1
from migration_lab import NOW, ask, dual_write_file, in_file, in_warehouse, prices, run, stockula_file

from hypertape.errors import BadInput
from hypertape.settings import Settings
from hypertape.steps.migration import copy as copying
from hypertape.steps.migration.run import Part, copy, inspect, plan, verify
from hypertape.stores.mirrors import add_mirror
from hypertape.warehouse.connect import connect


def changed_file(path: Path, *statements: str, rows: Sequence[Sequence[Any]] = ()) -> Path:
    """A Stockula file with two series and some of everything, after further statements."""
    stockula_file(path, [*prices("AAA", 3), *prices("BBB", 2), *rows], older=True)
    with closing(sqlite3.connect(path)) as file, file:
        for statement in statements:
            file.execute(statement)
    return path


def quarantined(dsn: str, rule: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Ticker, value and row of what is in quarantine for a rule."""
    found = ask(dsn, "select ticker, value, row_text from quarantine where rule = %s order by 1, 2, 3", rule)
    return [(ticker, value, json.loads(row)) for ticker, value, row in found]


@pytest.mark.parametrize(
    ("ratio", "reason"),
    [("0", "it would divide by nothing"), ("-2", "no share becomes less than none"), ("9e999", "infinite")],
)
def test_a_split_that_is_none_costs_itself_only(
    warehouse: str, tmp_path: Path, ratio: str, reason: str
) -> None:
    file = changed_file(
        tmp_path / "f.db", f"insert into splits (symbol, date, ratio) values ('AAA', '2024-02-01', {ratio})"
    )
    done = run(warehouse, tmp_path, file)
    assert ask(warehouse, "select ticker, ratio from splits") == [("BBB", 2.0)], reason
    ((ticker, _, row),) = quarantined(warehouse, "bad_ratio")
    assert (ticker, row["date"]) == ("AAA", "2024-02-01")
    assert done["equal"] == done["units"]


def test_what_the_database_refuses_is_found_and_the_rest_is_kept(warehouse: str, tmp_path: Path) -> None:
    """A rule of the database that the migration does not know."""
    with connect(warehouse, autocommit=True) as connection:
        connection.execute("alter table dividends add constraint no_seven check (amount <> 7)")
    values = ", ".join(f"('BBB', '2024-03-{day:02d}', {day})" for day in range(1, 12))
    file = changed_file(tmp_path / "f.db", f"insert into dividends (symbol, date, amount) values {values}")
    done = run(warehouse, tmp_path, file)
    assert ask(warehouse, "select count(*) from dividends") == [(11,)]  # ten of these, and one the file has
    ((ticker, value, row),) = quarantined(warehouse, "refused_by_database")
    assert (ticker, row["amount"]) == ("BBB", 7)
    assert "no_seven" in value
    assert done["equal"] == done["units"]
    assert run(warehouse, tmp_path, file, run_id="again", force=True)["inserted"] == 0


def test_of_rows_with_one_key_the_newest_is_kept_and_the_others_are_told(
    warehouse: str, tmp_path: Path
) -> None:
    file = changed_file(
        tmp_path / "f.db",
        "insert into dividends (symbol, date, amount) values ('BBB', '2024-02-09', 0.24), "
        "('BBB', '2024-02-09 00:00:00', 0.25), ('BBB', '2024-05-10', 0.25)",
        "insert into options_calls (symbol, expiration_date, strike, bid) values ('AAA', '2024-06-21', 110, 3)",
    )
    done = run(warehouse, tmp_path, file)
    assert ask(
        warehouse, "select time::date::text, amount from dividends where ticker = 'BBB' order by 1"
    ) == [("2024-02-09", 0.25), ("2024-05-10", 0.25)]
    lost = quarantined(warehouse, "duplicate_key")
    assert [(ticker, row.get("amount")) for ticker, _, row in lost] == [("AAA", None), ("BBB", 0.24)]
    assert all("id" in row for _, _, row in lost), "the row as the file has it"
    kept = ask(warehouse, "select count(*) from options_calls")
    assert kept == [(2,)], "a contract symbol that is missing is a key too"
    assert done["refused"] == 2 + 1  # and the dividend whose date is no date
    assert done["equal"] == done["units"]
    assert done["refused_rules"] == {"bad_time": 1, "duplicate_key": 2}


def test_rows_of_no_series_are_counted_and_quarantined(warehouse: str, tmp_path: Path) -> None:
    strays = [
        ("AAA", "2024-01-02", 1, 2, 1, 1, 5, "5m"),
        ("AAA", "2024-01-05", 1, 2, 1, 1, 5, "1wk"),
    ]
    file = changed_file(
        tmp_path / "f.db",
        "pragma writable_schema = 1",
        "update sqlite_master set sql = replace(replace(sql, 'symbol text not null', 'symbol text'), "
        "'interval text not null', 'interval text') where name = 'price_history'",
        rows=strays,
    )
    with closing(sqlite3.connect(file)) as changed, changed:
        columns = "symbol, date, open_price, high_price, low_price, close_price, volume, interval"
        changed.execute(
            f"insert into price_history ({columns}) values ('AAA', '2024-01-02', 1, 2, 1, 1, 5, null)"
        )
        changed.execute(
            f"insert into price_history ({columns}) values (null, '2024-01-02', 1, 2, 1, 1, 5, '1d')"
        )
    done = run(warehouse, tmp_path, file)
    assert {value for _, value, _ in quarantined(warehouse, "unsupported_interval")} == {
        "interval=5m", "interval=1wk", "interval=None",
    }  # fmt: skip
    assert [value for _, value, _ in quarantined(warehouse, "bad_symbol")] == ["symbol=None"]
    assert done["refused"] == 4 + 1
    assert done["equal"] == done["units"]
    some = run(warehouse, tmp_path, file, run_id="some", symbols=["BBB"])
    assert some["refused"] == 0, "none of these rows are BBB's"


def test_a_refused_row_that_is_not_in_quarantine_is_a_difference(
    warehouse: str, tmp_path: Path, connection: Any
) -> None:
    file, settings = changed_file(tmp_path / "f.db"), Settings(state_dir=tmp_path, database_url=warehouse)
    planned = plan(warehouse, inspect([str(file)]), run_id="first", now=NOW, settings=settings)
    copy(warehouse, Part(planned.migration_id), settings=settings)
    connection.execute("delete from quarantine where rule = 'bad_time'")
    found = verify(warehouse, planned, now=NOW, settings=settings)
    assert (found.different, found.rows_missing) == (1, 1)


def test_symbols_no_table_has_are_named_and_alone_they_are_refused(warehouse: str, tmp_path: Path) -> None:
    file = changed_file(tmp_path / "f.db")
    with pytest.raises(BadInput, match="NOSUCH, aaa") as refused:
        run(warehouse, tmp_path, file, symbols=["aaa", "NOSUCH"])
    assert refused.value.exit_code == 2
    assert ask(warehouse, "select count(*) from migration") == [(0,)]
    done = run(warehouse, tmp_path, file, symbols=["AAA", "NOSUCH"])
    assert done["unknown_symbols"] == ["NOSUCH"]
    assert done["inserted"] > 3
    only = run(warehouse, tmp_path, file, run_id="splits", symbols=["BBB"], tables=["splits"])
    assert only["unknown_symbols"] == []  # it has no bars there, but a split


def test_a_directory_is_taken_without_the_files_nobody_knows(warehouse: str, tmp_path: Path) -> None:
    dual_write_file(tmp_path / "here", tickers=1, bars=4)
    with closing(sqlite3.connect(tmp_path / "here" / "browser.db")) as other, other:
        other.execute("create table history (url text)")
    (tmp_path / "here" / "broken.db").write_text("no database" * 100)
    done = run(warehouse, tmp_path, tmp_path / "here")
    assert done["inserted"] == 2 * 4
    html = Path(done["report"]).read_text()
    assert "browser.db" in html
    assert "broken.db" in html
    (tmp_path / "here" / "vn_data.db").unlink()
    with pytest.raises(BadInput, match="neither the dual-write nor the Stockula schema"):
        inspect([str(tmp_path / "here")])
    with pytest.raises(BadInput, match="history"):
        inspect([str(tmp_path / "here" / "browser.db")])  # named, so it was meant


def test_a_bad_ticker_is_quarantined_with_its_row_as_the_file_has_it(warehouse: str, tmp_path: Path) -> None:
    file = changed_file(
        tmp_path / "f.db",
        "update price_history set symbol = 'no such/é', created_at = 'then' where symbol = 'BBB'",
    )
    done = run(warehouse, tmp_path, file)
    found = quarantined(warehouse, "bad_ticker")
    assert [(row["id"], row["created_at"], row["symbol"]) for _, _, row in found] == [
        (4, "then", "no such/é"), (5, "then", "no such/é"),
    ]  # fmt: skip
    assert done["equal"] == done["units"]


def test_tickers_in_small_letters_are_noted(warehouse: str, tmp_path: Path) -> None:
    file = changed_file(tmp_path / "f.db", rows=prices("aaa", 2))
    done = run(warehouse, tmp_path, file)
    assert ask(warehouse, "select count(*) from us_data_1d where ticker = 'aaa'") == [(2,)]
    assert "lower_case: 2 rows" in Path(done["report"]).read_text()


def test_each_step_tells_how_far_it_is_and_when_it_ended(warehouse: str, tmp_path: Path) -> None:
    file, told = dual_write_file(tmp_path, tickers=2, bars=5), dict[str, list[tuple[int, int]]]()
    run(warehouse, tmp_path, file, on_step=lambda *step: told.setdefault(step[0], []).append(step[1:]))
    assert set(told) == {"inspect", "copy", "verify", "validate", "refresh rollups"}
    assert told["verify"] == [(done, 4) for done in range(5)]
    assert [told[step][-1] for step in ("inspect", "copy", "refresh rollups")] == [(1, 1), (4, 4), (1, 1)]
    ((started, verified, finished),) = ask(
        warehouse, "select started_at, verified_at, finished_at from migration"
    )
    assert started < verified <= finished


def test_no_more_helpers_than_units(warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = dual_write_file(tmp_path, tickers=1, bars=5)
    begun: list[object] = []
    spawn = copying.multiprocessing.get_context("spawn")
    real = spawn.Process
    monkeypatch.setattr(
        type(spawn), "Process", lambda *_, **given: begun.append(given) or real(**given), raising=False
    )
    run(warehouse, tmp_path, file, workers=9)
    assert len(begun) == 1, "two units: this process and one more"
    assert in_warehouse(warehouse, ("vn", D1), ("vn", H1)) == in_file(f"sqlite:{file}")


def test_mirrors_get_what_a_migration_loads(warehouse: str, connection: Any, tmp_path: Path) -> None:
    add_mirror(connection, "copy", f"csv:{tmp_path / 'tree'}")
    run(warehouse, tmp_path, dual_write_file(tmp_path / "from", tickers=1, bars=5))
    assert ask(warehouse, "select count(*) from mirror_outbox") == [(0,)]
    (written,) = (tmp_path / "tree").rglob("D00/1D.csv")
    assert len(written.read_text().splitlines()) == 6
