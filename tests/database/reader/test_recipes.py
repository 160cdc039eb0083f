"""The page docs/how-to/reading.md, block by block: what it shows works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from server_lab import serving

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "how-to" / "reading.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^>]+ -->\n\n)?```(?P<kind>python|console)\n(?P<text>.*?)```", re.DOTALL
)
RUN = [found for found in BLOCK.finditer(PAGE) if not found["mark"]]


@pytest.fixture
def outside(sampled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A directory of one's own, the sample's warehouse by name, a served API with a key, our commands on the path."""
    from hypertape.settings import load_settings
    from hypertape.warehouse.embedded.server import EmbeddedServer

    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "psql").symlink_to(EmbeddedServer(load_settings()).tool("psql"))
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    for name, value in {"HYPERTAPE_DATABASE_URL": sampled, "PATH": path, "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    with serving(sampled) as served:
        words = [sys.executable, "-m", "hypertape.cli", "keys", "create", "recipes"]
        made = subprocess.run(words, capture_output=True, text=True, check=True)
        monkeypatch.setenv("API", served.url)
        monkeypatch.setenv("KEY", made.stdout.strip())
        yield dict(os.environ)


def test_every_block_of_the_page_runs(outside: dict[str, str]) -> None:
    assert len(RUN) > 10
    known: dict[str, Any] = {}
    for block in RUN:
        if block["kind"] == "python":
            exec(compile(block["text"], "reading.md", "exec"), known)
            continue
        for line in block["text"].splitlines():
            command = line.removeprefix("$ ")
            assert command != line, "a console block has commands only"
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            assert "error" not in done.stdout[:20]
    known["tape"].close()
    assert len(known["monthly"].fetchall()) == len(known["monthly"])
    assert known["highest"] > 0
    assert {"close", "ma20"} < set(known["weekly"].columns)


def test_what_is_not_run_says_why() -> None:
    marked = [found["mark"] for found in BLOCK.finditer(PAGE) if found["mark"]]
    assert len(marked) == 1
    assert "web" in marked[0]


def test_duckdb_over_parquet_says_what_sql_says_of_the_warehouse(
    outside: dict[str, str], sampled: str
) -> None:
    import duckdb

    from hypertape.warehouse.connect import connect

    words = [sys.executable, "-m", "hypertape.cli", "export", "--format", "parquet", "--output", "all"]
    subprocess.run(words, check=True, capture_output=True)
    question = (
        "select ticker, count(*), min(low), max(high), min(time), max(time) from {} group by 1 order by 1"
    )
    for relation, market, interval in (
        ("market_data_1d", "vn", "1d"),
        ("market_data_1m", "vn", "1m"),
        ("us_data_1d", "us", "1d"),
    ):
        every = "from read_parquet('all/**/*.parquet', hive_partitioning = true)"
        files = f"({every} where market = '{market}' and interval = '{interval}')"
        with duckdb.connect() as reader, connect(sampled) as connection:
            reader.execute("set timezone = 'UTC'")
            found = reader.execute(question.format(files)).fetchall()
            assert found == connection.execute(question.format(relation).encode()).fetchall()
            assert found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs(outside: dict[str, str], tmp_path: Path) -> None:
    shutil.copy(DOCS / "examples" / "reading.ipynb", tmp_path)
    notebook = nbformat.read(tmp_path / "reading.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [cell["outputs"] for cell in notebook.cells if cell.cell_type == "code"]
    assert all(outputs)
    assert "SYNBANK" in str(outputs[-1])
