"""Backups: what is restored is what there was, and one that is not whole is never taken for one."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lab import D1, LONG_AGO, M1, compress_long_ago, digest, put, query, value, walk
from psycopg import sql

from hypertape.errors import BackupBroken, BadInput, TransientError
from hypertape.markets import all_markets
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps import backup as steps
from hypertape.steps.backup_files import BackupPlace
from hypertape.steps.backup_restore import restore_backup
from hypertape.steps.refresh import refresh_waiting
from hypertape.warehouse.backup_databases import SCRATCH, database_of
from hypertape.warehouse.backup_ledger import known_backups
from hypertape.warehouse.connect import connect
from hypertape.warehouse.doctor import examine
from hypertape.warehouse.findings import open_findings
from hypertape.warehouse.pg_programs import packaged_binaries
from hypertape.warehouse.schema import apply
from hypertape.warehouse.schema import verify as verify_schema
from message_hook import Hook

Run = Callable[..., tuple[int, str, str]]

NOW = utc(2026, 11, 30, 12)
DAY = timedelta(days=1)
JOBS = "timescaledb_information.jobs where job_id >= 1000"
"""Ours; those below are the extension's own, made anew with it."""


def fill(dsn: str) -> None:
    """Daily bars of long ago whose chunks are compressed, an hour of minutes, and their rollups."""
    with connect(dsn, autocommit=True) as connection:
        put(connection, {"OLD": walk(400, start=LONG_AGO)})
        put(connection, {"NEW": walk(90, interval=M1, seed=2)}, interval=M1)
    for interval in (D1, M1):
        refresh_waiting(dsn, "fill", "crypto", interval.value, NOW)
    with connect(dsn, autocommit=True) as connection:
        compress_long_ago(connection, "bars.crypto_data_1d")


def make(dsn: str, place: BackupPlace, now: Any = NOW) -> Any:
    return steps.create(dsn, place, run_id="lab", now=now, fresh_for=timedelta(hours=30))


def look(dsn: str, place: BackupPlace, name: str | None = None, **more: Any) -> steps.Checked:
    return steps.verify(dsn, place, place.find(name), now=NOW, **more)


def databases(dsn: str, like: str) -> list[str]:
    """Those of the server; not those that other tests have for themselves meanwhile."""
    with connect(dsn) as connection:
        return [
            name
            for (name,) in query(
                connection, "select datname from pg_database where datname like %s order by 1", like
            )
            if not re.fullmatch(r"hypertape_(test|template)_[0-9a-f]+", name)
        ]


@dataclass
class Made:
    """A filled warehouse and a backup of it."""

    dsn: str
    place: BackupPlace
    name: str


@pytest.fixture(scope="module")
def made(new_warehouse: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with new_warehouse() as dsn:
        fill(dsn)
        place = BackupPlace(str(tmp_path_factory.mktemp("backups")))
        yield Made(dsn, place, make(dsn, place).name)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> BackupPlace:
    """The backup in a directory of the test's own."""
    shutil.copytree(made.place.url, tmp_path / "backups")
    return BackupPlace(str(tmp_path / "backups"))


def test_a_backup_is_verified_by_a_restore_that_leaves_nothing(made: Made) -> None:
    found = look(made.dsn, made.place, made.name)
    assert (found.whole, found.restored, found.reason) == (True, True, "")
    assert databases(made.dsn, SCRATCH + "%") == []
    (known,) = [each for each in made.place.backups() if each.name == made.name]
    assert known.state == "verified"
    with connect(made.dsn) as connection:
        assert [each.is_verified for each in known_backups(connection) if each.name == made.name] == [True]


def test_what_is_restored_is_what_there_was(made: Made) -> None:
    target = database_of(made.dsn, f"hypertape_restored_{made.name[-6:]}")
    with connect(made.dsn, autocommit=True) as connection:  # what scheduled jobs would do in between
        tier = value(connection, "select hypertape.server_tier()")
        if tier == "timescaledb":
            connection.execute(f"select alter_job(min(job_id), scheduled => true) from {JOBS}")
    again = make(made.dsn, made.place, NOW + DAY)
    try:
        done = restore_backup(target, made.place, made.place.find(again.name), now=NOW)
        assert (done.former, done.rows) == (None, again.rows)
        with connect(made.dsn) as before, connect(target) as after:
            verify_schema(after, all_markets().values())
            for ticker, interval in (("OLD", D1), ("NEW", M1)):
                assert digest(after, ticker, interval=interval) == digest(before, ticker, interval=interval)
            weeks = "select count(*), sum(close) from crypto_data_1w"
            assert query(after, weeks) == query(before, weeks)
            assert value(after, "select count(*) from crypto_data_5m") == 18
            assert value(after, "show search_path") == value(before, "show search_path")
            if tier == "timescaledb":
                for what in (
                    "select count(*), count(*) filter (where is_compressed) from timescaledb_information.chunks",
                    f"select count(*), count(*) filter (where scheduled) from {JOBS}",
                ):
                    ((there, some),) = query(after, what)
                    assert query(before, what) == [(there, some)]
                    assert there >= some > 0
    finally:
        with connect(made.dsn, autocommit=True) as connection:
            name = sql.Identifier(psycopg.conninfo.conninfo_to_dict(target)["dbname"])
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(name))
    with connect(made.dsn) as connection:
        assert len(known_backups(connection)) == 2
    made.place.remove(again.name)


