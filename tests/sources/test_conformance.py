"""The conformance kit: the shipped sources and the example of a project get every point right, and a source that gets
each of them wrong is told so."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from hypertape.errors import BadInput, BadProject, UnknownSource
from hypertape.frame import bar_frame, empty_rejects
from hypertape.markets import get_market
from hypertape.model import Interval
from hypertape.settings import Settings
from hypertape.sources import Fetched, open_source, rate_of, source_names, vendor_of
from hypertape.sources._conformance import try_source
from hypertape.sources._discovery import problems
from hypertape.sources._protocol import SourceConfig
from hypertape.steps.project import TEMPLATE

VALUES = ("open", "high", "low", "close", "volume")
EXAMPLE = TEMPLATE / "sources" / "_acme.py"


@pytest.mark.parametrize(("name", "market"), [("vci", "vn"), ("yahoo", "us"), ("ccxt", "crypto")])
def test_a_shipped_source_gets_every_point_right(name: str, market: str) -> None:
    points = try_source(name, vendor_of(name), get_market(market))
    assert {point.name: point.told for point in points if not point.holds} == {}
    assert len(points) == 10


# --- a bad one


@dataclass
class Bad:
    """Asks for all symbols at once, takes them in their order, and hides whatever goes wrong."""

    url: str
    name: str = "bad"
    kept: dict[str, Any] = field(default_factory=dict)

    def tickers(self, market: Any, interval: Interval) -> tuple[str, ...]:
        return ()

    def fetch(self, market: Any, tickers: Any, interval: Any, window: Any, **_: Any) -> Fetched:
        series = self.kept.setdefault("answer", self._ask(tickers))
        frames = [bar_frame([], [], {key: [] for key in VALUES})]
        for ticker, rows in zip(tickers, series, strict=False):
            scale = 1000.0 if rows and rows[0][4] < 1000 else 1.0
            days = [datetime.fromisoformat(row[0]).replace(tzinfo=UTC) for row in rows]
            values = {name: [row[at] * scale for row in rows] for at, name in enumerate(VALUES, 1)}
            frames.append(bar_frame(ticker, days, values))
        counted = dict.fromkeys(tickers, (1, 1))
        return Fetched(pa.concat_tables(frames), empty_rejects(), {}, counted=counted, rows=counted)  # type: ignore[arg-type]

    def _ask(self, tickers: Any) -> list[list[Any]]:
        try:
            with urllib.request.urlopen(f"{self.url}/all?symbols={','.join(tickers)}", timeout=5) as answer:
                text = answer.read1(10**6).decode()
        except (urllib.error.URLError, OSError, ValueError):
            return []
        lines = [
            json.loads(line) for line in text.splitlines() if line.startswith("[") and line.endswith("]")
        ]
        return [line[1] for line in lines]


def _bad_answer(path: str, query: Any, body: str, offered: Any) -> str:
    """A line a symbol, as they are offered: a client has to look at the name."""
    rows = lambda one: [[str(row.time), *row[1:6]] for row in one.rows]  # noqa: E731
    return "\n".join(json.dumps([one.symbol, rows(one)]) for one in offered)


BAD = SimpleNamespace(build=lambda config, limits: Bad(config.endpoint), stand_in=_bad_answer)


def test_a_bad_source_gets_each_point_wrong_but_the_whole_answer() -> None:
    points = {point.name: point for point in try_source("bad", BAD, get_market("vn"))}
    assert [name for name, point in points.items() if point.holds] == ["whole answer"]
    told = {name: point.told for name, point in points.items()}
    assert "a third of the bars of" in told["short answer"]
    assert "no failure of it" in told["server error (503)"] or "has 0 bars" in told["server error (503)"]
    assert (
        "or at other times" in told["symbols reordered and twice"]
        or "not" in told["symbols reordered and twice"]
    )
    assert "unit" in told["unit slip"]
    assert "restated" in told["restatement"]
    assert "passes for an answer" in told["empty answer"]
    assert "a page" in told["a page in the answer's place"]


def test_a_source_without_a_stand_in_cannot_be_tried() -> None:
    with pytest.raises(BadInput, match="stand_in"):
        try_source("sample", vendor_of("sample"), get_market("vn"))


def test_a_source_of_files_gets_what_concerns_files_right() -> None:
    points = try_source("csv_tree", vendor_of("csv_tree"), get_market("vn"))
    assert {point.name: point.told for point in points if not point.holds} == {}
    assert len(points) == 8


# --- sources of a project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hypertape.toml").touch()
    (tmp_path / "sources").mkdir()
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(tmp_path))
    return tmp_path / "sources"


def test_the_example_of_a_project_gets_every_point_right(
    project: Path, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    shutil.copy(EXAMPLE, project / "acme.py")
    assert "acme" in source_names()
    assert rate_of("acme", {}) == 2.0
    code, out, _ = hypertape_here("source", "test", "acme", "--market", "us", "--json")
    assert (code, [row for row in json.loads(out) if row["result"] != "right"]) == (0, [])


def test_the_command_says_what_is_wrong(
    project: Path, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    text = EXAMPLE.read_text().replace(
        "VendorRow(*bar) for bar", "VendorRow(bar[0], *(2 * x for x in bar[1:])) for bar"
    )
    (project / "acme.py").write_text(text)
    code, out, err = hypertape_here("source", "test", "acme")
    assert code == 3
    assert "whole answer" in out
    assert "points wrong" in err


def test_a_broken_source_names_its_line_and_leaves_the_others(
    project: Path, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    (project / "broken.py").write_text("x = 1\nraise ValueError('no')\n")
    (project / "empty.py").write_text("x = 1\n")
    (project / "vci.py").write_text("x = 1\n")
    shutil.copy(EXAMPLE, project / "acme.py")
    told = " ".join(map(str, problems()))
    assert "broken.py, line 2: ValueError: no" in told
    assert "empty.py, line 1: it defines no build" in told
    assert "there is a source vci already" in told
    assert len(problems()) == 3
    with pytest.raises(BadProject, match=r"broken\.py, line 2"):
        open_source(SourceConfig("broken"), Settings())
    assert open_source(SourceConfig("vci"), Settings()).name == "vci"
    code, out, _ = hypertape_here("source", "list")
    assert (code, "acme" in out, "broken" in out) == (0, True, True)
    with pytest.raises(UnknownSource, match="acme, broken, ccxt"):
        open_source(SourceConfig("nobody"), Settings())


def test_times_and_numbers_that_cannot_be_read_are_rejects(project: Path) -> None:
    from hypertape.sources import VendorRow
    from hypertape.sources._per_ticker import _answer

    day = date(2024, 3, 4)
    rows = [
        VendorRow(day, 1, 2, 1, "1.5", None),
        VendorRow("2024-03-05", "1", "2", "1", "n/a", 10),
        VendorRow("yesterday", 1, 2, 1, 1, 10),
        VendorRow(datetime(2024, 3, 6, 9, tzinfo=UTC), 1, 2, 1, 1, 10),
    ]
    found = _answer("VIC", rows, Interval.D1)
    assert found.rows_in == 4
    assert found.bars["close"].to_pylist() == [1.5]
    assert found.rejects["rule"].to_pylist() == ["text_in_number", "bad_time", "bad_time"]
    assert len(_answer("VIC", rows[3:], Interval.H1).bars) == 1
    assert len(_answer("VIC", [VendorRow(datetime(2024, 3, 6, 9), 1, 2, 1, 1, 1)], Interval.H1).rejects) == 1  # noqa: DTZ001
