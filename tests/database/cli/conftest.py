"""What the tests of the command line share: a tree of files and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

BARS = """ticker,time,open,high,low,close,volume
AAA,2025-01-02,1000,1100,900,1050,1000
AAA,2025-01-03,1050,1200,1000,1150,1500
AAA,2025-01-06,1150,1200,800,900,-5
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(command_line: Run) -> Run:
    """Call `hypertape …` on a warehouse of its own; returns exit code, stdout, stderr."""
    return command_line


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A CSV tree with one ticker: two good days and one that cannot be."""
    directory = tmp_path / "csv" / "AAA"
    directory.mkdir(parents=True)
    (directory / "1D.csv").write_text(BARS)
    return directory.parent


@pytest.fixture
def load(run: Run, tree: Path) -> Run:
    """`hypertape sync` of January from the tree, with more words."""

    def call(*more: str) -> tuple[int, str, str]:
        window = ("--start", "2025-01-01", "--end", "2025-02-01")
        return run("sync", "-m", "vn", "-i", "1d", "--source-dir", str(tree), *window, *more)

    return call