def test_what_is_loaded_while_it_is_made_is_not_in_it(made: Made, tmp_path: Path) -> None:
    place, loaded = BackupPlace(str(tmp_path)), []

    def load(step: str, done: int, total: int) -> None:
        if not loaded and step == "dump":
            with connect(made.dsn, autocommit=True) as connection:
                put(connection, {"MEANWHILE": walk(5)})
            loaded.append(step)

    steps.create(made.dsn, place, run_id="lab", now=NOW, fresh_for=DAY, on_step=load)
    assert loaded
    assert look(made.dsn, place).whole


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def changed_byte(file: Path) -> None:
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 1
    file.write_bytes(held)


def other_digest(file: Path) -> None:
    manifest = json.loads(file.with_suffix(".json").read_text())
    manifest["relations"]["bars.crypto_data_1d"]["digest"] = "1"
    file.with_suffix(".json").write_text(json.dumps(manifest))


def cut_manifest(file: Path) -> None:
    cut(file.with_suffix(".json"))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        pytest.param(cut, "its dump has", id="cut"),
        pytest.param(changed_byte, "its sha256 is another one", id="a byte changed"),
        pytest.param(Path.unlink, "its dump is gone", id="gone"),
        pytest.param(cut_manifest, "its manifest cannot be read", id="the manifest cut"),
        pytest.param(
            other_digest, "bars.crypto_data_1d has other values in its 40", id="the rows are others"
        ),
    ],
)
def test_what_was_cut_or_changed_is_found(
    made: Made, copy: BackupPlace, harm: Callable[[Path], None], says: str
) -> None:
    harm(Path(copy.url, f"{made.name}.dump"))
    found = look(made.dsn, copy, made.name)
    assert (found.whole, says in found.reason) == (False, True), found.reason
    assert copy.find(made.name).state == "broken"
    assert databases(made.dsn, SCRATCH + "%") == []
    with connect(made.dsn) as connection:
        assert not known_backups(connection)[0].is_verified


