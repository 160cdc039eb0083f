"""`hypertape migrate` and `hypertape rollback` as a shell runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import D1, H1
from migration_lab import ask, dual_write_file, in_file, in_warehouse
from typer.testing import CliRunner, Result

from hypertape.cli import app
from hypertape.errors import BadInput


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
