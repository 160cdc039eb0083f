"""`make demo DATA=dir` as a user has it: a real Airflow, a real server, a small CSV tree."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.model import Interval, utc
from hypertape.orchestration import demo
from hypertape.orchestration.rest import RunState, TaskState
from hypertape.settings import load_settings
from hypertape.sources.sample import plan_until
from hypertape.warehouse.embedded.server import EmbeddedServer
from real_airflow import one_at_a_time

DAYS = ("2025-01-02", "2025-01-03", "2025-01-06", "2025-01-07")


@pytest.fixture
def state_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory that the server's own user can enter."""
    directory = Path(tempfile.mkdtemp(prefix="hypertape-test-demo-"))
    directory.chmod(0o755)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(directory))
    monkeypatch.delenv("HYPERTAPE_DATABASE_URL", raising=False)
    yield directory
    EmbeddedServer(load_settings(state_dir=directory / "demo")).remove()
    shutil.rmtree(directory)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two tickers of daily bars in thousands; one bar cannot be."""
    for ticker, close in (("AAA", "12.5"), ("BBB", "31.45")):
        directory = tmp_path / "csv" / "market_data" / ticker
        directory.mkdir(parents=True)
        lines = [f"{ticker},{day},{close},{close},{close},{close},1000" for day in DAYS]
        if ticker == "BBB":
            lines[1] = f"BBB,{DAYS[1]},30,29,31,30,1000"
        (directory / "1D.csv").write_text(
            "ticker,time,open,high,low,close,volume\n" + "\n".join(lines) + "\n"
        )
    return tmp_path / "csv"


@pytest.mark.airflow
def test_the_demo_runs_a_csv_tree_and_says_what_it_did(
    state_dir: Path, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with one_at_a_time():  # it takes Airflow's usual port, as others would
        assert demo.main(["--data", str(tree)]) == 0
    said = capsys.readouterr().out
    for words in (
        "bars_vn_1d",
        "market_data_1d",
        "market_data_1w",
        "high_below_low",
        "1 of 1 runs green",
        "0 written",
        f"The report: file://{state_dir}/demo/reports/cumulative.html",
        "make up WAREHOUSE=demo",
    ):
        assert words in said
    seconds = [int(at) for at in re.findall(r"^ +(\d+) s  ", said, re.MULTILINE)]
    assert max(after - before for before, after in pairwise(seconds)) < 20, "long silence"
    reports = state_dir / "demo" / "reports"
    assert "AAA" in (reports / "cumulative.html").read_text()
    assert (reports / "bars_vn_1d__demo.html").is_file()
    assert EmbeddedServer(load_settings(state_dir=state_dir / "demo")).status().state == "stopped"


def test_a_tree_names_its_own_runs(tree: Path) -> None:
    (job,) = demo.csv_jobs(tree)
    assert (job.dag_id, job.end) == ("bars_vn_1d", utc(2025, 1, 8))
    assert job.conf == {"source": "csv_tree", "source_dir": str(tree), "legacy_scale": True}


def test_the_sample_runs_every_market(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = demo.sample_jobs(plan_until(date(2026, 11, 29)))
    assert {(job.market, job.interval) for job in jobs} >= {
        ("vn", Interval.M1),
        ("crypto", Interval.D1),
        ("us", Interval.D1),
    }
    assert all(job.conf["source"] == "sample" for job in jobs)


def test_no_directory_and_no_bars_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceFileMissing):
        demo.csv_jobs(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="market_data"):
        demo.csv_jobs(tmp_path)
    assert demo.main(["--data", str(tmp_path / "nowhere")]) == 2
    assert "There is no directory" in capsys.readouterr().err


def test_mapped_tasks_are_counted_by_state() -> None:
    tasks = (
        TaskState("plan", -1, "", "success", 1, 1.0),
        TaskState("per_batch.load", 0, "A", "success", 1, 1.0),
        TaskState("per_batch.load", 1, "B", "failed", 2, 1.0),
    )
    assert (
        demo._tasks(RunState("bars_vn_1d", "demo", "failed", tasks))
        == "plan success, load 1 success 1 failed"
    )
