"""The SQLite files of a migration: which they are, what is in them, and how to tell that they are the same again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.steps.migration import DUAL_WRITE, SCHEMAS, STOCKULA
from hypertape.steps.run_spec import Json
from hypertape.stores.inspect import UNKNOWN, FileReport
from hypertape.stores.inspect import inspect as look
from hypertape.warehouse.migration_ledger import Options

_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_HEADER_BYTES = 100
_ADDRESS = {DUAL_WRITE: "sqlite", STOCKULA: "stockula"}


Counted = Callable[[int, int], None]
"""Called with how much of a step is done, and how much there is."""


def silent(done: int, total: int) -> None:
    """Tell nobody of a step's progress."""


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What changes when a SQLite file is written: size and time (ns) of it and of its write-ahead log, its header."""

    path: str
    size: int
    modified: int
    header: str
    log: tuple[int, int] | None

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {**asdict(self), "log": None if self.log is None else list(self.log)}

    @classmethod
    def from_json(cls, value: Json) -> FileIdentity:
        """Read what `to_json` wrote."""
        return cls(**{**value, "log": None if value["log"] is None else tuple(value["log"])})


@dataclass(frozen=True, slots=True)
class Inspected:
    """What is in the files: `files` are those that can be migrated, `reports` tells of every one that was looked at."""

    files: tuple[FileIdentity, ...]
    reports: tuple[FileReport, ...]

    @property
    def taken(self) -> list[FileReport]:
        """The reports of the files that can be migrated."""
        return [report for report in self.reports if report.schema in _ADDRESS]

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            "files": [file.to_json() for file in self.files],
            "inspected": [report.to_json() for report in self.reports],
        }

    @classmethod
    def from_json(cls, value: Json) -> Inspected:
        """Read what `to_json` wrote."""
        return cls(
            tuple(map(FileIdentity.from_json, value["files"])),
            tuple(map(FileReport.from_json, value["inspected"])),
        )


def inspect(
    files: Sequence[str], *, schema: str = "auto", deep: bool = True, on_file: Counted = silent
) -> Inspected:
    """Look into SQLite files (a directory means those in it) and say what is there. Nothing is written.

    A file of a directory that nobody knows is in `reports` only, with the schema `unknown`. `deep` reads every bar to
    count what is none; a copy and a rehearsal count that on their way. Raises BadInput for a file that is missing, is
    no SQLite file, or has another schema than `schema` says, and when no file is left.
    """
    if schema not in SCHEMAS:
        raise BadInput(f"There is no schema {schema!r}", next_step=f"Schemas: {', '.join(SCHEMAS)}.")
    paths, reports = find_files(files), []
    for done, (path, named) in enumerate(paths.items()):
        on_file(done, len(paths))
        report = _look(path, named, deep)
        if named or report.schema in _ADDRESS:
            _require_schema(report, schema)
        reports.append(report)
    on_file(len(paths), len(paths))
    found = Inspected((), tuple(reports))
    if not found.taken:
        _require_schema(reports[0], schema)
    return Inspected(tuple(identity(report.path) for report in found.taken), found.reports)


def _look(path: Path, named: bool, deep: bool) -> FileReport:
    try:
        return look(path, deep=deep)
    except BadInput:
        if named:
            raise
        return FileReport(path, UNKNOWN)


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


def identity(path: Path) -> FileIdentity:
    """What tells that a file is the same again."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    log = path.with_name(f"{path.name}-wal")
    waiting = log.stat() if log.exists() and log.stat().st_size else None
    return FileIdentity(
        str(path),
        path.stat().st_size,
        path.stat().st_mtime_ns,
        hashlib.sha256(header).hexdigest(),
        (waiting.st_size, waiting.st_mtime_ns) if waiting else None,
    )


def fingerprint(files: Sequence[FileIdentity], options: Options) -> str:
    """One value for files and wishes: the same again is the same migration."""
    text = json.dumps([[file.to_json() for file in files], options.to_json()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def address_of(report: FileReport) -> str:
    """The store address of an inspected file."""
    return f"{_ADDRESS[report.schema]}:{report.path}"


def _require_schema(report: FileReport, schema: str) -> None:
    found = report.schema
    if found not in _ADDRESS:
        tables = ", ".join(table.name for table in report.unknown) or "none"
        raise BadInput(
            f"{report.path} has neither the dual-write nor the Stockula schema; its tables: {tables}",
            next_step="Name another file.",
        )
    if schema not in ("auto", found):
        raise BadInput(f"{report.path} has the schema {found}, not {schema}", next_step="Use --schema auto.")
