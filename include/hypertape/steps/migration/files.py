"""The SQLite files of a migration: which they are, what is in them, and how to tell that they are the same again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.steps.migration.schemas import DUAL_WRITE, SCHEMAS, STOCKULA
from hypertape.stores.inspect import UNKNOWN, FileReport
from hypertape.stores.inspect import inspect as look

_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_HEADER_BYTES = 100
_ADDRESS = {DUAL_WRITE: "sqlite", STOCKULA: "stockula"}


Counted = Callable[[int, int], None]
"""Called with how much of a step is done, and how much there is."""


def silent(done: int, total: int) -> None:
    """Tell nobody of a step's progress."""


def inspect(
    files: Sequence[str], *, schema: str = "auto", deep: bool = True, on_file: Counted = silent
) -> dict[str, Any]:
    """Look into SQLite files (a directory means those in it) and return what is there, as JSON.

    `files` holds path, size, modified (ns) and a digest of the header of each; `inspected` its schema, tables, unknown
    tables and problems with counts and samples. A file of a directory that nobody knows is in `inspected` only, with
    the schema `unknown`. Nothing is written. `deep` reads every bar to count what is none; a copy counts that on its
    way. Raises BadInput for a file that is missing, is no SQLite file, or has another schema than `schema` says, and
    when no file is left.
    """
    if schema not in SCHEMAS:
        raise BadInput(f"There is no schema {schema!r}", next_step=f"Schemas: {', '.join(SCHEMAS)}.")
    paths, reports = find_files(files), []
    for done, (path, named) in enumerate(paths.items()):
        on_file(done, len(paths))
        report = _look(path, named, deep)
        if named or report["schema"] in _ADDRESS:
            _demand_schema(report, schema)
        reports.append(report)
    on_file(len(paths), len(paths))
    found = {"files": [], "inspected": reports}
    if not taken(found):
        _demand_schema(reports[0], schema)
    return {**found, "files": [identity(Path(report["path"])) for report in taken(found)]}


def taken(inspected: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The reports of the files that can be migrated."""
    return [report for report in inspected["inspected"] if report["schema"] in _ADDRESS]


def _look(path: Path, named: bool, deep: bool) -> dict[str, Any]:
    try:
        found = look(path, deep=deep)
    except BadInput:
        if named:
            raise
        found = FileReport(path, UNKNOWN)
    return dict(_json({**dataclasses.asdict(found), "path": str(path)}))


def find_files(files: Sequence[str]) -> dict[Path, bool]:
    """Absolute paths of the files, and which were named; a directory stands for its *.db, *.sqlite and *.sqlite3 files.

    Raises BadInput or SourceFileMissing.
    """
    if not files:
        raise BadInput("No file is named", next_step="Name SQLite files, or a directory that holds some.")
    found: dict[Path, bool] = {}
    for name in files:
        path = Path(name).expanduser().resolve()
        inside = (
            sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES) if path.is_dir() else [path]
        )
        if not inside or not inside[0].is_file():
            raise SourceFileMissing(
                f"{name} is no SQLite file, nor a directory with one", next_step="Check the path."
            )
        for each in inside:
            found[each] = found.get(each, False) or not path.is_dir()
    return found


def identity(path: Path) -> dict[str, Any]:
    """What changes when a SQLite file is written: size and time of it and of its write-ahead log, and its header."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    log = path.with_name(f"{path.name}-wal")
    waiting = log.stat() if log.exists() and log.stat().st_size else None
    return {
        "path": str(path),
        "size": path.stat().st_size,
        "modified": path.stat().st_mtime_ns,
        "header": hashlib.sha256(header).hexdigest(),
        "log": [waiting.st_size, waiting.st_mtime_ns] if waiting else None,
    }


def fingerprint(files: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> str:
    """One value for files and wishes: the same again is the same migration."""
    text = json.dumps([list(files), dict(options)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def address_of(report: Mapping[str, Any]) -> str:
    """The store address of an inspected file."""
    return f"{_ADDRESS[report['schema']]}:{report['path']}"


def _demand_schema(report: Mapping[str, Any], schema: str) -> None:
    found = report["schema"]
    if found not in _ADDRESS:
        tables = ", ".join(table["name"] for table in report["unknown"]) or "none"
        raise BadInput(
            f"{report['path']} has neither the dual-write nor the Stockula schema; its tables: {tables}",
            next_step="Name another file.",
        )
    if schema not in ("auto", found):
        raise BadInput(
            f"{report['path']} has the schema {found}, not {schema}", next_step="Use --schema auto."
        )


def _json(value: Any) -> Any:
    """The value with everything JSON does not know (dates, paths) as text."""
    return json.loads(json.dumps(value, default=str))
