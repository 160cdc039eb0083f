"""`hypertape worker` as a user has it: one round, what it says, what `worker list` shows of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import D1, VN

from hypertape.warehouse import progress
from hypertape.warehouse.claims import Worker, reap
from hypertape.warehouse.connect import connect
from hypertape.warehouse.progress import SERIES, workers

BARS = """ticker,time,open,high,low,close,volume
{0},2025-01-02,1000,1100,900,1050,1000
{0},2025-01-03,1050,1200,1000,1150,1500
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(command_line: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Call `hypertape worker …` over a CSV tree of two tickers; returns exit code, stdout, stderr."""
    for ticker in ("AAA", "BBB"):
        (tmp_path / "csv" / ticker).mkdir(parents=True)
        (tmp_path / "csv" / ticker / "1D.csv").write_text(BARS.format(ticker))
    monkeypatch.setenv("HYPERTAPE_SOURCE_DIR", str(tmp_path / "csv"))
    monkeypatch.setenv("HYPERTAPE_SOURCE", "csv_tree")
    monkeypatch.setenv("HYPERTAPE_WORKER_FRESH", "24h")
    return command_line


ONCE = ("worker", "-m", "vn", "-i", "1d", "--once", "--no-check")


def test_one_round_loads_what_is_due_and_the_next_finds_nothing(run: Run, warehouse: str, tmp_path: Path):
    assert run("worker", "list", "--json") == (0, "[]\n", "")
    code, said, _ = run(*ONCE)
    assert (code, "vn 1d: 2 series asked, 4 bars new, 0 changed" in said) == (0, True)
    code, said, told = run(*ONCE)
    assert (code, said) == (0, "")
    assert told.startswith("Nothing is due")
    with connect(warehouse) as connection:
        rows = connection.execute(
            "select ticker, last_data_time::date::text from sync_progress where status = 'completed' order by 1"
        ).fetchall()
    assert rows == [("AAA", "2025-01-03"), ("BBB", "2025-01-03")]
    assert not [path for path in (tmp_path / "state" / "landing").iterdir() if path.name != "raw"]
    _, said, _ = run("worker", "list", "--all", "--json")
    second, first = json.loads(said)
    assert {first["state"], second["state"]} == {"ended"}
    assert (first["completed"], second["completed"]) == (2, 0)


def test_what_a_sync_loaded_just_now_is_skipped(run: Run, warehouse: str):
    """By anyone: also by a run that takes no claims."""
    assert run("sync", "-m", "vn", "-i", "1d", "--tickers", "AAA", "--no-check")[0] == 0
    code, said, _ = run(*ONCE)
    assert code == 0
    assert "1 series asked, 2 bars new" in said
    assert "1 skipped" in said


def test_two_shards_are_the_whole(run: Run, warehouse: str):
    for shard in ("1/2", "2/2"):
        assert run(*ONCE, "--shard", shard)[0] == 0
    with connect(warehouse) as connection:
        rows = connection.execute("select count(*), count(distinct ticker) from market_data_1d").fetchone()
    assert rows == (4, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("worker",), "--market vn"),
        (("worker", "-m", "vn", "--shard", "5/4"), "Write 1/4"),
        (("worker", "-m", "vn", "--groups", "NOSUCH"), "Groups: "),
        (("worker", "-m", "vn", "-i", "5m"), "rolled up"),
        (("worker", "-m", "vn", "--every", "soon"), "HYPERTAPE_WORKER_EVERY"),
        (("worker", "-m", "xx"), "vn"),
    ],
)
def test_bad_words_are_told(run: Run, words: tuple[str, ...], said: str):
    code, out, told = run(*words)
    assert (code, out) == (2, "")
    assert said in told


def test_a_failed_ticker_is_told_and_asked_for_in_the_next_round(run: Run, warehouse: str, tmp_path: Path):
    (tmp_path / "csv" / "AAA" / "1D.csv").write_text("no bars at all")
    code, said, _ = run(*ONCE)
    assert code != 0
    assert "failed: AAA" in said
    with connect(warehouse) as connection:
        rows = connection.execute(
            "select ticker, status, error_message is null from sync_progress order by 1"
        ).fetchall()
    assert rows == [("AAA", "failed", False), ("BBB", "completed", True)]


def test_the_dead_are_listed_and_their_series_fail(connection):
    dead = Worker("worker")
    dead.beat(connection)
    dead.take(connection, SERIES, ["vn/1d/AAA"])
    progress.begin(connection, dead.worker_id, VN, D1, ["AAA"])
    (working,) = workers(connection)
    assert (working.state, working.units, working.holds) == ("working", 1, {SERIES: ["vn/1d/AAA"]})
    dead.leave(connection)
    (killed,) = workers(connection)
    assert (killed.state, killed.last_heartbeat) == ("dead", working.last_heartbeat)
    assert killed.gone_at is not None
    assert killed.gone_at > killed.last_heartbeat
    reap(connection, leases=0)
    found = connection.execute("select status, error_message from sync_progress").fetchall()
    assert found == [("failed", "Worker timeout")]
    assert workers(connection) == []
