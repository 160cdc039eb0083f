"""GET /tickers against golden files: loaded as a user loads them, every row and column to its printed rounding.

The file that ships with the repository is a made-up series in exact decimal arithmetic (tests/unit/indicators writes
it); real files are compared as well where they are beside the checkout.
"""

from __future__ import annotations

import csv
import io
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from api_lab import NOW, client_of, open_app

from hypertape.model import (
    AVERAGE_COLUMNS,
    CHANGE_COLUMNS,
    INDICATOR_COLUMNS,
    PRICE_COLUMNS,
    SCORE_COLUMNS,
    utc,
)
from hypertape.settings import Settings
from hypertape.steps.sync import sync

SHIPPED = Path(__file__).parents[1] / "unit" / "indicators" / "answers" / "sample_1d.csv"
COLUMNS = (*PRICE_COLUMNS, "volume", *INDICATOR_COLUMNS)
DECIMALS = {
    **dict.fromkeys((*PRICE_COLUMNS, *AVERAGE_COLUMNS), 2),
    **dict.fromkeys((*SCORE_COLUMNS, *CHANGE_COLUMNS), 4),
    "volume": 0,
    "total_money_changed": 0,
}
"""The printed decimals of the files' columns."""


@dataclass(frozen=True)
class Golden:
    """A file with its answers, and the market that its series is loaded into (the shipped one has no holidays)."""

    path: Path
    ticker: str
    market: str


def golden_files(shared: Path | None) -> list[Golden]:
    real = sorted(shared.glob("golden/*/1D.csv")) if shared else []
    return [Golden(SHIPPED, "SAMPLE", "crypto"), *(Golden(path, path.parent.name, "vn") for path in real)]


def load(dsn: str, golden: Golden, tree: Path) -> None:
    """Run the file through source, indicators, load and rollups."""
    (tree / golden.ticker).mkdir(parents=True)
    shutil.copy(golden.path, tree / golden.ticker / "1D.csv")
    result = sync(
        dsn, golden.market, "1d", now=NOW, start=utc(2000), source={"name": "csv_tree", "directory": str(tree)},
        settings=Settings(state_dir=tree.parent), check=False,
    )  # fmt: skip
    assert result.failed == {}
    assert result.counts["quarantined"] == 0


def told(answer: Any, form: str, ticker: str) -> list[dict[str, Any]]:
    """The bars of an answer as records, absent where there is no value."""
    if form == "json":
        return list(answer.json()[ticker])
    lines = csv.DictReader(io.StringIO(answer.text))
    return [{n: c if n in ("symbol", "time") else float(c) for n, c in line.items() if c} for line in lines]


def is_printed_as(value: float | None, cell: str, column: str) -> bool:
    """Whether a value rounds to what is printed: half of the last digit, and the float steps of both numbers."""
    if value is None or not cell:
        return value is None and not cell
    allowed = 0.5 * 10.0 ** -DECIMALS[column] + 2 * math.ulp(float(cell)) + 1e-9
    return abs(value - float(cell)) <= allowed


@pytest.mark.parametrize("form", ["json", "csv"])
def test_tickers_answers_what_the_golden_files_say(
    warehouse: str, tmp_path: Path, shared_data_if_any: Path | None, form: str
) -> None:
    for golden in golden_files(shared_data_if_any):
        load(warehouse, golden, tmp_path / golden.market / "tree")
        with golden.path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        asked = {"symbol": golden.ticker, "mode": golden.market, "start_date": "2000-01-01", "format": form}
        with client_of(open_app(warehouse)) as client:
            bars = told(client.get("/tickers", params=asked), form, golden.ticker)
        assert [bar["time"] for bar in bars] == [row["time"] for row in rows]
        assert len(rows) >= 260, "an average of 200 is seen at its first bar and later"
        for bar, row in zip(bars, rows, strict=True):
            wrong = {name: (bar.get(name), row[name]) for name in COLUMNS
                     if not is_printed_as(bar.get(name), row[name], name)}  # fmt: skip
            assert not wrong, (golden.ticker, row["time"], wrong)


def test_a_wrong_digit_would_be_seen() -> None:
    assert is_printed_as(1.2344, "1.23", "close")
    assert not is_printed_as(1.2361, "1.23", "close")
    assert not is_printed_as(None, "1.23", "ma10")
    assert not is_printed_as(1.23, "", "ma10")
