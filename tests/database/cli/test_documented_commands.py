"""The commands of the documents are run, page by page, in one scratch directory with one warehouse."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from documented_commands import lines_of, pages
from hypertape.calendars import expected_times
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc

pytestmark = pytest.mark.database

LINES = [line for page in pages() for line in lines_of(page)]
RUN = [line for line in LINES if not line.why]
PAGES = sorted({line.page for line in RUN}, key=lambda page: (page != "docs/how-to/everyday.md", page))
"""Every day first: it loads what the others look at."""
ELSEWHERE = "/srv"
"""In the documents a directory of the reader's; here one of the scratch directory."""
TREE = {"vn": ("VIC", "VCB", "VRG"), "crypto": ("BTC",), "us": ("AAPL",)}
WINDOW = Window(utc(2025, 1, 2), utc(2025, 7, 1))


@pytest.fixture(scope="module")
def documented(
    tmp_path_factory: pytest.TempPathFactory, new_warehouse: Callable[[], AbstractContextManager[str]]
) -> Iterator[tuple[Path, str]]:
    """A working directory with what the documents take for granted, and a warehouse."""
    directory = tmp_path_factory.mktemp("documented")
    for market, tickers in TREE.items():
        for ticker in tickers:
            _write_days(directory / "path/to/csv", market, ticker)
    (directory / "srv").mkdir()
    with new_warehouse() as dsn:
        yield directory, dsn


def _write_days(root: Path, code: str, ticker: str) -> None:
    """A walk that ends one bar early for VRG, and has one row that cannot be for VIC."""
    market = get_market(code)
    times = expected_times(market, Interval.D1, WINDOW)
    closes = np.round(50_000 + 2_000 * np.sin(np.arange(len(times)) / 9), -2)
    rows = [
        f"{ticker},{instant(int(at)):%Y-%m-%d},{close},{close + 100},{close - 100},{close},{1000 + at % 97}"
        for at, close in zip(times, closes, strict=True)
    ]
    if ticker == "VRG":
        del rows[40]
    if ticker == "VIC":
        rows[30] = f"{rows[30].rpartition(',')[0]},-5"
    path = root / market.table / ticker / "1D.csv"
    path.parent.mkdir(parents=True)
    path.write_text("ticker,time,open,high,low,close,volume\n" + "\n".join(rows) + "\n")


def test_every_command_is_run_or_says_why_not() -> None:
    counted = Counter("not run" if line.why else "run" for line in LINES)
    assert counted["run"] > 50, counted
    assert [line for line in RUN if not line.command.startswith("hypertape ")] == [], "say why it is not run"


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_they_say(
    page: str,
    documented: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    hypertape_here: Callable[..., tuple[int, str, str]],
) -> None:
    directory, dsn = documented
    monkeypatch.chdir(directory)
    for name, value in {
        "HYPERTAPE_DATABASE_URL": dsn,
        "HYPERTAPE_STATE_DIR": str(directory / "state"),
        "HYPERTAPE_SOURCE": "csv_tree",  # nothing here asks the web
        "HYPERTAPE_SOURCE_DIR": str(directory / "path/to/csv"),
    }.items():
        monkeypatch.setenv(name, value)
    for line in (line for line in RUN if line.page == page):
        words = shlex.split(line.command.replace(ELSEWHERE, str(directory / "srv")))
        code, said, error = hypertape_here(*words[1:])
        assert code in line.codes, f"{line.page}:{line.number}: {line.command}\n{said}\n{error}"
