"""The page docs/reading.md, block by block: what it shows works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from hypertape.warehouse.api_keys import create
from hypertape.warehouse.connect import connect
from served import serving

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reading.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^>]+ -->\n\n)?```(?P<kind>python|console)\n(?P<text>.*?)```", re.DOTALL
)
RUN = [found for found in BLOCK.finditer(PAGE) if not found["mark"]]


@pytest.fixture
def outside(sampled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of one's own, the sample's warehouse by name, our commands on the path."""
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


@pytest.fixture
def served(outside: None, sampled: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The API of that warehouse, and a key of it."""
    with serving(sampled) as server, connect(sampled) as connection:
        key = create(connection, "recipes", "read", now=datetime.now(UTC))
        connection.commit()
        monkeypatch.setenv("API", server.url)
        monkeypatch.setenv("KEY", key)
        yield


def test_every_block_of_the_page_runs(
    served: None, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    assert len(RUN) > 10
    known: dict[str, Any] = {}
    for block in RUN:
        if block["kind"] == "python":
            exec(compile(block["text"], "reading.md", "exec"), known)
            continue
        for line in block["text"].splitlines():
            command = line.removeprefix("$ ")
            assert command != line, "a console block has commands only"
            if command.startswith("hypertape "):
                code, out, err = hypertape_here(*shlex.split(command, comments=True)[1:])
                assert code == 0, f"{command}\n{out}{err}"
                continue
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
    outside: None, sampled: str, hypertape_here: Callable[..., tuple[int, str, str]]
) -> None:
    import duckdb

    assert hypertape_here("export", "--format", "parquet", "--output", "all")[0] == 0
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
def test_the_notebook_runs(outside: None, tmp_path: Path) -> None:
    shutil.copy(DOCS / "examples" / "reading.ipynb", tmp_path)
    notebook = nbformat.read(tmp_path / "reading.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [cell["outputs"] for cell in notebook.cells if cell.cell_type == "code"]
    assert all(outputs)
    assert "SYNBANK" in str(outputs[-1])