def test_a_broken_backup_is_a_finding_and_a_message_until_it_is_gone(
    command_line: Run, warehouse: str, tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERTAPE_NOTIFY", hook.address)
    output = ("--output", str(tmp_path / "backups"))
    code, said, _ = command_line("backup", "create", *output, "--json")
    (created,) = json.loads(said)
    assert (code, created["place"]) == (0, str(tmp_path / "backups"))
    file = tmp_path / "backups" / f"{created['name']}.dump"
    assert file.stat().st_mode & 0o777 == 0o600, "it holds everything"
    assert command_line("backup", "verify", *output)[0] == 0
    changed_byte(file)
    code, said, error = command_line("backup", "verify", "--all", "--files-only", "--json", *output)
    assert (code, [each["whole"] for each in json.loads(said)]) == (3, [False])
    assert "1 of 1 backups not whole" in error
    assert "hypertape backup prune --broken" in error
    with connect(warehouse) as connection:
        (broken,) = open_findings(connection, NOW)
    mend = "hypertape backup create {0}; then hypertape backup prune --broken {0}".format(" ".join(output))
    assert (broken.kind, broken.severity, broken.mend) == ("backup", "critical", mend)
    assert [title for title in hook.titles if "is not whole" in title] != []
    assert command_line("backup", "create", *output)[0] == 0
    assert command_line("backup", "verify", *output)[0] == 0
    code, said, _ = command_line("backup", "prune", "--broken", "--json", *output)
    assert [each["name"] for each in json.loads(said)] == [created["name"]]
    with connect(warehouse) as connection:
        assert open_findings(connection, NOW) == []
    assert len(hook.titles) == 2, "one when it opens, one when it is over"


def test_the_newest_verified_backup_too_old_is_a_finding(
    command_line: Run, warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hypertape.steps.findings import note_backup_findings

    place, settings = BackupPlace(str(tmp_path / "backups")), Settings()

    def titles(now: Any) -> list[str]:
        note_backup_findings(warehouse, "lab", now=now, settings=settings)
        with connect(warehouse) as connection:
            return [each.title for each in open_findings(connection, now)]

    def doctor(now: Any) -> tuple[str, str]:
        with connect(warehouse) as connection:
            found = examine(connection, tuple(all_markets().values()), settings, now=now)
        return next((each.level, each.finding) for each in found if each.subject == "backups")

    assert titles(NOW) == [], "who never made one is told by the doctor"
    assert doctor(NOW) == ("note", "there is none")
    make(warehouse, place)
    assert doctor(NOW) == ("note", "of 1 none is verified and new enough")
    assert titles(NOW + timedelta(hours=29)) == []
    assert titles(NOW + timedelta(hours=31)) == [
        "No backup was ever verified, the first is of 2026-11-30T12:00:00"
    ]
    look(warehouse, place)
    assert doctor(NOW + timedelta(hours=29)) == (
        "ok", f"the newest verified one is of 2026-11-30T12:00:00, in {place.url}",
    )  # fmt: skip
    assert doctor(NOW + timedelta(hours=31)) == ("bad", "of 1 none is verified and new enough")
    assert titles(NOW + timedelta(hours=29)) == []
    assert titles(NOW + timedelta(hours=31)) == ["The newest verified backup is of 2026-11-30T12:00:00"]
    make(warehouse, place, NOW + DAY)
    assert titles(NOW + timedelta(hours=31)) != [], "one that nobody verified does not count"
    look(warehouse, place)
    assert titles(NOW + timedelta(hours=31)) == []


def test_a_database_that_holds_tables_is_refused_or_kept(
    made: Made, new_warehouse: Callable[[], Any]
) -> None:
    backup = made.place.find(made.name)
    with new_warehouse() as target:
        with connect(target, autocommit=True) as connection:
            put(connection, {"MINE": walk(3)})
            tables = value(connection, "select count(*) from pg_stat_user_tables") > 10
        assert tables
        with pytest.raises(BadInput, match=r"holds \d+ tables, and nothing was restored.*--overwrite"):
            restore_backup(target, made.place, backup, now=NOW)
        with connect(target) as user:  # somebody is at work there
            done = restore_backup(target, made.place, backup, now=NOW, overwrite=True)
            with pytest.raises(TransientError):
                user.execute("select 1")
        assert done.former is not None
        with connect(target) as after, connect(database_of(target, done.former)) as before:
            assert value(after, "select count(*) from crypto_data_1d where ticker = 'OLD'") == 400
            assert value(before, "select count(*) from crypto_data_1d where ticker = 'MINE'") == 3
        with connect(made.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(done.former)))


def test_what_is_not_whole_changes_nothing_where_it_is_restored(
    made: Made, copy: BackupPlace, new_warehouse: Callable[[], Any]
) -> None:
    other_digest(Path(copy.url, f"{made.name}.dump"))
    with new_warehouse() as target:
        before = databases(target, "%")
        with pytest.raises(BackupBroken, match="restores to something else"):
            restore_backup(target, copy, copy.find(made.name), now=NOW, overwrite=True)
        assert databases(target, "%") == before
        with connect(target) as connection:
            assert value(connection, "select count(*) from crypto_data_1d") == 0


_KILLED = """
import os, signal, sys
from hypertape.steps.backup_files import BackupPlace
class Stream:
    def __init__(self): self.blocks = 0
    def read(self, size):
        self.blocks += 1
        if self.blocks > 1: os.kill(os.getpid(), signal.SIGKILL)
        return b"x" * 100_000
BackupPlace(sys.argv[1]).write_dump(sys.argv[2], Stream(), lambda size: None)
"""


def test_what_a_kill_leaves_is_known_and_never_whole(made: Made, copy: BackupPlace) -> None:
    name = "hypertape-20261130T130000Z-abcdef"
    ended = subprocess.run([sys.executable, "-c", _KILLED, copy.url, name], check=False)
    assert ended.returncode == -signal.SIGKILL
    newest, good = copy.backups()
    assert (newest.name, newest.state, good.state in ("verified", "broken", "unverified")) == (
        name,
        "unfinished",
        True,
    )
    assert copy.find(None).name == made.name, "the newest is the newest that is finished"
    assert not look(made.dsn, copy, name).whole
    assert steps.prune(made.dsn, copy, now=newest.made_at + timedelta(hours=23), keep_days=99) == []
    gone = steps.prune(made.dsn, copy, now=newest.made_at + timedelta(hours=25), keep_days=99)
    assert [each.name for each in gone] == [name]
    assert [file for file in Path(copy.url).iterdir() if name in file.name] == []


def test_scratch_databases_of_killed_verifications_are_removed_and_no_others(made: Made) -> None:
    with connect(made.dsn, autocommit=True) as connection, connect(made.dsn) as busy:
        for name in ("left", "used"):
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(SCRATCH + name)))
        busy.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (SCRATCH + "used",))
        assert look(made.dsn, made.place, made.name).whole
        assert databases(made.dsn, SCRATCH + "%") == [SCRATCH + "used"]
        connection.execute(sql.SQL("drop database {}").format(sql.Identifier(SCRATCH + "used")))


