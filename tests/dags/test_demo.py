"""What `make demo` will run, and how it says what ran; that it runs is in test_standalone.py."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.model import Interval, utc
from hypertape.orchestration import demo
from hypertape.orchestration.rest import RunState, TaskState
from hypertape.sources.sample import plan_until


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
