"""SQLite files into the warehouse: every row arrives or is accounted for, once, however often it is interrupted."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lab import D1, H1, VN, changed, put, query, row_versions, walk
from migration_lab import (
    NOW,
    ask,
    counts,
    dual_write_file,
    in_file,
    in_warehouse,
    prices,
    run,
    stockula_file,
    write,
)

from hypertape.errors import BadInput, BatchRefused, CheckFailed
from hypertape.settings import Settings
from hypertape.steps.migration.run import copy, inspect, plan, report, verify
from hypertape.stores.sqlite import SqliteStore
from hypertape.warehouse.connect import connect
from thorough import examples

ROUNDS = examples(8, 20)


def test_the_real_stockula_file_arrives_bit_for_bit(
    warehouse: str, tmp_path: Path, shared_data: Path
) -> None:
    file = shared_data / "sqlite" / "stockula.db"
    done = run(warehouse, tmp_path, file)
    before = in_file(f"stockula:{file}")
    after = in_warehouse(warehouse, ("us", D1))
    assert (
        before == after
    )  # FSMDX has a day whose high is one bit below its close: arithmetic, and no finding
    assert ask(warehouse, "select count(*) from quarantine union all select count(*) from bar_flag") == [
        (0,), (0,),
    ]  # fmt: skip
    assert done["rows_missing"] == done["rows_different"] == done["different"] == 0
    assert done["equal"] == done["units"] == done["done"]
    assert done["rows_read"] == done["inserted"] + done["updated"] + done["unchanged"] + done["refused"]
    assert ask(warehouse, "select count(*) from symbols where market = 'us'") == [(26,)]
    assert ask(warehouse, "select info from stock_info") == [({"longName": "Treasury Rate ^IRX"},)]
    html = Path(done["report"]).read_text()
    assert "alembic_version" in html
    assert "FSMDX" in html
    assert before["us", D1, "SPY"].sha256[:16] in html


def test_the_dual_write_schema_arrives_and_both_workers_share_the_work(
    warehouse: str, tmp_path: Path
) -> None:
    file = dual_write_file(tmp_path, tickers=4, bars=40)
    done = run(warehouse, tmp_path, file, workers=2)
    assert in_warehouse(warehouse, ("vn", D1), ("vn", H1)) == in_file(f"sqlite:{file}")
    assert counts(done) == {"rows_read": 320, "inserted": 320, "updated": 0, "unchanged": 0, "refused": 0}
    assert done["rollups"] == ["vn 1w", "vn 2w", "vn 1mo"]
    assert done["differing"] == 0
    assert ask(warehouse, "select count(*) from rollup_pending") == [(0,)]
    assert ask(warehouse, "select distinct source from load") == [("sqlite:vn_data.db",)]


def test_an_older_file_with_orphans_and_lost_times_is_told_and_nothing_is_lost(
    warehouse: str, tmp_path: Path
) -> None:
    rows = [
        *prices("AAA", 5),
        *prices("ORPHAN", 3),
        ("AAA", "2024-01-05", 1, 1, 1, 1, 1, "1h"),  # which hour it was is lost
        ("AAA", "2024-01-05", 2, 2, 2, 2, 2, "1h"),
        ("BBB", "2024-01-02", 1, 2, 1, None, 5, "1d"),
        ("BBB", "no day", 1, 2, 1, 1, 5, "1d"),
        ("BBB", "2024-01-03", 5, 4, 6, 5, 5, "1d"),  # high below low
        ("BBB", "2024-01-04", 3, 4, 3, 4, 5, "1d"),
        ("BBB", "2024-01-04", 3, 4, 3, 3.5, 5, "1d"),  # twice: the newer one counts
        ("BBB", "2024-01-05", 3, 4, 3, 4, 2**53 + 1, "1d"),
    ]
    file = stockula_file(tmp_path / "old.db", rows, older=True)
    done = run(warehouse, tmp_path, file)
    found = {problem.name: problem.rows for problem in inspect([str(file)]).reports[0].problems}
    assert found["orphan"] == 3
    assert found["interval_collapse"] == 3
    assert found["null_price"] == found["bad_time"] == found["precision_loss"] == 1
    assert dict(ask(warehouse, "select rule, count(*) from quarantine group by rule")) == {
        "interval_collapse": 3, "null_price": 1, "bad_time": 2, "high_below_low": 1,
    }  # fmt: skip
    bars = ask(warehouse, "select ticker, count(*) from us_data_1d group by ticker order by ticker")
    assert bars == [("AAA", 5), ("BBB", 2), ("ORPHAN", 3)]
    assert ask(warehouse, "select close from us_data_1d where ticker = 'BBB' order by time limit 1") == [
        (3.5,)
    ]
    assert done["refused"] == 7
    assert done["equal"] == done["units"]
    html = Path(done["report"]).read_text()
    for word in ("orphan", "interval_collapse", "watchlist", "precision_loss", "no day", "soon"):
        assert word in html
    assert "Every row arrived with the same bits, or is in quarantine" in html


def test_everything_else_a_stockula_file_holds_arrives_too(warehouse: str, tmp_path: Path) -> None:
    file = stockula_file(tmp_path / "whole.db", prices("AAA", 2))
    run(warehouse, tmp_path, file)
    assert ask(warehouse, "select ticker, name, sector from symbols where ticker in ('AAA', 'BBB') order by 1") == [
        ("AAA", "Triple A", "Energy"), ("BBB", None, ""),
    ]  # fmt: skip
    assert ask(warehouse, "select ticker, time::date::text, amount from dividends") == [
        ("AAA", "2024-01-03", 0.25)
    ]
    assert ask(warehouse, "select ticker, ratio from splits") == [("BBB", 2.0)]
    assert ask(
        warehouse, "select strike, bid, volume, in_the_money, contract_symbol from options_calls order by 1"
    ) == [
        (100.0, 1.5, 7, True, "AAA240621C100"), (110.0, None, None, False, None),
    ]  # fmt: skip
    assert ask(warehouse, "select symbol, strike from options_puts") == [("BBB", 90.5)]
    assert ask(warehouse, "select info from stock_info") == [({"pe": 12.5, "ok": True},)]


@pytest.mark.parametrize(
    ("force", "copied", "reason"),
    [(False, 0, "the files are as they were"), (True, 80, "it was asked for, and nothing differs")],
)
def test_a_finished_migration_started_again_writes_nothing(
    warehouse: str, tmp_path: Path, force: bool, copied: int, reason: str
) -> None:
    file = dual_write_file(tmp_path, tickers=2, bars=20)
    run(warehouse, tmp_path, file)
    before = stored(warehouse)
    again = run(warehouse, tmp_path, file, run_id="again", force=force)
    assert stored(warehouse) == before, reason
    if force:
        assert counts(again) == {
            "rows_read": copied, "inserted": 0, "updated": 0, "unchanged": copied, "refused": 0,
        }  # fmt: skip
    else:
        assert again["resumed"]
        assert again["parts"] == []
        assert ask(warehouse, "select count(*) from migration") == [(1,)]


def test_rollups_are_refreshed_while_both_sides_are_compared_and_counted_once(
    warehouse: str, tmp_path: Path
) -> None:
    file, waiting = dual_write_file(tmp_path, tickers=2, bars=20), [1]

    def hold_the_comparison(step: str, *_: int) -> None:
        until = time.monotonic() + 60
        while step == "verify" and waiting[-1] and time.monotonic() < until:
            waiting.append(ask(warehouse, "select count(*) from rollup_pending")[0][0])

    done = run(warehouse, tmp_path, file, on_step=hold_the_comparison)
    assert waiting[-1] == 0
    assert ask(warehouse, "select sum(evaluated) from quality_result where suite = 'rollups'") == [
        (done["buckets"],)
    ]
    assert done["buckets"] > 0
    assert done["differing"] == 0


def test_a_changed_file_is_another_migration_and_only_the_difference_is_written(
    warehouse: str, tmp_path: Path
) -> None:
    file, whole = dual_write_file(tmp_path, tickers=2, bars=20), walk(22, seed=9)
    store = SqliteStore(tmp_path, now=NOW)
    write(store, "vn", D1, {"D09": whole.take(slice(20))})
    run(warehouse, tmp_path, file)
    write(store, "vn", D1, {"D09": changed(whole, 3, volume=77.0)})
    again = run(warehouse, tmp_path, file, run_id="again")
    assert not again["resumed"]
    assert (again["inserted"], again["updated"]) == (2, 1)
    assert in_warehouse(warehouse, ("vn", D1), ("vn", H1)) == in_file(f"sqlite:{file}")


def test_a_rehearsal_writes_no_bar_and_says_what_it_would_copy(warehouse: str, tmp_path: Path) -> None:
    file = stockula_file(tmp_path / "whole.db", prices("AAA", 6))
    done = run(warehouse, tmp_path, file, dry_run=True)
    assert done["planned"] == 6 + 2 + 2 + 1 + 2 + 1 + 1
    for table in (
        "bars.us_data_1d",
        "symbols",
        "load",
        "quarantine",
        "dividends",
        "stock_info",
        "options_calls",
    ):
        assert ask(warehouse, f"select count(*) from {table}") == [(0,)], table
    assert "Rehearsal: 15 rows would be copied, nothing was" in Path(done["report"]).read_text()
    assert run(warehouse, tmp_path, file, run_id="real")["inserted"] > 0  # a rehearsal is no migration


def test_only_what_was_asked_for_is_copied(warehouse: str, tmp_path: Path) -> None:
    file = stockula_file(tmp_path / "whole.db", [*prices("AAA", 9), *prices("BBB", 9)])
    wishes: dict[str, Any] = {
        "symbols": ["AAA"],
        "start_date": "2024-01-05",
        "tables": ["price_history", "dividends"],
    }
    run(warehouse, tmp_path, file, **wishes)
    first = ask(warehouse, "select ticker, min(time)::date::text, count(*) from us_data_1d group by ticker")
    assert first == [("AAA", "2024-01-05", 6)]
    assert ask(warehouse, "select count(*) from dividends") == [(0,)]  # the only one is older
    assert ask(warehouse, "select count(*) from stock_info") == [(0,)]
    everything = run(warehouse, tmp_path, file, run_id="rest")  # other wishes are another migration
    assert everything["inserted"] > 0
    assert ask(warehouse, "select count(*) from us_data_1d") == [(18,)]


def test_a_row_that_goes_wrong_on_the_way_is_found_and_mended_by_the_next_run(
    warehouse: str, connection: Any, tmp_path: Path
) -> None:
    file, settings = (
        dual_write_file(tmp_path, tickers=2, bars=20),
        Settings(state_dir=tmp_path, database_url=warehouse),
    )
    planned = plan(warehouse, inspect([str(file)]), run_id="first", now=NOW, settings=settings)
    for part in planned.parts:
        copy(warehouse, part, settings=settings)
    connection.execute("update bars.market_data_1d set close = low where ticker = 'D01' and volume > 0")
    connection.execute("delete from bars.market_data_1h where ticker = 'H00' and time < '2020-01-01 03:00'")
    found = verify(warehouse, planned, now=NOW, settings=settings)
    assert (found.equal, found.different, found.rows_missing) == (2, 2, 3)
    with pytest.raises(CheckFailed, match="2 units differ: 3 rows missing"):
        report(warehouse, planned, now=NOW, settings=settings)
    assert "Not equal: 2 units of 4 differ" in (tmp_path / "reports" / "first.migration.html").read_text()
    done = run(warehouse, tmp_path, file, run_id="second")
    assert done["resumed"]
    assert done["equal"] == done["units"] == 4
    assert in_warehouse(warehouse, ("vn", D1), ("vn", H1)) == in_file(f"sqlite:{file}")


def test_what_was_restated_since_stays_when_a_finished_migration_is_started_again(
    warehouse: str, connection: Any, tmp_path: Path
) -> None:
    file = dual_write_file(tmp_path, tickers=2, bars=20)
    run(warehouse, tmp_path, file)
    put(connection, {"D01": changed(walk(20, seed=1), 7, volume=5.5)}, VN, run_id="correction")
    corrected = in_warehouse(warehouse, ("vn", D1))
    for number in range(2):
        assert run(warehouse, tmp_path, file, run_id=f"again {number}")["equal"] == 4
    assert in_warehouse(warehouse, ("vn", D1)) == corrected


def test_a_series_that_is_refused_costs_itself_only(warehouse: str, connection: Any, tmp_path: Path) -> None:
    file = dual_write_file(tmp_path, tickers=2, bars=20)
    thousandfold = changed(
        walk(20, seed=1), slice(None),
        **{name: lambda old: old * 1000 for name in ("open", "high", "low", "close")},
    )  # fmt: skip
    put(connection, {"D01": thousandfold}, VN)
    with pytest.raises(BatchRefused, match=r"1 units failed .*D01.*0.001"):
        run(warehouse, tmp_path, file)
    assert len(in_warehouse(warehouse, ("vn", D1), ("vn", H1))) == 4
    assert ask(warehouse, "select state, count(*) from migration_unit group by state order by state") == [
        ("done", 3), ("failed", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "message", "reason"),
    [
        ("stockula", "has the schema dual_write", "the form says otherwise"),
        ("oracle", "There is no schema", "there is no such schema"),
    ],
)
def test_a_file_that_is_not_what_was_said_is_refused(
    tmp_path: Path, schema: str, message: str, reason: str
) -> None:
    file = dual_write_file(tmp_path, tickers=1, bars=3)
    with pytest.raises(BadInput, match=message):
        inspect([str(file)], schema=schema)


def test_files_that_cannot_be_migrated_are_refused_before_anything_happens(
    warehouse: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="no SQLite file"):
        inspect([str(tmp_path / "nowhere.db")])
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("create table recipes (name text)")
    with pytest.raises(BadInput, match=r"neither .* recipes"):
        inspect([str(tmp_path / "other.db")])
    good = inspect([str(dual_write_file(tmp_path, tickers=1, bars=3))])
    with pytest.raises(BadInput, match="No file has a table vn_weekly"):
        plan(
            warehouse,
            good,
            run_id="x",
            now=NOW,
            tables=["vn_weekly"],
            settings=Settings(database_url=warehouse),
        )
    assert ask(warehouse, "select count(*) from migration") == [(0,)]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        # the next one dies as often, and of more kinds of work
        pytest.param(5, "each series in many blocks", marks=pytest.mark.thorough),
        (500, "two series in one transaction, the next two read meanwhile"),
    ],
)
def test_killed_at_any_moment_and_started_again_it_ends_as_if_it_never_was(
    warehouse: str, tmp_path: Path, rows: int, reason: str
) -> None:
    file = dual_write_file(tmp_path, tickers=12, bars=120, market="crypto")
    moments = random.Random(20)
    copied = [0]
    for number in range(ROUNDS):
        kill_a_run(warehouse, tmp_path, file, moments, workers=2 if number % 7 == 3 else 1, rows=rows)
        copied.append(rows_copied(warehouse))
        if copied[-1] == 24 * 120:
            break
    assert copied == sorted(copied)
    if rows == 5:
        assert len(set(copied)) > ROUNDS // 2, "most kills must hit a migration that copies"
        assert copied[-1] < 24 * 120, "the migration must be long enough to be killed in"
    assert len(set(copied)) > 2, reason
    done = run(warehouse, tmp_path, file, run_id="last")
    assert done["resumed"]
    assert in_warehouse(warehouse, ("crypto", D1), ("crypto", H1)) == in_file(f"sqlite:{file}")
    assert done["equal"] == done["units"] == 24
    assert done["rows_extra"] == done["refused"] == 0
    assert done["rows_read"] == done["inserted"] + done["unchanged"] == 24 * 120
    assert ask(warehouse, "select count(*) from bar_revision") == [
        (0,)
    ]  # nothing was ever stored with other values


def kill_a_run(dsn: str, state: Path, file: Path, moments: random.Random, workers: int, rows: int) -> None:
    """Start the migration and kill it: one time in five while it starts or plans, else while it copies."""
    arguments = [str(state), str(file), f"run{moments.random()}", str(workers), str(rows)]
    before = rows_copied(dsn)
    job = subprocess.Popen(
        [sys.executable, str(Path(__file__).parents[1] / "migration_job.py"), dsn, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout is not None
    job.stdout.readline()
    if moments.random() < 0.8:
        while job.poll() is None and rows_copied(dsn) == before:
            time.sleep(0.01)
    time.sleep(moments.uniform(0.0, 0.2 if rows == 5 else 0.03))
    job.send_signal(signal.SIGKILL)
    job.wait()
    job.stdout.close()


def rows_copied(dsn: str) -> int:
    return int(ask(dsn, "select coalesce(sum(rows_read), 0) from migration_unit")[0][0])


def stored(dsn: str) -> Any:
    """Row versions of everything a migration writes to but its own ledger: equal only when nothing was written."""
    tables = ("bars.market_data_1d", "bars.market_data_1h", "bar_revision", "quarantine")
    with connect(dsn, autocommit=True) as connection:
        return [row_versions(connection, table, "true") for table in tables] + [
            query(connection, "select count(*) from rollup_pending")
        ]