def test_no_password_stands_on_a_command_line(
    made: Made, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (real,) = packaged_binaries()
    bindir, seen = tmp_path / "bin", tmp_path / "seen"
    bindir.mkdir()
    for name in ("pg_dump", "pg_restore"):
        script = bindir / name
        script.write_text(f'#!/bin/sh\necho "$0 $@" >> {seen}\nexec {real.bindir / name} "$@"\n')
        script.chmod(0o755)
    place = BackupPlace(str(tmp_path / "backups"))
    steps.create(made.dsn, place, run_id="lab", now=NOW, fresh_for=DAY, bindir=bindir)
    assert look(made.dsn, place, bindir=bindir).whole
    said = seen.read_text()
    assert ("--format=custom" in said, "--use-list" in said) == (True, True)
    assert psycopg.conninfo.conninfo_to_dict(made.dsn)["password"] not in said


class Ending(BackupPlace):
    """A place that ends pg_dump's session before it reads: more than a pipe holds is still to come."""

    dsn = ""

    def write_dump(self, name: str, stream: Any, on_bytes: Any) -> tuple[int, str]:
        ended = (
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where application_name = 'pg_dump' and datname = current_database()"
        )
        with connect(self.dsn, autocommit=True) as connection:
            while not value(connection, ended):
                pass
        return super().write_dump(name, stream, on_bytes)


def test_a_server_that_goes_away_leaves_no_backup(made: Made, tmp_path: Path) -> None:
    place = Ending(str(tmp_path / "backups"))
    place.dsn = made.dsn
    with pytest.raises(TransientError, match="pg_dump"):
        make(made.dsn, place)
    assert place.backups() == []


def test_an_upgrade_is_taken_back(warehouse: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Backed up by the new program before its schema is applied, which is what brings it a table for backups."""
    place, upgrade = BackupPlace(str(tmp_path)), "migrations/0027_backup.sql"
    with connect(warehouse, autocommit=True) as connection:
        put(connection, {"KEPT": walk(30)})
        connection.execute("drop table backup")
        connection.execute("delete from schema_migration where name = %s", (upgrade,))
    before = make(warehouse, place)
    assert "not told" in caplog.text
    with connect(warehouse, autocommit=True) as connection:
        assert upgrade in apply(connection, all_markets().values())
        connection.execute("delete from bars.crypto_data_1d")
    done = restore_backup(warehouse, place, place.find(before.name), now=NOW, overwrite=True)
    with connect(warehouse, autocommit=True) as connection:
        assert value(connection, "select count(*) from crypto_data_1d where ticker = 'KEPT'") == 30
        assert value(connection, "select to_regclass('public.backup')") is None
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(str(done.former))))


def test_an_empty_database_is_filled_and_left_empty_where_that_fails(
    made: Made, copy: BackupPlace, empty_database: str
) -> None:
    with connect(empty_database, autocommit=True) as connection:  # what a dump cannot be restored over
        connection.execute("create schema hypertape")
    with pytest.raises(BackupBroken, match=r"does not restore: .*hypertape"):
        restore_backup(empty_database, copy, copy.find(made.name), now=NOW)
    with connect(empty_database, autocommit=True) as connection:
        assert query(connection, "select 1 from pg_namespace where nspname = 'bars'") == []
        connection.execute("drop schema hypertape")
    done = restore_backup(empty_database, copy, copy.find(made.name), now=NOW)
    assert done.former is None
    with connect(empty_database) as connection:
        assert value(connection, "select count(*) from crypto_data_1d where ticker = 'OLD'") == 400
        verify_schema(connection, all_markets().values())
