"""A measurement that fails says why."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import benchmarks
import pytest
from benchmarks import copy_run, migrate_run
from benchmarks.child import CommandFailed, output_of


@pytest.mark.parametrize(
    "name",
    [
        it.name
        for it in pkgutil.iter_modules(benchmarks.__path__)
        if it.name != "__main__" and not it.name.startswith("peer_")  # run by the peers' own Pythons
    ],
)
def test_a_benchmark_knows_the_names_of_today(name: str) -> None:
    """They run by hand only: a name that moved would be found by whoever needs the figure."""
    assert importlib.import_module(f"benchmarks.{name}").__doc__


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_a_command_that_works_gives_its_output() -> None:
    assert json.loads(output_of(script("print(open(0).read())"), given="[1]")) == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("raise ValueError('the cause')", ["exit code 1", "the cause"], id="an exception"),
        pytest.param("print('on stdout'); raise SystemExit(75)", ["exit code 75", "on stdout"], id="an exit code"),
        pytest.param("import os; os.kill(os.getpid(), 9)", ["signal 9", "printed nothing"], id="killed, no word"),
        pytest.param(
            "for n in range(99): print(n, 'x')\nraise SystemExit('last word')", ["98 x", "last word"], id="much output"
        ),
    ],
)  # fmt: skip
def test_a_command_that_fails_shows_itself_its_code_and_its_last_words(text: str, words: list[str]) -> None:
    with pytest.raises(CommandFailed) as raised:
        output_of(script(text))
    said = str(raised.value)
    assert f"{sys.executable} -c" in said
    assert [word for word in words if word not in said] == []
    assert "\n10 x" not in said


def test_a_migration_and_a_copy_that_fail_show_what_the_command_said(tmp_path: Path) -> None:
    absent, nowhere = tmp_path / "absent.db", "postgresql://127.0.0.1:9/nothing"
    with pytest.raises(
        CommandFailed, match=r"benchmarks\.migrate_run .* exit code 1\n(.*\n)*.*DatabaseUnreachable"
    ):
        migrate_run.measured(absent, nowhere)
    with pytest.raises(
        CommandFailed, match=r"benchmarks\.copy_run .* exit code 1\n(.*\n)*.*hypertape\.errors\."
    ):
        copy_run.measured(f"stockula:{absent}", "warehouse", nowhere)
