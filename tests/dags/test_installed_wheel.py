"""From an installed wheel, without a checkout: a project with a market, two rules, a source and an indicator, its DAG
in a real Airflow. The wheel's content is looked at in every run; installing it and starting Airflow only at length."""

from __future__ import annotations

import json
import os
import re
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


def build(tree: Path, out: Path) -> Path:
    """The wheel of a checkout."""
    subprocess.run(
        [*UV, "build", "--wheel", "--quiet", "--no-build-isolation", "--out-dir", str(out), str(tree)],
        check=True,
    )
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def older_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the commit that brought this file: the first that had a project's market, rules, source and indicator."""
    git = ["git", "-C", str(ROOT)]
    added = [*git, "log", "--diff-filter=A", "--format=%H", "--", Path(__file__).relative_to(ROOT).as_posix()]
    found = subprocess.run(added, capture_output=True, text=True, check=False).stdout.split()
    if not found:
        pytest.skip("its history is not here")
    tree = tmp_path_factory.mktemp("older")
    archive = subprocess.run([*git, "archive", found[-1]], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True)
    return build(tree, tmp_path_factory.mktemp("older_wheel"))


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has what hypertape needs, and not hypertape."""
    place = tmp_path_factory.mktemp("venv")
    python = place / "bin" / "python"
    for words in (
        ["venv", "--quiet", "--allow-existing", "--python", sys.executable, str(place)],
        ["pip", "sync", "--quiet", "--python", str(python), str(ROOT / "requirements.txt")],
    ):
        subprocess.run([*UV, *words], check=True)
    return python


class Installed:
    """hypertape as it is installed, called in a directory without a variable of ours in the environment."""

    def __init__(self, python: Path, place: Path) -> None:
        self.python, self.place = python, place
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(
                ("HYPERTAPE_", "AIRFLOW", "_AIRFLOW", "PYTHON", "VIRTUAL_ENV", "COVERAGE_")
            )
        }
        if "HYPERTAPE_EXTENSION_DIR" in os.environ:
            self.environment["HYPERTAPE_EXTENSION_DIR"] = os.environ["HYPERTAPE_EXTENSION_DIR"]

    def install(self, wheel: Path) -> None:
        words = [
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--reinstall",
            "--python",
            str(self.python),
            str(wheel),
        ]
        subprocess.run([*UV, *words], check=True)

    def call(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(self.python), *words],
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def __call__(self, *words: str, code: int = 0) -> str:
        return self.call("-m", "hypertape", *words, code=code)


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


@pytest.fixture
def hypertape(python: Path, place: Path) -> Installed:
    return Installed(python, place)


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_a_project_outlives_an_upgrade(
    older_wheel: Path, wheel: Path, place: Path, hypertape: Installed
) -> None:
    """Nothing to merge: its files stay as they are, and what was loaded goes on.

    Its quicker parts: schema/test_upgrade, test_init_writes_a_project_that_is_fine_and_never_overwrites."""
    hypertape.install(older_wheel)
    hypertape("init", ".")
    project(place)
    hypertape("db", "up")
    try:
        hypertape("schema", "apply")
        sync = ["sync", "--market", "jp", "--interval", "1d", "--source", "csv_tree"]
        hypertape(*sync, "--start", "2024-06-03", "--end", "2024-06-13", code=3)  # the critical rule
        written = {
            path: path.read_bytes()
            for path in place.rglob("*")
            if ".hypertape" not in path.parts and path.is_file()
        }
        digest = json.loads(hypertape("digest", "--market", "jp", "--interval", "1d", "--json"))
        hypertape.install(wheel)
        assert "broken" not in hypertape("config", "check")
        assert "pending" in hypertape("schema", "status")
        hypertape("schema", "apply")
        hypertape("init", ".")
        assert {path: path.read_bytes() for path in written} == written
        assert json.loads(hypertape("digest", "--market", "jp", "--interval", "1d", "--json")) == digest
        told = hypertape(*sync, code=3)
        assert "too_dear" in told
        with psycopg.connect(EmbeddedServer(Settings(state_dir=place / ".hypertape")).up()) as connection:
            stored = dict(connection.execute("select ticker, count(*) from jp_data_1d group by 1").fetchall())
            rules = connection.execute(
                "select distinct expectation from quality_result where severity = 'critical'"
            )
            assert stored == {"7203": 10, "6758": 10}
            assert "too_dear" in {name for (name,) in rules.fetchall()}
        hypertape("source", "test", "acme", "--market", "jp")
    finally:
        hypertape("db", "down")


@pytest.mark.thorough
@pytest.mark.airflow
@pytest.mark.timeout(1500)
def test_a_project_of_an_installed_wheel(wheel: Path, place: Path, hypertape: Installed) -> None:
    """Its quicker parts: the wheel's content (above), tests/unit/project, test_checks_of_project, test_conformance."""
    hypertape.install(wheel)
    hypertape("init", ".")
    project(place)
    assert "broken" not in hypertape("config", "check")
    assert str(ROOT) not in hypertape.call("-c", "import hypertape; print(hypertape.__file__)")
    hypertape("source", "test", "acme", "--market", "jp")
    shown = hypertape("demo")
    assert re.search(r"(\d+) of \1 planted defects found", shown), shown
    assert "6 of 6 runs green" in shown
    assert "bars_jp_1d" in shown
    try:
        assert "`hypertape down` stops it" in hypertape("up")
        assert "healthy" in hypertape("status")
        conf = {"source": "csv_tree", "start": "2024-06-03", "end": "2024-06-15"}
        run = ("-m", "hypertape.orchestration.standalone", "run", "bars_jp_1d", "--conf", json.dumps(conf))
        assert "failed" in hypertape.call(*run, code=1)
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
