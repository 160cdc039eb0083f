"""From an installed wheel, without a checkout: a project with a market, two rules, a source and an indicator, its DAG
in a real Airflow. The wheel's content is looked at in every run; installing it and starting Airflow only at length."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest

from hypertape import calendars
from hypertape.markets import get_market
from hypertape.settings import Settings
from hypertape.steps.project import TEMPLATE
from hypertape.warehouse.embedded.server import EmbeddedServer

ROOT = Path(__file__).resolve().parents[2]
UV = [sys.executable, "-m", "uv"]
BAD_DAY = "2024-06-05"
PUBLISHED = "select ticker, max(time)::date from published.jp_data_1d group by ticker"
DEAR = """\
-- name: too_dear
-- severity: critical
-- intervals: 1d
-- markets: jp
-- description: No share costs more than 50'000 yen
select ticker, time, close from {bars} where close > 50000
"""
QUIET = """\
-- name: too_quiet
-- severity: warning
-- markets: jp
-- description: Every day has more than ten shares traded
select ticker, time, volume from {bars} where volume <= 10
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [*UV, "build", "--wheel", "--quiet", "--no-build-isolation", "--out-dir", str(out), str(ROOT)],
        check=True,
    )
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_what_a_checkout_has(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    dags = {f"hypertape/_dags/{path.name}" for path in (ROOT / "dags").glob("*.py")}
    queries = {f"hypertape/_sql/queries/{path.name}" for path in (ROOT / "sql" / "queries").glob("*.sql")}
    examples = {f"hypertape/steps/new_project/{path.relative_to(TEMPLATE)}" for path in TEMPLATE.rglob("*.*")}
    wanted = dags | queries | examples | {
        "hypertape/_plugins/hypertape_plugin.py",
        "hypertape/markets/tickers/vn.csv",
        "hypertape/_sql/bootstrap.sql",
    }  # fmt: skip
    assert {name for name in wanted - names if "__pycache__" not in name} == set()


@pytest.fixture
def place(state_dir: Path) -> Iterator[Path]:
    yield state_dir
    EmbeddedServer(Settings(state_dir=state_dir / ".hypertape")).remove()


def project(place: Path) -> None:
    """What a user writes, starting from the examples."""
    for example in [*place.rglob("_*")]:
        if example.suffix in (".toml", ".csv", ".py") and "vn" not in example.name:
            example.rename(example.with_name(example.name[1:]))
    (place / "checks" / "too_dear.sql").write_text(DEAR)
    (place / "checks" / "too_quiet.sql").write_text(QUIET)
    toml = place / "hypertape.toml"
    toml.write_text(toml.read_text().replace('# source_dir = "data"', 'source_dir = "data"'))
    new_york = get_market("us")  # only for days on which both trade: there is no jp in this process
    days = [day.date for day in calendars.sessions(new_york, date(2024, 6, 3), date(2024, 6, 15))]
    for ticker, base in (("7203", 3000), ("6758", 12000)):
        (place / "data" / ticker).mkdir(parents=True)
        lines = ["ticker,time,open,high,low,close,volume"]
        for n, day in enumerate(days):
            close = 99_999 if ticker == "6758" and str(day) == BAD_DAY else base + n
            lines.append(f"{ticker},{day},{close},{close},{close},{close},{1000 + n}")
        (place / "data" / ticker / "1D.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.thorough
@pytest.mark.airflow
@pytest.mark.timeout(1500)
def test_a_project_of_an_installed_wheel(wheel: Path, place: Path, tmp_path: Path) -> None:
    """Its quicker parts: the wheel's content (above), tests/unit/project, test_checks_of_project, test_conformance."""
    python = tmp_path / "venv" / "bin" / "python"
    for words in (
        ["venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")],
        ["pip", "sync", "--quiet", "--python", str(python), str(ROOT / "requirements.txt")],
        ["pip", "install", "--quiet", "--no-deps", "--python", str(python), str(wheel)],
    ):
        subprocess.run([*UV, *words], check=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HYPERTAPE_", "AIRFLOW", "_AIRFLOW", "PYTHON", "VIRTUAL_ENV", "COVERAGE_"))
    }
    if "HYPERTAPE_EXTENSION_DIR" in os.environ:
        environment["HYPERTAPE_EXTENSION_DIR"] = os.environ["HYPERTAPE_EXTENSION_DIR"]

    def call(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(python), *words], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def hypertape(*words: str, code: int = 0) -> str:
        return call("-m", "hypertape", *words, code=code)

    hypertape("init", ".")
    project(place)
    assert "broken" not in hypertape("config", "check")
    assert str(ROOT) not in call("-c", "import hypertape; print(hypertape.__file__)")
    hypertape("source", "test", "acme", "--market", "jp")
    try:
        assert "`hypertape down` stops it" in hypertape("up")
        assert "healthy" in hypertape("status")
        conf = {"source": "csv_tree", "start": "2024-06-03", "end": "2024-06-15"}
        run = ("-m", "hypertape.orchestration.standalone", "run", "bars_jp_1d", "--conf", json.dumps(conf))
        assert "failed" in call(*run, code=1)
        server = EmbeddedServer(Settings(state_dir=place / ".hypertape"))
        with psycopg.connect(server.up()) as connection:
            stored = dict(
                connection.execute("select ticker, count(*) from jp_data_1d group by ticker").fetchall()
            )
            published = dict(connection.execute(PUBLISHED).fetchall())
        assert stored == {"7203": 10, "6758": 10}
        assert published["7203"] == date(2024, 6, 14)
        assert "6758" not in published or published["6758"] < date.fromisoformat(BAD_DAY)
        pages = [path.read_text() for path in (place / ".hypertape").rglob("*.html")]
        page = next(page for page in pages if "too_dear" in page)
        assert "No share costs more than 50" in page
        assert "too_quiet" in page
        (place / "checks" / "too_dear.sql").write_text("select 1")
        (place / "markets" / "xx.toml").write_text("title = 1\n")
        told = hypertape("config", "check", code=2)
        assert "too_dear.sql, line 1" in told
        assert "xx.toml" in told
    finally:
        hypertape("down")
        shutil.rmtree(place / "data", ignore_errors=True)
