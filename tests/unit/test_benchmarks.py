"""A measurement that fails says why."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from datetime import timedelta
from pathlib import Path

import benchmarks
import numpy as np
import pytest
from benchmarks import copy_run, migrate_run
from benchmarks.__main__ import judged
from benchmarks.child import CommandFailed, output_of
from benchmarks.data import DONG, require_loaded, walks
from benchmarks.result import Result

from hypertape.errors import SuspectScale
from hypertape.markets import get_market
from hypertape.model import Interval, utc
from hypertape.quality.gate import gate
from hypertape.warehouse.loading.batch import LoadResult


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


def test_bars_look_like_real_ones_and_their_market_would_take_them() -> None:
    frame = walks(2, 3_000, utc(2024), timedelta(minutes=1), tick=DONG)
    low, high = get_market("vn").plausible_prices["stock"]
    close = frame["close"].to_numpy()
    assert low < close.min()
    assert close.max() < high
    assert np.array_equal(close, np.round(close / DONG) * DONG)
    assert 0.4 < float(np.mean(close[1:] == close[:-1])) < 0.6
    assert len(gate(frame, get_market("vn"), Interval.M1, now=utc(2026)).bars) == len(frame)


def test_a_load_that_left_bars_out_gives_no_figure() -> None:
    done = [LoadResult("A", 1, inserted=3, unchanged=4), LoadResult("B", 2, refused=SuspectScale("too low"))]
    require_loaded(done[:1], 7)
    with pytest.raises(AssertionError, match=r"7 bars of 9 were loaded; refused: .*too low"):
        require_loaded(done, 9)


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


@pytest.mark.parametrize(
    ("share", "ratio", "unit", "code"),
    [
        (1.0, 0.9, "rows/s", 1),
        (0.3, 0.9, "rows/s", 0),
        (0.3, 0.2, "rows/s", 1),
        (0.3, 0.2, "ms", 0),
        (1.0, 0.9, "ms", 1),
    ],
)
def test_a_share_of_the_bar_is_asked_of_ratios_and_the_whole_bar_of_times_too(
    share: float, ratio: float, unit: str, code: int
) -> None:
    assert judged([Result("work", 1.0, unit, ratio, 1.0)], share) == code
