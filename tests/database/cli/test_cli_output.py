"""What commands print: JSON that parses whatever there is, lines that a pipe keeps whole, data as it is."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from hypertape.cli import app
from hypertape.model import utc
from hypertape.warehouse.api_keys import create
from hypertape.warehouse.connect import connect
from thorough import is_thorough

pytestmark = pytest.mark.database
ODD = "a [red]:x:[/red] " + "long " * 30

ARGUMENTS = {
    ("validate",): ("-m", "vn", "-i", "1d"),
    ("digest",): ("-m", "vn", "-i", "1d"),
    ("revisions",): ("-m", "vn", "-i", "1d"),
    ("actions", "list"): ("-m", "vn"),
    ("gaps", "heal"): ("-m", "vn", "-i", "1d", "--dry-run"),
    ("quarantine", "show"): ("1",),
    ("forget",): ("vn", "1d", "--tickers", "NOSUCH"),
    ("stream", "replay"): ("--spool",),
    ("condition",): ("-m", "vn", "-i", "1d"),
    ("reindicate",): ("vn", "1d"),
    ("findings", "show"): ("1000000",),
    ("pin", "verify"): ("nosuch",),
    ("source", "test"): ("nosuch",),
    ("symbols", "sync"): ("-m", "vn", "--source", "sample"),
    ("symbols", "members"): ("vn",),
    ("symbols", "spellings"): ("-m", "us"),
    ("symbols", "rename"): ("vn", "NOSUCH", "NEW", "--on", "2024-01-02"),
    ("sync",): ("-m", "vn", "-i", "1w"),
    ("backfill",): ("vn", "1d", "--mode", "nosuch"),
    ("reconcile",): ("vn", "1d", "--against", "sample"),
    ("copy",): ("warehouse", "csv:nosuch"),
    ("verify",): ("warehouse", "csv:nosuch"),
    ("export",): ("--output", "nosuch"),
    ("import",): ("--input", "nosuch"),
    ("mirror", "add"): ("nosuch", "nosuch:nosuch"),
    ("mirror", "parity"): ("nosuch",),
    ("mirror", "resume"): ("nosuch",),
    ("actions", "sync"): ("-m", "nosuch"),
    ("migrate", "sqlite"): ("nosuch.db",),
    ("rollback", "to-sqlite"): ("nosuch",),
    ("rollback", "to-warehouse"): ("nosuch",),
}
NAMED = {
    ("quarantine", "show"),
    ("forget",),
    ("stream", "run"),
    ("findings", "show"),
    ("pin", "verify"),
    ("notify", "test"),
    ("notify", "send"),
    ("archive",),
    ("source", "test"),
    ("symbols", "rename"),
    ("config", "check"),
    ("backup", "base"),
    ("backup", "restore"),
    ("backup", "verify"),
    ("sync",),
    ("backfill",),
    ("reconcile",),
    ("copy",),
    ("verify",),
    ("export",),
    ("import",),
    ("mirror", "add"),
    ("mirror", "parity"),
    ("mirror", "resume"),
    ("actions", "sync"),
    ("migrate", "sqlite"),
    ("rollback", "to-sqlite"),
    ("rollback", "to-warehouse"),
}
"""Verbs of something that is named: where it is not, or there is no such thing, there is an error and no output."""
ALWAYS = {
    ("doctor",): "its checks",
    ("schema", "status"): "the scripts",
    ("source", "list"): "the sources there are",
    ("db", "status"): "one object: the server",
    ("validate",): "the checks of the suite",
    ("gaps", "find"): "a count for every market and interval",
    ("gaps", "heal"): "the plan, one object",
    ("stream", "status"): "one object: the streams, and what waits",
    ("stream", "replay"): "one object: what was stored",
    ("stream", "refresh"): "one object: what was refreshed",
    ("symbols", "members"): "the groups that ship with a market",
    ("symbols", "sync"): "the list that was followed",
    ("config", "show"): "every setting",
    ("backup", "create"): "one object: the backup",
    ("status",): "what runs, and that nothing does",
}
"""Verbs that show something of an empty warehouse, and what."""

TABLES = ("list", "status")
"""Verbs of these names print rows."""


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from leaves(child, (*path, name))
        else:
            yield (*path, name), child


VERBS = dict(leaves(get_command(app)))
WITH_JSON = [
    path for path, verb in VERBS.items() if any("--json" in parameter.opts for parameter in verb.params)
]


@pytest.fixture(scope="module")
def empty_warehouse(new_warehouse: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """One for all: what is run here leaves nothing that a verb would show."""
    with new_warehouse() as dsn:
        yield dsn


@pytest.fixture
def environment(empty_warehouse: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ, "HYPERTAPE_DATABASE_URL": empty_warehouse, "HYPERTAPE_STATE_DIR": str(tmp_path / "state"),
    }  # fmt: skip


def hypertape(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hypertape", *words]
    return subprocess.run(command, text=True, check=False, timeout=120, **{"capture_output": True, **options})


def test_every_verb_that_lists_has_json() -> None:
    assert [path for path in VERBS if path[-1] in TABLES and path not in WITH_JSON] == []
    assert set(ALWAYS) <= set(WITH_JSON)


@pytest.mark.parametrize("path", WITH_JSON, ids=" ".join)
def test_an_empty_warehouse_is_json_too(
    path: tuple[str, ...],
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    hypertape_here: Callable[..., tuple[int, str, str]],
) -> None:
    """In this process: a process for each of forty verbs would take a minute."""
    for name in ("HYPERTAPE_DATABASE_URL", "HYPERTAPE_STATE_DIR"):
        monkeypatch.setenv(name, environment[name])
    code, said, _ = hypertape_here(*path, *ARGUMENTS.get(path, ()), "--json")
    if path in NAMED:
        assert (code, said) == (2, "")
        return
    shown = json.loads(said)
    assert bool(shown) == (path in ALWAYS), said
    assert shown or said == "[]\n"


@pytest.fixture
def named_key(warehouse: str, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a warehouse of its own, with a key of an odd name."""
    with connect(warehouse) as connection:
        create(connection, ODD, "read", now=utc(2025, 1, 2), expires_at=None)
    return environment | {"HYPERTAPE_DATABASE_URL": warehouse}


