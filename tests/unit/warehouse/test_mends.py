"""What is said to mend a failed check: a command that acts, whole, as the command line takes it."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from typer.main import get_command

from hypertape.cli import app
from hypertape.model import WARNING, Window, utc
from hypertape.quality.results import FAILED, QualityResult
from hypertape.quality.rules import RULES
from hypertape.warehouse.findings.mends import MENDS, Failed, check_mend, not_run_mend

ACTS = {
    ("backfill",), ("gaps", "heal"), ("sync",), ("reindicate",), ("rollups", "verify"), ("actions", "sync"),
    ("forget",),
}  # fmt: skip
"""Verbs that change something. `rollups verify` does with --repair."""

ELSEWHERE = {
    "rollup_equals_bars", "adjusted_close_reproduced", "same_bars",
    *(f"{name}_agrees" for name in ("open", "high", "low", "close", "volume")),
}  # fmt: skip
"""Checks that are no rules of a suite."""

COMMAND_LINE: Any = get_command(app)
ONE = Failed("vn", "1d", "", ("VIC",), utc(2024, 1, 15), utc(2024, 1, 15) + timedelta(microseconds=1))
MANY = replace(ONE, tickers=tuple(f"T{number:02}" for number in range(30)))
NOBODY = replace(ONE, tickers=(), start=None, end=None)
WINDOW = Window(utc(2024, 1, 1), utc(2024, 2, 1))


def commands(mend: str) -> list[list[str]]:
    """The commands of a mend, as a shell splits them."""
    found = re.findall(r"hypertape (?:(?!;|, then|\. | \(|, or ).)+", mend)
    return [shlex.split(text)[1:] for text in found]


def parsed(words: list[str]) -> tuple[str, ...]:
    """The verb of a command, after the command line has taken all its words. Raises for one that it refuses."""
    command = COMMAND_LINE
    path: list[str] = []
    while getattr(command, "commands", None):
        path.append(words[len(path)])
        command = command.commands[path[-1]]
    with command.make_context(" ".join(path), words[len(path) :]):
        return tuple(path)


def test_every_check_there_is_has_a_mend_and_no_other() -> None:
    assert set(MENDS) == {rule.name for rule in RULES} | ELSEWHERE


@pytest.mark.parametrize("failed", [ONE, MANY, NOBODY], ids=["one ticker", "many tickers", "nobody named"])
@pytest.mark.parametrize("check", [*MENDS, "a_rule_of_the_project"])
def test_what_mends_a_check_acts_and_is_a_whole_command(check: str, failed: Failed) -> None:
    mend = check_mend(replace(failed, check=check, target="market_data_1w" if "rollup" in check else ""))
    found = commands(mend)
    assert found, mend
    for words in found:
        assert parsed(words) in ACTS, mend
        assert words[0] != "rollups" or "--repair" in words
        assert words[0] not in ("backfill", "forget") or "--no-dry-run" in words


@pytest.mark.parametrize(
    ("check", "failed", "mend"),
    [
        ("high_not_below_low", ONE,
         "hypertape backfill vn 1d --tickers VIC --start-date 2024-01-15 --end-date 2024-01-16 --mode overwrite "
         "--no-dry-run"),
        ("sessions_complete", ONE, "hypertape gaps heal -m vn -i 1d --tickers VIC"),
        ("sessions_complete", MANY, "hypertape gaps heal -m vn -i 1d"),
        ("fresh", ONE, "hypertape sync -m vn -i 1d --tickers VIC"),
        ("rollup_equals_bars", replace(ONE, target="market_data_1w"),
         "hypertape rollups verify -m vn -i 1w --since 2024-01-15 --repair"),
    ],
)  # fmt: skip
def test_the_command_is_filled_in(check: str, failed: Failed, mend: str) -> None:
    assert check_mend(replace(failed, check=check)) == mend


def test_a_mend_that_names_some_of_many_tickers_says_so() -> None:
    many = tuple(f"T{n:02}" for n in range(37))
    said = check_mend(Failed("vn", "1d", "key_unique", many))
    assert said.startswith(
        "These are the first 20 of 37 tickers, name the others too: hypertape forget vn 1d --tickers T00,"
    )


def test_a_market_without_splits_is_not_asked_for_them() -> None:
    assert "actions sync" in check_mend(replace(ONE, check="close_jump"))
    assert "actions sync" not in check_mend(replace(ONE, check="close_jump", market="crypto"))


def result(keys: list[dict[str, str]], unexpected: int, **details: Any) -> QualityResult:
    return QualityResult(
        "run", "vn", "1d", "market_data_1d", "close_jump", "…", WARNING, FAILED, WINDOW,
        unexpected=unexpected, sample=tuple(keys), details=details,
    )  # fmt: skip


KEYS = [{"ticker": "VIC", "time": "2024-01-15"}, {"ticker": "AAA", "time": "2024-01-11T00:00:00Z"}]


@pytest.mark.parametrize(
    ("found", "tickers", "days"),
    [
        (result(KEYS, 2), ("AAA", "VIC"), " --start-date 2024-01-11 --end-date 2024-01-16"),
        (result(KEYS, 9), (), " --start-date 2024-01-01 --end-date 2024-02-01"),
        (result(KEYS, 9, tickers=["AAA", "VIC"]), ("AAA", "VIC"), " --start-date 2024-01-01 --end-date 2024-02-01"),
        (result([{"ticker": "VIC"}], 1), ("VIC",), " --start-date 2024-01-01 --end-date 2024-02-01"),
    ],
    ids=["all listed", "more than are listed", "all named by the rule", "a key without a time"],
)  # fmt: skip
def test_a_mend_is_about_all_that_failed(found: QualityResult, tickers: tuple[str, ...], days: str) -> None:
    failed = Failed.of(found)
    assert (failed.tickers, failed.days) == (tickers, days)


@pytest.mark.parametrize(
    ("ended", "check", "first"),
    [
        (True, "averages", "Raise HYPERTAPE_RULE_SECONDS"),
        (False, "averages", "A defect of the rule"),
        (False, "mine", "hypertape config check; then"),
    ],
)
def test_a_check_that_did_not_run_is_run_again_after_its_cause_is_mended(
    ended: bool, check: str, first: str
) -> None:
    said = not_run_mend("vn", "1d", ended=ended, check=check)
    assert said.startswith(first)
    assert said.endswith("hypertape validate -m vn -i 1d")
