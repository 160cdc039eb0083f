"""Indicators that a reader asks for by name: the shipped ones and those of a project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hypertape.errors import BadInput, BadProject
from hypertape.indicators import columns_at_read, indicators_at_read, lookback_at_read
from hypertape.indicators._requested import problems
from hypertape.indicators.ema import ema

BARS = {name: np.arange(1.0, 41.0) + at for at, name in enumerate(("open", "high", "low", "close", "volume"))}

CHANGE = """
import numpy as np
from hypertape.indicators import RequestedIndicator

def change(close, n):
    values = np.full(len(close), np.nan)
    values[n:] = close[n:] - close[:-n]
    return values

INDICATOR = RequestedIndicator("change", change, lookback=lambda n: n, with_length=True)
"""
BANDS = """
from hypertape.indicators import RequestedIndicator

INDICATOR = RequestedIndicator(
    "channel", lambda high, low: (high + 1, low - 1), inputs=("high", "low"), columns=("upper", "lower"), lookback=0
)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hypertape.toml").touch()
    (tmp_path / "indicators").mkdir()
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(tmp_path))
    return tmp_path / "indicators"


def test_a_project_adds_indicators(project: Path) -> None:
    (project / "change.py").write_text(CHANGE)
    (project / "channel.py").write_text(BANDS)
    asked = ["change5", "channel", "ema10"]
    found = indicators_at_read(asked, BARS)
    assert tuple(found) == columns_at_read(asked) == ("change5", "channel_upper", "channel_lower", "ema10")
    assert found["change5"][4:7].tolist() == pytest.approx([np.nan, 5, 5], nan_ok=True)
    assert found["channel_lower"].tolist() == (BARS["low"] - 1).tolist()
    np.testing.assert_array_equal(found["ema10"], ema(BARS["close"], 10))


@pytest.mark.parametrize(
    ("asked", "bars"),
    [
        pytest.param([], 0, id="nothing asked"),
        pytest.param(["channel"], 0, id="the bar itself"),
        pytest.param(["channel", "change7"], 7, id="the farthest, by its length"),
        pytest.param(["change7", "ema3"], None, id="one needs the whole series"),
    ],
)
def test_how_far_back_they_look(project: Path, asked: list[str], bars: int | None) -> None:
    (project / "change.py").write_text(CHANGE)
    (project / "channel.py").write_text(BANDS)
    assert lookback_at_read(asked) == bars


@pytest.mark.parametrize("name", ["rsi14", "ema", "ema0", "ema1001", "channel3", ""])
def test_an_unknown_name_is_told_what_there_is(project: Path, name: str) -> None:
    (project / "channel.py").write_text(BANDS)
    with pytest.raises(BadInput, match=r"Indicators: channel, emaN \(N from 1 to 1000\)"):
        indicators_at_read([name], BARS)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param("x = 1\ny = (", 2, "SyntaxError", id="syntax"),
        pytest.param("import nowhere_at_all", 1, "ModuleNotFoundError", id="import"),
        pytest.param("x = 1", 1, "it defines no INDICATOR", id="nothing"),
        pytest.param(BANDS.replace('"high", "low"', '"height"'), 1, "Inputs: open, high", id="input"),
        pytest.param(BANDS.replace('"channel"', '"ma10"'), 1, "cannot be its name", id="a column's name"),
        pytest.param(BANDS.replace('"channel"', '"ema"'), 1, "already", id="a shipped one"),
    ],
)
def test_a_broken_file_names_its_line_and_leaves_the_others(
    project: Path, text: str, line: int, says: str
) -> None:
    (project / "a_broken.py").write_text(text)
    (project / "change.py").write_text(CHANGE)
    assert list(indicators_at_read(["change2"], BARS)) == ["change2"]
    (problem,) = problems()
    assert f"a_broken.py, line {line}: " in str(problem)
    assert says in str(problem)
    with pytest.raises(BadInput, match=r"a_broken\.py"):  # who misses it learns why
        indicators_at_read(["broken"], BARS)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param("return close / nothing", "line 4: NameError", id="raises"),
        pytest.param("return close[1:]", r"gave arrays of \[\(39,\)\]", id="too short"),
        pytest.param("return None", "gave arrays", id="nothing"),
    ],
)
def test_code_that_fails_names_its_line(project: Path, body: str, says: str) -> None:
    (project / "odd.py").write_text(
        f"from hypertape.indicators import RequestedIndicator\n\ndef odd(close):\n    {body}\n\n"
        "INDICATOR = RequestedIndicator('odd', odd)\n"
    )
    with pytest.raises(BadProject, match=says):
        indicators_at_read(["odd"], BARS)
