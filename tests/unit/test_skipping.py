"""A skipped test of tests/web or tests/dags is a failure in CI, and no other one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SUITE = """
import pytest
def test_passes(): pass
def test_is_not_run(): pytest.skip("there is no browser")
@pytest.mark.skip(reason="for now")
def test_is_left_out(): pass
"""


def run(directory: Path, required: str) -> subprocess.CompletedProcess[str]:
    (directory / "conftest.py").write_text("from skipping import pytest_runtest_makereport  # noqa: F401")
    (directory / "test_some.py").write_text(SUITE)
    environment = {**os.environ, "HYPERTAPE_BROWSER": required, "PYTHONPATH": str(TESTS)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(directory),
        ".",
    ]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def test_in_ci_a_skipped_test_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, "required")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 1 error" in done.stdout, "one in its body, one before it began"
    assert "in CI nothing here may be: Skipped: there is no browser" in done.stdout


def test_elsewhere_it_is_told_as_not_run(tmp_path: Path) -> None:
    done = run(tmp_path, "")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout


@pytest.mark.parametrize("room", ["web", "dags"])
def test_both_rooms_take_it_up(room: str) -> None:
    assert "from skipping import pytest_runtest_makereport" in (TESTS / room / "conftest.py").read_text()