def test_a_pipe_gets_whole_plain_lines_whatever_the_terminal_is(named_key: dict[str, str]) -> None:
    narrow, wide = (hypertape("keys", "list", env=named_key | {"COLUMNS": n}).stdout for n in ("20", "300"))
    assert narrow == wide
    _, header, row = narrow.splitlines()
    assert header.split()[:2] == ["id", "name"]
    assert ODD.strip() in row


def on_a_terminal(words: Sequence[str], environment: dict[str, str], columns: int) -> str:
    ours, theirs = pty.openpty()
    env = environment | {"COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-m", "hypertape", *words], stdout=theirs, env=env) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so at the end
                break
            if not piece:
                break
            said += piece
    os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode()).replace("\r\n", "\n")


def test_a_terminal_of_sixty_columns_is_not_overrun_and_shows_all(named_key: dict[str, str]) -> None:
    said = on_a_terminal(("keys", "list"), named_key, 60)
    assert max(map(len, said.splitlines())) <= 60
    cells = [[cell.strip() for cell in line.split("│")] for line in said.splitlines() if "│" in line]
    assert len({len(line) for line in cells}) == 1
    assert "".join(line[2] for line in cells).replace(" ", "") == ODD.replace(" ", "")


@pytest.mark.parametrize(
    "words",
    [
        ("gaps", "list", "--reason", ":x:", "--tickers", "[red]:x:"),
        ("digest", "-m", "[bold]:x:", "-i", "1d"),
        ("db", "status", "--nothing:x:"),
    ],
    ids=" ".join,
)
def test_an_error_shows_what_was_typed(words: tuple[str, ...], environment: dict[str, str]) -> None:
    done = hypertape(*words, env=environment | {"COLUMNS": "200"})
    assert done.returncode == 2
    assert ":x:" in done.stderr


READS = [
    path for path in WITH_JSON if path not in NAMED | {("gaps", "heal"), ("db", "status"), ("validate",)}
]
PRINTS = [(path, json_too) for path in READS for json_too in (False, True) if json_too or path in ALWAYS]
"""What prints something of an empty warehouse: the lists say on the standard error that there is nothing."""
PRINTS = PRINTS[:: 1 if is_thorough() else 14]  # each is a process, and all end in one place


@pytest.mark.parametrize(
    ("path", "json_too"), PRINTS, ids=[f"{' '.join(path)}{' --json' * json_too}" for path, json_too in PRINTS]
)
def test_a_reader_that_goes_away_is_no_error(
    path: tuple[str, ...], json_too: bool, environment: dict[str, str]
) -> None:
    """`hypertape digest … | head -1`, where head is already gone."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        words = [*path, *ARGUMENTS.get(path, ()), *(["--json"] if json_too else [])]
        done = hypertape(*words, env=environment, capture_output=False, stdout=pipe, stderr=subprocess.PIPE)
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr
    assert done.returncode == 141


def test_quiet_prints_errors_and_what_was_asked_for_as_json(environment: dict[str, str]) -> None:
    silent = hypertape("--quiet", "source", "list", env=environment)
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")
    assert json.loads(hypertape("--quiet", "source", "list", "--json", env=environment).stdout)
    assert "error:" in hypertape("--quiet", "digest", "-m", "xx", "-i", "1d", env=environment).stderr
