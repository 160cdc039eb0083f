"""`make install PYTHON=…` says why a Python does not suit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPTS = {
    "old": ("echo 3.9; exit 1", "it is Python 3.9"),
    "no_venv": ("echo 3.12; exit 1", "it lacks the module venv or ensurepip"),
    "no_python": ("exit 3", "it is no Python, or does not start"),
}


def make_install(directory: Path, python: str) -> str:
    """What `make install` says in a directory of its own, where nothing is installed."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, directory)
    done = subprocess.run(
        ["make", "install", f"PYTHON={python}"], cwd=directory, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode != 0
    assert not (directory / ".venv").exists()
    return done.stderr


@pytest.mark.parametrize(("script", "why"), SCRIPTS.values(), ids=SCRIPTS)
def test_a_python_that_does_not_suit_is_told_with_the_reason(tmp_path: Path, script: str, why: str) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    assert f"{program}: {why}" in make_install(tmp_path, str(program))


def test_a_python_that_may_not_be_executed_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\n")
    assert "python: it may not be executed" in make_install(tmp_path, str(tmp_path / "python"))


def test_a_python_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    assert "python3.99: there is no such program" in make_install(tmp_path, "python3.99")
