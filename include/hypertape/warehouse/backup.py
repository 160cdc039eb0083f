"""Dumps of the whole warehouse by the server's own pg_dump, and what they hold, so that a restored one can be compared.

The rows and digests of every relation are read in the snapshot that pg_dump reads: they are those of the dump, whatever
is loaded meanwhile. TimescaleDB's catalog is restored between its pre_restore and post_restore, into the version of the
extension that the dump was made with.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from hypertape import __version__
from hypertape.errors import BadInput, HypertapeError
from hypertape.queries import query
from hypertape.warehouse.backup_databases import require_server_itself
from hypertape.warehouse.connect import connect
from hypertape.warehouse.dsn import place
from hypertape.warehouse.pg_programs import Address, find_program, lines_of, run_program

Connection = psycopg.Connection[Any]
OnStep = Callable[[str, int, int], None]

TIMESCALEDB = "timescaledb"
FORMAT = 1

_SIZED_SINCE = 170_000
"""The first pg_restore that commits every so many objects instead of after each."""

_COMPRESSION = 1
"""gzip's fastest: a third larger than its usual level, and three times as fast."""


@dataclass(frozen=True, slots=True)
class Relation:
    """What a table or rollup holds: its rows, and the sum of their hashes, whatever their order."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What lies beside a dump. Times are UTC; `seconds` is what making it took; `extensions` are (schema, version)."""

    name: str
    made_at: datetime
    database: str
    server_version: str
    tier: str
    extensions: Mapping[str, tuple[str, str]]
    schema_version: str
    code_version: str
    bytes: int
    sha256: str
    seconds: float
    relations: Mapping[str, Relation] = field(repr=False)

    @property
    def rows(self) -> int:
        """Rows of all relations together."""
        return sum(relation.rows for relation in self.relations.values())

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "made_at": self.made_at.isoformat(), "format": FORMAT}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Manifest:
        """Read what `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        given = dict(value)
        if given.pop("format") != FORMAT:
            raise ValueError("format")
        given["made_at"] = datetime.fromisoformat(given["made_at"])
        given["extensions"] = {
            name: (schema, version) for name, (schema, version) in given["extensions"].items()
        }
        given["relations"] = {
            name: Relation(int(about["rows"]), str(about["digest"]))
            for name, about in given["relations"].items()
        }
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Dumped:
    """What a dump holds and where it came from: a manifest without its file."""

    database: str
    server_version: str
    tier: str
    extensions: Mapping[str, tuple[str, str]]
    schema_version: str
    relations: Mapping[str, Relation]
    code_version: str = __version__


def dump(
    dsn: str, output: Callable[[IO[bytes]], None], *, bindir: Path | None = None, on_step: OnStep
) -> Dumped:
    """Dump a warehouse, in the custom format, to whoever reads `output`; return what is in it.

    Raises BadSetting through a pooler, ProgramMissing, and what `run_program` and `connect` raise.
    """
    with connect(dsn) as connection:
        require_server_itself(connection)
        connection.commit()
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        (snapshot,) = _one(connection, "backup_snapshot")
        (tables,) = _one(connection, "backup_table_count")
        program = find_program("pg_dump", connection.info.server_version, bindir)
        address = Address.of(dsn)
        command: list[str | Path] = [
            program, "--format=custom", f"--compress={_COMPRESSION}", f"--snapshot={snapshot}", "--verbose",
            "--no-password", "--dbname", address.conninfo,
        ]  # fmt: skip
        count = _counter("dump", "dumping contents of table", tables, on_step)
        run_program(command, address, output=output, on_line=count)
        return _described(connection, on_step)


def contents(connection: Connection, on_step: OnStep) -> dict[str, Relation]:
    """Rows and digest of every table and rollup of ours, by name."""
    names = connection.execute(query("backup_relations")).fetchall()
    if _has_timescaledb(connection):
        names += connection.execute(query("backup_rollups")).fetchall()
    found = {}
    for done, (schema, name) in enumerate(sorted(names)):
        on_step("count and digest", done, len(names))
        statement = query("backup_contents").format(relation=sql.Identifier(schema, name))
        rows, digest = connection.execute(statement).fetchone() or (0, "0")
        found[f"{schema}.{name}"] = Relation(int(rows), str(digest))
    on_step("count and digest", len(names), len(names))
    return found


def differences(expected: Mapping[str, Relation], found: Mapping[str, Relation]) -> list[str]:
    """What two warehouses do not have in common, in words; none: they hold the same rows."""
    return [
        f"{name} is missing" if there is None
        else f"{name} is not of the backup" if wanted is None
        else f"{name} has {there.rows} rows, not {wanted.rows}" if there.rows != wanted.rows
        else f"{name} has other values in its {there.rows} rows"
        for name in sorted({*expected, *found})
        if (wanted := expected.get(name)) != (there := found.get(name))
    ]  # fmt: skip


def restore(
    dsn: str,
    file: Path,
    manifest: Manifest,
    *,
    bindir: Path | None = None,
    at_once: bool = False,
    on_step: OnStep,
) -> list[int]:
    """Restore a dump into an empty database; return TimescaleDB's jobs, which do not run there until `wake_jobs`.

    `at_once`: in one transaction, so that what fails leaves it empty, but for the extension. It takes a lock for each
    table, index and chunk; a database that is dropped when something fails is better off without.

    Raises BadInput where the server lacks the extension in the version of the dump, ProgramMissing, and what
    `run_program` raises.
    """
    with connect(dsn, autocommit=True) as connection:
        require_server_itself(connection)
        version = connection.info.server_version
        program = find_program("pg_restore", version, bindir)
        _create_extensions(connection, manifest)
    timescaled = TIMESCALEDB in manifest.extensions
    if timescaled:
        with connect(dsn, autocommit=True) as connection:  # a new session: the extension loads with it
            connection.execute(query("timescaledb_pre_restore"))
    try:
        _run_restore(program, _transactions(version, at_once), dsn, file, on_step)
    except BaseException:
        if timescaled:
            with suppress(HypertapeError, psycopg.Error):  # what was wrong before is the reason
                _end_restore(dsn)
        raise
    return _end_restore(dsn) if timescaled else []


def wake_jobs(dsn: str, jobs: Sequence[int]) -> None:
    """Let the jobs that a restore silenced run."""
    if jobs:
        with connect(dsn, autocommit=True) as connection:
            connection.execute(query("timescaledb_wake"), [list(jobs)])


def _transactions(server_version: int, at_once: bool) -> list[str]:
    if at_once:
        return ["--single-transaction"]
    return ["--transaction-size=1000"] if server_version >= _SIZED_SINCE else []


def _run_restore(program: Path, transactions: Sequence[str], dsn: str, file: Path, on_step: OnStep) -> None:
    entries = [line for line in lines_of([program, "--list", file]) if not _is_extension(line)]
    tables = sum(" TABLE DATA " in line for line in entries)
    with tempfile.NamedTemporaryFile("w", suffix=".list", encoding="utf-8") as wanted:
        wanted.write("\n".join(entries) + "\n")
        wanted.flush()
        address = Address.of(dsn)
        command: list[str | Path] = [
            program, *transactions, "--exit-on-error", "--no-owner", "--no-privileges", "--verbose",
            "--no-password", f"--use-list={wanted.name}", "--dbname", address.conninfo, file,
        ]  # fmt: skip
        count = _counter("restore", "processing data for table", tables, on_step)
        run_program(command, address, on_line=count)


def _is_extension(line: str) -> bool:
    """Whether an entry of a dump's list is an extension or its comment: those are made beforehand."""
    words = line.split()
    return (not line.startswith(";") and words[3:4] == ["EXTENSION"]) or words[3:6] == [
        "COMMENT",
        "-",
        "EXTENSION",
    ]


