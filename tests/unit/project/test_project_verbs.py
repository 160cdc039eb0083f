"""What the command line says and starts beside the make targets, and how Airflow's components find the project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hypertape
from hypertape.orchestration import airflow_home
from hypertape.orchestration.airflow_home import AirflowHome, folder, typed
from hypertape.settings import load_settings


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, hypertape_here: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = hypertape_here("completion", shell)
    assert code == 0
    assert f"_HYPERTAPE_COMPLETE=complete_{shell}" in out


def test_what_the_script_asks_is_answered() -> None:
    asked = {"_HYPERTAPE_COMPLETE": "complete_bash", "COMP_WORDS": "hypertape config ", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'hypertape'; from hypertape.cli import main; main()"],
        env=os.environ | asked, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["show", "check"]


@pytest.mark.parametrize("verb", ["up", "down", "status", "demo"])
def test_a_verb_of_the_stack_explains_itself(
    verb: str, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, _ = hypertape_here(verb, "--help")
    assert (code, "Example: `hypertape" in " ".join(out.split())) == (0, True)


def test_status_of_nothing_says_how_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path))
    assert hypertape_here("status")[:2] == (1, "Airflow does not run. Start it with `make up`.\n")
    assert hypertape_here("down")[:2] == (0, "Nothing was running.\n")


def test_folders_and_verbs_of_an_installed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder("dags").name == "dags"
    assert typed("up", "WAREHOUSE=demo", "--warehouse demo") == "make up WAREHOUSE=demo"
    package = tmp_path / "hypertape"
    (package / "_dags").mkdir(parents=True)
    monkeypatch.setattr(hypertape, "__file__", str(package / "__init__.py"))
    assert folder("dags") == package / "_dags"
    assert typed("up", "WAREHOUSE=demo", "--warehouse demo") == "hypertape up --warehouse demo"
    with pytest.raises(airflow_home.AirflowFailed, match="no directory plugins"):
        folder("plugins")


def test_the_components_of_airflow_are_told_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hypertape.toml").touch()
    monkeypatch.delenv("HYPERTAPE_PROJECT", raising=False)
    monkeypatch.delenv("HYPERTAPE_STATE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    home = AirflowHome(load_settings())
    home.prepare()
    found = home.environment("postgresql://localhost/airflow", "http://127.0.0.1:8080")
    assert found["HYPERTAPE_PROJECT"] == str(tmp_path)
    assert found["HYPERTAPE_STATE_DIR"] == str(tmp_path / ".hypertape")
    monkeypatch.chdir("/")
    outside = AirflowHome(load_settings(state_dir=tmp_path / "state"))
    outside.prepare()
    assert "HYPERTAPE_PROJECT" not in outside.environment(
        "postgresql://localhost/airflow", "http://127.0.0.1:8080"
    )
