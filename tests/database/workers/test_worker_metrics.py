"""`hypertape worker --metrics-port`: what it counts while it works."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from scrape import undeclared, values

BARS = "ticker,time,open,high,low,close,volume\n{0},2025-01-02,1000,1100,900,1050,1000\n"


@contextmanager
def worker(*words: str) -> Iterator[str]:
    """A worker at work; its metrics' address."""
    command = [sys.executable, "-m", "hypertape.cli", "worker", *words, "--metrics-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if "metrics on" in line)
            found = re.search(r"http://\S+", line)
            assert found
            yield found[0]
        finally:
            process.terminate()
            assert process.wait(30) == 0


def scraped(url: str) -> str:
    """What it tells after its first round."""
    until = time.monotonic() + 30
    while True:
        text = httpx.get(url).text
        if values(text, "hypertape_worker_rounds_total"):
            return text
        assert time.monotonic() < until, text
        time.sleep(0.1)


def test_a_worker_tells_what_it_did(warehouse: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for ticker in ("AAA", "BBB"):
        (tmp_path / "csv" / ticker).mkdir(parents=True)
        (tmp_path / "csv" / ticker / "1D.csv").write_text(BARS.format(ticker))
    for name, value in (
        ("DATABASE_URL", warehouse),
        ("STATE_DIR", str(tmp_path)),
        ("SOURCE_DIR", str(tmp_path / "csv")),
        ("SOURCE", "csv_tree"),
    ):
        monkeypatch.setenv(f"HYPERTAPE_{name}", value)
    with worker("-m", "vn", "-i", "1d", "--no-check") as url:
        text = scraped(url)
    assert undeclared(text, "every", "worker") == (set(), set())
    assert values(text, "hypertape_up") == [1]
    assert values(text, "hypertape_worker_rounds_total", market="vn", interval="1d", outcome="ok") == [1]
    assert values(text, "hypertape_worker_series_total", outcome="asked") == [2]
    assert values(text, "hypertape_worker_rows_total", outcome="inserted") == [2]
