"""`indicators=rsi14`: what a project computes at read time, on whatever way the bars are read."""

from __future__ import annotations

import csv
import io
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from api_lab import D1, Frames
from starlette.testclient import TestClient

from hypertape.steps.project import TEMPLATE

RSI = TEMPLATE / "indicators" / "rsi.py"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "indicators").mkdir()
    (tmp_path / "hypertape.toml").touch()
    shutil.copy(RSI, tmp_path / "indicators")
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(tmp_path))
    return tmp_path


def rsi_of(frames: Frames, ticker: str, n: int, scale: float = 1.0) -> np.ndarray:
    return runpy.run_path(str(RSI))["rsi"](frames["vn", D1, ticker]["close"].to_numpy() / scale, n)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"limit": 7}, id="the newest"),
        pytest.param({"start_date": "2024-03-20"}, id="from a start on"),
        pytest.param({"limit": 7, "legacy": "true"}, id="in thousands"),
    ],
)
def test_a_projects_indicator_has_the_bits_of_the_whole_series(
    client: TestClient, frames: Frames, more: dict[str, str]
) -> None:
    answer = client.get("/tickers", params={"symbol": "VCB", "indicators": "rsi14,ema3", **more})
    assert answer.status_code == 200, answer.text
    bars = answer.json()["VCB"]
    whole = rsi_of(frames, "VCB", 14, 1000.0 if "legacy" in more else 1.0)
    assert [bar["rsi14"] for bar in bars] == pytest.approx(whole[-len(bars) :].tolist(), rel=1e-9)
    asked = {"symbol": "VCB", "ema": "3", **more}
    assert [bar["ema3"] for bar in bars] == pytest.approx(
        [bar["ema3"] for bar in client.get("/tickers", params=asked).json()["VCB"]], rel=1e-12
    )


def test_a_rollup_has_it_too(client: TestClient) -> None:
    bars = client.get("/tickers", params={"symbol": "VCB", "interval": "1W", "indicators": "rsi14"}).json()[
        "VCB"
    ]
    whole = runpy.run_path(str(RSI))["rsi"](np.array([bar["close"] for bar in bars]), 14)
    assert [bar.get("rsi14") for bar in bars][14:] == whole[14:].tolist()
    assert "rsi14" not in bars[13]


def test_csv_has_a_column_of_each(client: TestClient, frames: Frames) -> None:
    asked = {"symbol": "VCB", "indicators": "rsi14,rsi2", "ema": "5", "format": "csv", "limit": 3}
    rows = list(csv.DictReader(io.StringIO(client.get("/tickers", params=asked).text)))
    assert list(rows[0])[-3:] == ["ema5", "rsi14", "rsi2"]
    assert [float(row["rsi14"]) for row in rows] == rsi_of(frames, "VCB", 14)[-3:].tolist()


@pytest.mark.parametrize(
    ("indicators", "says"),
    [
        ("rsi", "Indicators: emaN"),
        ("macd", "rsiN"),
        (",".join(f"rsi{n}" for n in range(1, 12)), "more than 10"),
    ],
)
def test_an_unknown_indicator_is_a_bad_request(client: TestClient, indicators: str, says: str) -> None:
    answer = client.get("/tickers", params={"symbol": "VCB", "indicators": indicators})
    assert answer.status_code == 400
    assert says in answer.text


def test_a_project_that_fails_costs_the_one_answer(client: TestClient, project: Path) -> None:
    code = "from hypertape.indicators import RequestedIndicator as I\nINDICATOR = I('odd', lambda close: close[1:])\n"
    (project / "indicators" / "odd.py").write_text(code)
    asked = {"symbol": "VCB", "indicators": "odd"}
    from hypertape.indicators import _requested

    _requested._of_project.cache_clear()
    answer = client.get("/tickers", params=asked)
    assert answer.status_code == 400
    assert "odd.py" in answer.text
    assert client.get("/tickers", params={"symbol": "VCB"}).status_code == 200
