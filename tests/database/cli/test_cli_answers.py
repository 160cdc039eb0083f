"""What the command line says when a question has no answer: which name is wrong, or that nothing is there yet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest

from hypertape.warehouse.connect import connect
from thorough import is_thorough

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch, command_line: Run) -> None:
    """What is said stands in one line."""
    monkeypatch.setenv("COLUMNS", "250")


# --- windows


@pytest.mark.parametrize(
    "words",
    [
        ("backfill", "vn", "1d", "--source", "sample", "--no-dry-run"),
        ("sync", "-m", "vn", "-i", "1d", "--source", "sample"),
        ("reconcile", "vn", "1d", "--against", "sample"),
        ("actions", "sync", "-m", "us", "--source", "sample"),
        ("validate", "-m", "vn", "-i", "1d"),
        ("gaps", "find", "-m", "vn", "-i", "1d"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_window_in_the_future_is_refused_everywhere(run: Run, words: tuple[str, ...]) -> None:
    code, _, err = run(*words, "--start-date", "2130-01-01")
    assert code == 2
    assert "The window starts at 2130-01-01, which is in the future" in err
    code, _, err = run(*words, "--start-date", "2024-02-01", "--end-date", "2024-01-01")
    assert code == 2
    assert "Swap them." in err


WINDOWS, WHICH = (
    (("--start", "--end"), ("--start-date", "--end-date")),
    ("--tickers", "--ticker", "--symbols", "-t"),
)
SPELLINGS = [(*window, which) for which in WHICH for window in WINDOWS]
"""One option has nothing to do with the other: each spelling is in every run, and each pair of them at length."""


@pytest.mark.parametrize(
    ("start", "end", "ticker"), SPELLINGS if is_thorough() else SPELLINGS[::3] + SPELLINGS[-3:-2]
)
def test_windows_and_tickers_have_the_same_spellings_everywhere(
    run: Run, tree: Path, start: str, end: str, ticker: str
) -> None:
    window, which = (start, "2025-01-01", end, "2025-01-08"), (ticker, "AAA")
    source = ("--source-dir", str(tree))
    assert run("sync", "-m", "vn", "-i", "1d", *source, *window, *which, "--no-check")[0] == 0
    assert run("backfill", "vn", "1d", *source, *window, *which)[0] == 0
    assert run("reconcile", "vn", "1d", "--against", "csv_tree", *source, *window, *which)[0] == 0
    for words in (("gaps", "list"), ("gaps", "find"), ("gaps", "reopen")):
        assert run(*words, *window, *which)[0] == 0, words
    for words in (
        ("revisions", "-m", "vn", "-i", "1d"), ("restatements",), ("quarantine", "list"),
        ("actions", "list", "-m", "vn"), ("digest", "-m", "vn", "-i", "1d"),
    ):  # fmt: skip
        assert run(*words, *which)[0] == 0, words


# --- filters that match nothing


FILTERS = [
    ("revisions", "-m", "vn", "-i", "1d"),
    ("restatements",),
    ("gaps", "list"),
    ("gaps", "find", "-m", "vn", "-i", "1d"),
    ("gaps", "heal", "-m", "vn", "-i", "1d"),
    ("gaps", "reopen"),
    ("quarantine", "list"),
    ("quarantine", "replay"),
    ("actions", "list", "-m", "vn"),
    ("digest", "-m", "vn", "-i", "1d"),
]


def test_a_ticker_nobody_knows_is_named(run: Run, load: Run) -> None:
    load("--no-check")
    for words in FILTERS:
        code, out, err = run(*words, "--tickers", "NOPE")
        assert (code, out) == (2, ""), words
        assert "NOPE is no ticker of " in err, words
        assert "There are: AAA" in err, words


@pytest.mark.parametrize(
    "words", [("revisions", "-m", "vn", "-i", "1d"), ("restatements",), ("gaps", "list"), ("quarantine", "list")]
)  # fmt: skip
def test_an_empty_warehouse_says_what_to_do_first(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (0, "")
    assert "is loaded yet: `hypertape sync -m vn -i 1d`" in err


@pytest.mark.parametrize("verb", ["list", "replay"])
def test_a_rule_there_is_none_of_is_answered_with_those_there_are(run: Run, load: Run, verb: str) -> None:
    load("--no-check")
    code, _, err = run("quarantine", verb, "--rule", "nope")
    assert code == 2
    assert "No row was ever refused by a rule 'nope'" in err
    assert "negative_volume" in err
    code, out, err = run("quarantine", verb, "--rule", "off_grid")
    assert (code, out, err) == (0, "", "There is no refused row of these.\n")


def test_a_list_without_rows_is_still_json(run: Run, load: Run) -> None:
    load("--no-check")
    assert run("gaps", "list", "--reason", "delisted", "--json")[1] == "[]\n"


def test_no_source_asked_yet_is_said(run: Run) -> None:
    code, out, _ = run("source", "status")
    assert code == 0
    assert "No source was asked yet" in out


# --- what failed, and how to go on


def test_an_unknown_ticker_fails_alone_or_among_others_alike(run: Run, load: Run) -> None:
    for named in ("NOPE", "AAA,NOPE"):
        code, _, err = load("--tickers", named)
        assert code == 4, named
        assert "clear the run's load tasks" not in err
        assert "run the same again" in err


def test_a_continued_backfill_says_of_when_its_plan_is(run: Run, tree: Path, warehouse: str) -> None:
    words = ("backfill", "vn", "1d", "--source-dir", str(tree), "--start-date", "2025-01-01", "--end-date",
             "2025-01-08", "--tickers", "AAA,NOPE", "--no-dry-run")  # fmt: skip
    code, out, err = run(*words)
    assert code == 4
    assert "continued: " not in out
    assert "run the same again: only what is open is asked for" in err
    with connect(warehouse, autocommit=True) as connection:
        connection.execute("update backfill set planned_at = planned_at - interval '1 hour'")
        (planned,) = connection.execute("select planned_at from backfill").fetchone() or ()
    code, out, _ = run(*words)
    assert code == 4
    assert "continued: 1 of 1 units were open" in out
    assert f"present and missing is as of its plan, {planned.astimezone(UTC):%Y-%m-%dT%H:%M:%S}" in out


def test_another_reason_is_another_wish(run: Run, tree: Path, warehouse: str) -> None:
    words = ("backfill", "vn", "1d", "--source-dir", str(tree), "--tickers", "AAA,NOPE", "--mode", "restate",
             "--no-dry-run", "--reason")  # fmt: skip
    run(*words, "a split")
    run(*words, "a wrong unit")
    run(*words, "a wrong unit")
    with connect(warehouse) as connection:
        rows = connection.execute("select reason, count(*) from backfill group by 1 order by 1").fetchall()
    assert rows == [("a split", 1), ("a wrong unit", 1)]


def test_the_package_runs_by_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hypertape", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Exit codes" in done.stdout
