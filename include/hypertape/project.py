"""A user's own project: a directory with `hypertape.toml`, whose files add to the package without editing it.

| file | read by |
|---|---|
| `hypertape.toml` | `settings`: every setting by name; `[markets.vn]`: `markets` |
| `tickers/vn.csv`, `markets/jp.toml`, `calendars/vn.csv` | `markets` |
| `checks/*.sql` | `quality.rules` |
| `sources/*.py` | `sources` |
| `indicators/*.py` | `indicators` |

It is named by HYPERTAPE_PROJECT, else it is the nearest directory with a `hypertape.toml`, from the working directory
upward. What cannot be used raises BadProject, which names file and line and what is valid; who reads the files keeps
such an error to what the file adds, so that a broken market leaves the others alone.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import sys
import tomllib
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from hypertape.errors import BadProject

FILE = "hypertape.toml"
"""What makes a directory a project."""

VARIABLE = "HYPERTAPE_PROJECT"

SOURCES = "hypertape.sources"
"""The entry point group of packages that bring a source: `name = "package.module"`, a module with `build`."""

MARKET_TABLES = "markets"
"""The table of hypertape.toml that speaks of markets; all else there are settings."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project by its directory (absolute)."""

    root: Path

    @property
    def file(self) -> Path:
        """Its hypertape.toml."""
        return self.root / FILE

    def files(self, folder: str, suffix: str) -> list[Path]:
        """The files of a folder that end in `suffix`, sorted; without those that start with a point or underscore."""
        found = (self.root / folder).glob(f"*{suffix}")
        return sorted(path for path in found if path.name[0] not in "._")


def find_project() -> Project | None:
    """The project that HYPERTAPE_PROJECT names, else the one around the working directory, else None.

    Raises BadProject where the variable names a directory without a hypertape.toml.
    """
    named = os.environ.get(VARIABLE)
    if named:
        root = Path(named).absolute()
        if not (root / FILE).is_file():
            raise BadProject(
                f"{VARIABLE}={named} has no {FILE}",
                next_step=f"Make one with `hypertape init {named}`, or unset it.",
            )
        return Project(root)
    here = Path.cwd()
    return next((Project(place) for place in (here, *here.parents) if (place / FILE).is_file()), None)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises BadProject with the line."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise BadProject(f"{path}: {error}", next_step="Write it as TOML: name = value.") from error


def read_text(path: Path) -> str:
    """The text of a file of the project. Raises BadProject."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadProject(f"{path} is no UTF-8 text", next_step="Save it as UTF-8.") from error
    except OSError as error:
        raise BadProject(
            f"{path} cannot be read: {error.strerror}", next_step="Mend or remove it."
        ) from error


def line_of(path: Path, *key: str) -> int:
    """The line of a TOML file where a key stands: `line_of(path, "markets", "vn", "tickers")`. 1 where it is not found.

    tomllib does not say; names are compared as they are written, in tables and with points.
    """
    wanted, table = ".".join(key), ""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = _bare(header[1])
            if table == wanted:
                return number
        elif (name := _NAME.match(line)) and f"{table}.{_bare(name[1])}".lstrip(".") == wanted:
            return number
    return line_of(path, *key[:-1]) if len(key) > 1 else 1


_NAME = re.compile(r"\s*([\w.\"'\s-]+?)\s*=")


def _bare(name: str) -> str:
    return re.sub(r"[\"'\s]", "", name)


def bad(path: Path, line: int, what: str, next_step: str) -> BadProject:
    """The error about a line of a file: `markets/jp.toml, line 3: …`."""
    return BadProject(f"{path}, line {line}: {what}", next_step=next_step)


def unknown_key(path: Path, key: Sequence[str], valid: Iterable[str]) -> BadProject:
    """The error about a key that means nothing there: the nearest valid one, and all of them."""
    known = sorted(valid)
    near = get_close_matches(key[-1], known, _MOST_NAMED, cutoff=0.5)
    meant = f"Did you mean {near[0]}? " if near else ""
    named = known if len(known) <= _MOST_NAMED else list(dict.fromkeys([*near, *known]))[:_MOST_NAMED]
    more = f" … ({len(known)} in all)" if len(named) < len(known) else ""
    what = f"there is no {key[-1]!r}" + (f" in [{'.'.join(key[:-1])}]" if key[:-1] else "")
    return bad(path, line_of(path, *key), what, f"{meant}Valid: {', '.join(named)}{more}.")


_MOST_NAMED = 25


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV file with a header, each with its number; blank ones left out. Raises BadProject."""
    lines = csv.reader(read_text(path).splitlines())
    header = [name.strip() for name in next(lines, [])]
    if header != list(columns):
        raise bad(path, 1, f"the header is {','.join(header) or 'empty'}", f"Write {','.join(columns)}.")
    for row in lines:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(columns):
            what = f"{len(cells)} cells, not {len(columns)}"
            raise bad(path, lines.line_num, what, f"Write {','.join(columns)}; quote a cell with a comma.")
        yield lines.line_num, dict(zip(columns, cells, strict=True))


def load_module(path: Path) -> ModuleType:
    """Run a Python file of the project and return its module. Raises BadProject with the line that failed."""
    name = f"hypertape_project.{path.parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(name, None)
        raise of_code(path, error) from error
    return module


def of_code(path: Path, error: Exception) -> BadProject:
    """What a Python file of the project raised, with its own line in the traceback, or that of its syntax."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    what = error.msg if isinstance(error, SyntaxError) else str(error)
    return bad(path, line or 1, f"{type(error).__name__}: {what}", "Mend the line, or remove the file.")


@cache
def brought_sources() -> Mapping[str, EntryPoint]:
    """Sources that installed packages bring, by name; nothing of them is loaded."""
    return {point.name: point for point in entry_points(group=SOURCES)}


def source_files(project: Project | None) -> Mapping[str, Path]:
    """The project's files of sources, by the sources' names."""
    return {path.stem: path for path in project.files("sources", ".py")} if project else {}


def require_keys(path: Path, table: Mapping[str, Any], valid: Iterable[str], *above: str) -> None:
    """Raise BadProject for the first key of a table that means nothing there."""
    known = list(valid)
    for key in table:
        if key not in known:
            raise unknown_key(path, (*above, key), known)
