"""PostgreSQL's programs: found where they fit the server, and what they say made an error of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypertape.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    DiskFull,
    HypertapeError,
    ProgramFailed,
    ProgramMissing,
)
from hypertape.warehouse.pg_programs import Address, failure, find_program, run_program


def program(directory: Path, major: int, name: str = "pg_dump") -> Path:
    """A program that says it is of a version."""
    directory.mkdir()
    file = directory / name
    file.write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) {major}.3"\n')
    file.chmod(0o755)
    return file


def test_the_program_is_as_new_as_the_server(tmp_path: Path) -> None:
    mine = program(tmp_path / "mine", 18)
    assert find_program("pg_dump", 180_006, tmp_path / "mine") == mine


@pytest.mark.parametrize("major", [14, 99])
def test_another_version_is_passed_over_where_one_fits(tmp_path: Path, major: int) -> None:
    program(tmp_path / "mine", major)
    found = find_program("pg_dump", 180_006, tmp_path / "mine")
    assert found.parent != tmp_path / "mine"


def test_only_older_ones_say_how_to_get_a_newer(tmp_path: Path) -> None:
    program(tmp_path / "mine", 17)
    with pytest.raises(ProgramMissing, match=r"PostgreSQL 99 here \(found: 17 in .*client-99.*PG_BINDIR"):
        find_program("pg_dump", 990_001, tmp_path / "mine")


def test_the_password_is_in_the_environment_alone() -> None:
    address = Address.of("postgresql://me:se%20cret@host:5433/db?sslmode=require", database="other")
    assert address.environment()["PGPASSWORD"] == "se cret"
    assert "se cret" not in address.conninfo + repr(address)
    assert "sslmode=require" in address.conninfo
    assert "dbname=other" in address.conninfo


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (["pg_dump: error: could not write: No space left on device"], DiskFull),
        (['pg_dump: error: connection to server at "h" failed: refused'], DatabaseUnreachable),
        (["pg_dump: FATAL: terminating connection due to administrator command"], DatabaseBusy),
        (["pg_dump: reading", "pg_dump: error: permission denied for table x"], ProgramFailed),
        ([], ProgramFailed),
    ],
)
def test_what_a_program_says_becomes_an_error(said: list[str], kind: type[HypertapeError]) -> None:
    error = failure("pg_dump", 1, said)
    assert type(error) is kind
    assert "reading" not in str(error)


def test_a_program_is_killed_with_its_reader() -> None:
    def stop(stream: object) -> None:
        raise KeyError("reader")

    with pytest.raises(KeyError, match="reader"):
        run_program(["sleep", "60"], output=stop)
