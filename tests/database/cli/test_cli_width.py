"""What every verb prints of a loaded warehouse: lines of sixty columns on a terminal, plain in a pipe, and JSON."""

from __future__ import annotations

import inspect
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from typer.main import get_command

from hypertape.cli import app
from hypertape.cli.common import broken

pytestmark = pytest.mark.database

Run = Callable[..., tuple[int, str, str]]

COLUMNS = 60
PLACE = ("-m", "vn", "-i", "1d")

SAID = [
    ("sync", *PLACE, "--source-dir", "{tree}", "--start", "2025-01-01", "--end", "2025-02-01"),
    ("backfill", "vn", "1d", "--tickers", "AAA", "--source-dir", "{tree}", "--start", "2025-01-01"),
    ("validate", *PLACE), ("reconcile", "vn", "1d", "--against", "csv_tree", "--source-dir", "{other}"),
    ("quarantine", "list"), ("quarantine", "list", "--rows"), ("quarantine", "show", "1"),
    ("quarantine", "replay"), ("gaps", "find"), ("gaps", "list"), ("gaps", "heal", *PLACE, "--dry-run"),
    ("findings", "list"), ("findings", "show", "1"), ("condition", *PLACE), ("revisions", *PLACE),
    ("restatements",), ("rollups", "verify"), ("reindicate", "vn", "1d"),
    ("mirror", "add", "files", "csv:{state}/mirror"), ("mirror", "list"), ("mirror", "deliver"),
    ("mirror", "parity", "files"), ("mirror", "resume", "files"),
    ("export", "--output", "{state}/tree", "-m", "vn"), ("verify", "warehouse", "csv:{state}/tree", "-m", "vn"),
    ("copy", "warehouse", "csv:{state}/copy"), ("import", "--input", "{tree}", "-m", "vn", "--dry-run"),
    ("actions", "list", "-m", "vn"), ("source", "list"), ("source", "status"), ("schema", "status"), ("db", "status"),
    ("doctor",), ("pin", "create", "first", "-m", "vn"), ("pin", "list"), ("pin", "verify", "first"),
    ("symbols", "members", "us"), ("symbols", "list", "-m", "vn"), ("stream", "status"), ("stream", "gaps"),
    ("worker", "list"), ("config", "show"), ("keys", "create", "me"), ("keys", "list"), ("notify", "list"),
    ("rollback", "status"), ("migrate", "list"), ("status",), ("forget", "vn", "1d", "--tickers", "AAA"),
]  # fmt: skip
"""Verbs in an order in which each has something to show."""

WITHOUT_JSON = {"create"}
TWICE = {("mirror", "add"), ("pin", "create")}
"""What cannot be done a second time under the same name."""


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from verbs(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


def test_whoever_shows_a_table_prints_json_too() -> None:
    without = {
        name
        for name, verb in verbs(get_command(app))
        if not any("--json" in parameter.opts for parameter in verb.params)
    }
    shown = {name for name, verb in verbs(get_command(app)) if "table(" in inspect.getsource(verb.callback)}
    assert len(shown) > 20
    assert shown & without == set()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("see /a/very/long/path/of/it now", ["see", "/a/very/long/path/of/it", "now"]),
        ("short", ["short"]),
        ("two\nlines of it", ["two", "lines of", "it"]),
        ("", [""]),
    ],
)
def test_a_sentence_breaks_between_words_only(text: str, lines: list[str]) -> None:
    assert broken(Text(text), 8).plain.split("\n") == lines


class Terminal(io.StringIO):
    """A screen that keeps what it is sent."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def trees(tree: Path, tmp_path: Path) -> dict[str, str]:
    """Two trees that disagree in a close, the state, and names as long as they come."""
    other = tmp_path / "other" / "AAA"
    other.mkdir(parents=True)
    (other / "1D.csv").write_text((tree / "AAA" / "1D.csv").read_text().replace("1150,1500", "1100,1500"))
    return {"tree": str(tree), "other": str(other.parent), "state": str(tmp_path / "state")}


def too_wide(said: str) -> list[str]:
    """Lines that are wider than the terminal and could have been broken: not one long word, with what stands before."""
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said).replace("\r", "\n").splitlines()
    return [line for line in lines if len(line) > COLUMNS and max(map(len, line.split())) <= COLUMNS // 2]


@pytest.mark.thorough
def test_every_verb_fits_a_narrow_terminal_and_is_plain_in_a_pipe(
    run: Run, trees: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each verb three times, a minute and a half; test_cli_output holds one of each law in every run."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setenv("TERM", "xterm-256color")
    wide, painted, no_json, silent = {}, [], {}, []
    for verb in SAID:
        words = tuple(word.format(**trees) for word in verb)
        code, said, error = run(*words)
        assert code in (0, 1, 3), (words, said, error)
        painted += [verb] if "\x1b" in said + error else []
        if verb[1:2] and verb[:2] in TWICE:
            continue
        with monkeypatch.context() as patch:
            screen = Terminal()
            patch.setattr(sys, "stdout", screen)
            run(*words)
        silent += [] if screen.getvalue().strip() or not said else [verb]
        if found := too_wide(screen.getvalue()):
            wide[verb] = found
        if not WITHOUT_JSON & set(verb):
            code, said, error = run(*words, "--json")
            try:
                assert isinstance(json.loads(said), list | dict)
            except ValueError:
                no_json[verb] = (code, said, error)
    assert (painted, no_json, silent) == ([], {}, [])
    assert wide == {}
