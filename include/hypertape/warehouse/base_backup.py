"""Base backups of a whole server by pg_basebackup: with the archived log they bring it back to any instant since.

A directory holds them: `base-…/` is a copy of the server's files, `base-…json` beside it, written last, says of when
and on which other one an incremental copy builds. Without it a copy is unfinished and is used for nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from hypertape.errors import BadInput
from hypertape.model import format_instant
from hypertape.queries import query
from hypertape.warehouse.backup_databases import require_server_itself
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.archive import SUMMARIES_SINCE
from hypertape.warehouse.pg_programs import Address, find_program, run_program

Connection = psycopg.Connection[Any]

_NAME = re.compile(r"base-\d{8}T\d{6}Z-[0-9a-f]{6}")
_MANIFEST = "backup_manifest"
_LABEL = re.compile(r"START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)")


@dataclass(frozen=True, slots=True)
class Base:
    """A finished base backup. It serves every instant since `ended_at` (UTC) and may build on another one, `after`."""

    name: str
    ended_at: datetime
    server_version: int
    bytes: int
    first_segment: str
    after: str | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "ended_at": self.ended_at.isoformat()}


def make_base(
    dsn: str, directory: Path, *, now: datetime, incremental: bool = False, bindir: Path | None = None
) -> Base:
    """Copy the files of the server of a DSN into a directory; an incremental copy holds what changed since the newest.

    Raises BadInput where there is none to build on, ProgramMissing, and what `run_program` raises (the role must be a
    superuser or have REPLICATION).
    """
    with connect(dsn) as connection:
        require_server_itself(connection)
        version = connection.info.server_version
        (archives, summarizes) = _one(connection, "base_settings")
    if not archives:
        raise BadInput(
            "The server does not archive its log, so a base backup would lead to no point in time",
            next_step="Set HYPERTAPE_WAL_ARCHIVE_DIR and restart the embedded server (`hypertape db down`, `hypertape "
            "db up`); on another one set archive_mode and archive_command, see docs/backup.md.",
        )
    after = _to_build_on(directory, version, summarizes) if incremental else None
    name = f"base-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{os.urandom(3).hex()}"
    place = directory / name
    directory.mkdir(parents=True, exist_ok=True)
    address = Address.of(dsn)
    command: list[str | Path] = [
        find_program("pg_basebackup", version, bindir), "--pgdata", place, "--format=plain", "--wal-method=stream",
        "--checkpoint=fast", "--no-password", "--dbname", address.conninfo,
    ]  # fmt: skip
    if after is not None:
        command += [f"--incremental={directory / after.name / _MANIFEST}"]
    try:
        run_program(command, address)
        run_program([find_program("pg_verifybackup", version, bindir), "--quiet", place])
        with connect(dsn) as connection:
            (ended_at,) = _one(connection, "database_now")
        found = Base(
            name, ended_at, version, _size(place), _first_segment(place), after.name if after else None
        )
        _write(directory / f"{name}.json", found.to_json())
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return found


def bases(directory: Path) -> list[Base]:
    """The finished base backups of a directory, newest first."""
    found = []
    for file in sorted(directory.glob("base-*.json"), reverse=True):
        if _NAME.fullmatch(file.stem) and (directory / file.stem / _MANIFEST).is_file():
            value = json.loads(file.read_text(encoding="utf-8"))
            found.append(Base(**{**value, "ended_at": datetime.fromisoformat(value["ended_at"])}))
    return found


def chain_to(directory: Path, instant: datetime) -> list[Base]:
    """The base backups that lead to an instant: a full one, and the incremental ones on it. Raises BadInput."""
    known = {each.name: each for each in bases(directory)}
    newest = next((each for each in known.values() if each.ended_at <= instant), None)
    chain: list[Base] = []
    at = newest
    while at is not None:
        chain.insert(0, at)
        if at.after is None:
            return chain
        at = known.get(at.after)
    first = min((each.ended_at for each in known.values()), default=None)
    raise BadInput(
        f"No base backup in {directory} leads to {format_instant(instant)}"
        + (f": {chain[0].name} builds on {chain[0].after}, which is gone" if chain else ""),
        next_step=f"The first instant that can be had is {format_instant(first)}."
        if first
        else "Make one with `hypertape backup base`; it serves every instant after it.",
    )


def unpack(directory: Path, chain: Sequence[Base], data: Path, *, bindir: Path | None = None) -> None:
    """Make a server's data directory of a chain of base backups."""
    places = [directory / each.name for each in chain]
    if len(places) == 1:
        shutil.copytree(places[0], data, symlinks=True)
        return
    program = find_program("pg_combinebackup", chain[-1].server_version, bindir)
    run_program([program, "--output", data, *places])


def prune_bases(
    directory: Path, archive: Path, *, keep_since: datetime, bindir: Path | None = None
) -> list[Base]:
    """Remove the base backups that no instant since `keep_since` needs, and the log before the oldest that stays.

    The newest chain stays, whatever its age.
    """
    there = bases(directory)
    if not there:
        return []
    needed = {each.name for each in there if each.ended_at >= keep_since}
    oldest = next((each for each in there if each.ended_at <= keep_since), there[-1])
    for each in (oldest, there[0], *(one for one in there if one.name in needed)):
        needed |= {one.name for one in chain_to(directory, each.ended_at)}
    gone = [each for each in there if each.name not in needed]
    for each in gone:
        (directory / f"{each.name}.json").unlink()
        shutil.rmtree(directory / each.name)
    first = min(each.first_segment for each in there if each.name in needed)
    program = find_program("pg_archivecleanup", there[0].server_version, bindir)
    run_program([program, archive, first])
    return gone


def _to_build_on(directory: Path, version: int, summarizes: bool) -> Base:
    there = [each for each in bases(directory) if each.server_version // 10_000 == version // 10_000]
    if version // 10_000 < SUMMARIES_SINCE or not summarizes:
        raise BadInput(
            "The server makes no incremental base backups",
            next_step=f"PostgreSQL {SUMMARIES_SINCE} and newer do, with summarize_wal = on. Leave --incremental away.",
        )
    if not there:
        raise BadInput(
            f"There is no base backup in {directory} to build on",
            next_step="Make a full one first: `hypertape backup base` without --incremental.",
        )
    return there[0]


def _first_segment(place: Path) -> str:
    found = _LABEL.search((place / "backup_label").read_text(encoding="utf-8"))
    assert found is not None, "every base backup says where its log begins"
    return found[1]


def _size(place: Path) -> int:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def _write(file: Path, value: dict[str, Any]) -> None:
    draft = file.with_name(f".{file.name}")
    draft.write_text(json.dumps(value, indent=1), encoding="utf-8")
    draft.replace(file)


def _one(connection: Connection, name: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query(name)).fetchone()
    assert row is not None
    return row
