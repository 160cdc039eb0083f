"""`hypertape migrate` and `hypertape rollback` as a shell runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import D1, H1, hear_interrupts
from migration_lab import ask, dual_write_file, in_file, in_warehouse
from typer.testing import CliRunner, Result

from hypertape.cli import app
from hypertape.errors import BadInput
from stockula_files import troubled_file


@pytest.fixture
def file(warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dual-write file, with the test's own warehouse in the environment."""
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    return dual_write_file(tmp_path, tickers=2, bars=12)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def said(*words: object) -> str:
    found = run(*words)
    assert found.exit_code == 0, (found.output, found.exception)
    return found.output


def test_a_rehearsal_then_the_migration_then_nothing_more_to_do(
    file: Path, warehouse: str, tmp_path: Path
) -> None:
    assert "nothing was copied" in said("migrate", "sqlite", file, "--dry-run")
    assert ask(warehouse, "select count(*) from load") == [(0,)]
    said("migrate", "sqlite", file)
    assert in_warehouse(warehouse, ("vn", D1), ("vn", H1)) == in_file(f"sqlite:{file}")
    assert "migrated before: nothing was copied" in said("migrate", "sqlite", file)
    assert "rehearsal" in said("migrate", "list")
    said("migrate", "report", "--output", tmp_path / "report.html")
    assert "Every row arrived, with the same bits" in (tmp_path / "report.html").read_text()


def test_a_rehearsal_tells_on_the_terminal_what_will_not_arrive(
    warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "400")
    troubled = troubled_file(tmp_path / "troubled.db")
    told = said("migrate", "sqlite", troubled, "--dry-run")
    for rule, rows, example in (
        ("orphan", 2, "GHOST (2 rows)"),
        ("interval_collapse", 2, "AAPL 1h date=2024-01-02"),
        ("unsupported_interval", 1, "AAPL interval=5m"),
        ("null_price", 1, "AAPL 1d close_price=NULL"),
    ):
        (line,) = [line for line in told.splitlines() if f"  {rule}  " in f"{line}  " and example in line]
        assert f" {rows} " in line
        assert example in line
    assert "tables not migrated: watchlists (1 rows)" in told
    failed = run("migrate", "sqlite", troubled, "--symbols", "NOSUCH")
    assert failed.exit_code != 0
    assert "unsupported_interval" in failed.output, "also when it then fails"
    copied = said("migrate", "sqlite", troubled)
    (counted,) = [line for line in copied.splitlines() if "in quarantine" in line]
    for rule in (
        "bad_time 2",
        "interval_collapse 2",
        "null_price 1",
        "unreadable 1",
        "unsupported_interval 1",
    ):
        assert rule in counted


def test_an_interrupt_of_the_terminal_stops_all_processes_in_one_sentence(
    file: Path, warehouse: str, tmp_path: Path
) -> None:
    large = dual_write_file(tmp_path / "large", tickers=40, bars=600, market="crypto")
    job = subprocess.Popen(
        [sys.executable, "-m", "hypertape.cli", "migrate", "sqlite", str(large), "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=hear_interrupts,
    )  # fmt: skip
    while job.poll() is None and not ask(warehouse, "select 1 from load limit 1"):
        time.sleep(0.02)
    os.killpg(job.pid, signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 130
    assert "stopped; run the same again" in errors
    assert "Traceback" not in errors
    said("migrate", "sqlite", large)
    assert in_warehouse(warehouse, ("crypto", D1), ("crypto", H1)) == in_file(f"sqlite:{large}")


def test_a_copy_names_the_rows_of_no_series(file: Path, tmp_path: Path) -> None:
    troubled = troubled_file(tmp_path / "troubled.db")
    told = said("copy", f"stockula:{troubled}", f"csv:{tmp_path / 'tree'}")
    assert "rows of no series" in told
    assert "AAPL interval=5m" in told
    assert "no series" not in said("copy", f"stockula:{troubled}", f"csv:{tmp_path / 'tree'}", "-t", "GHOST")


def test_what_is_named_is_copied(file: Path, warehouse: str) -> None:
    said(
        "migrate", "sqlite", file, "--symbols", "D00,H01", "--tables", "vn_daily", "--start-date", "2020-01-05",
        "--schema", "dual_write", "--no-verify", "--force",
    )  # fmt: skip
    assert ask(warehouse, "select ticker, count(*) from market_data_1d group by ticker") == [("D00", 8)]
    assert ask(warehouse, "select count(*) from market_data_1h") == [(0,)]
    assert ask(warehouse, "select distinct verdict from migration_unit") == [(None,)]


def test_the_switch_is_a_command_each_way(file: Path, warehouse: str) -> None:
    assert "there was no cut-over" in said("rollback", "status")
    assert "warehouse is the truth now" in said("rollback", "to-warehouse", f"sqlite:{file}", "--by", "ops")
    assert "was the truth already" in said("rollback", "to-warehouse")
    assert "sqlite is the truth now" in said("rollback", "to-sqlite", "--by", "ops", "--reason", "drill")
    status = said("rollback", "status")
    assert "sqlite is the truth since" in status
    assert "drill" in status
    assert ask(warehouse, "select truth, decided_by from cutover order by cutover_id") == [
        ("warehouse", "ops"), ("sqlite", "ops"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("migrate", "sqlite", "/nowhere.db"), "no SQLite file"),
        (("rollback", "to-sqlite"), "has to be named"),
        (("migrate", "report", "-o", "x.html"), "Nothing has been migrated"),
    ],
)
def test_what_cannot_be_done_is_said(file: Path, words: tuple[str, ...], message: str) -> None:
    found = run(*words)
    assert isinstance(found.exception, BadInput)
    assert message in str(found.exception)