def _end_restore(dsn: str) -> list[int]:
    """TimescaleDB's normal work again, but for its jobs: none starts between the two statements."""
    with connect(dsn) as connection:
        connection.execute(query("timescaledb_post_restore"))
        silenced = connection.execute(query("timescaledb_silence")).fetchall()
        connection.commit()
    return [job for (job,) in silenced]


def _create_extensions(connection: Connection, manifest: Manifest) -> None:
    for name, (schema, version) in manifest.extensions.items():
        there = [row[0] for row in connection.execute(query("backup_extension_versions"), [name])]
        wanted = version if name == TIMESCALEDB or version in there else None
        if not there or (wanted and wanted not in there):
            raise BadInput(
                f"The backup was made with {name} {version}, and {place(connection.info.dsn)} has "
                f"{', '.join(there) or 'none'}",
                next_step=f"Install {name} {version} there, restore, and upgrade it afterwards.",
            )
        connection.execute(query("backup_create_schema").format(schema=sql.Identifier(schema)))
        exactly = sql.SQL("version {}").format(sql.Literal(wanted)) if wanted else sql.SQL("")
        statement = query("backup_create_extension").format(
            extension=sql.Identifier(name), schema=sql.Identifier(schema), version=exactly
        )
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            raise BadInput(
                f"{place(connection.info.dsn)} does not load {name} {version}: {error}",
                next_step="Let the server load it (shared_preload_libraries), or name another one.",
            ) from error


def _described(connection: Connection, on_step: OnStep) -> Dumped:
    found = connection.execute(query("backup_extensions")).fetchall()
    (tier,) = _one(connection, "backup_tier")
    (newest,) = _one(connection, "backup_schema_version")
    return Dumped(
        database=connection.info.dbname,
        server_version=(connection.info.parameter_status("server_version") or "").split()[0],
        tier=str(tier),
        extensions={name: (schema, version) for name, schema, version in found},
        schema_version=str(newest),
        relations=contents(connection, on_step),
    )


def _has_timescaledb(connection: Connection) -> bool:
    return connection.execute(query("has_extension"), [TIMESCALEDB]).fetchone() is not None


def _counter(step: str, words: str, total: int, on_step: OnStep) -> Callable[[str], None]:
    done = 0

    def count(line: str) -> None:
        nonlocal done
        if words in line:
            done += 1
            on_step(step, min(done, total), total)

    return count


def _one(connection: Connection, name: str, *parameters: object) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query(name), parameters or None).fetchone()
    assert row is not None
    return row
