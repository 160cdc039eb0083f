"""What a role, a database or a lost server does to a connection: nothing that the code relies on changes in silence."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql

from hypertape.errors import DatabaseRefused, HypertapeError
from hypertape.markets import all_markets
from hypertape.settings import Settings
from hypertape.warehouse import connect as connect_module
from hypertape.warehouse.connect import PINNED, connect
from hypertape.warehouse.doctor import examine

HOSTILE = {
    "default_transaction_isolation": "repeatable read",
    "datestyle": "SQL, DMY",
    "timezone": "Asia/Ho_Chi_Minh",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "search_path": "",
    "intervalstyle": "iso_8601",
    "client_connection_check_interval": "0",
}


def alter(dsn: str, name: str, value: str, *, role: bool = False) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        who = connection.info.user if role else connection.info.dbname
        connection.execute(
            sql.SQL("alter {} {} set {} = {}").format(
                sql.SQL("role" if role else "database"),
                sql.Identifier(who),
                sql.Identifier(name),
                sql.Literal(value),
            )
        )


@pytest.fixture
def hostile(warehouse: str) -> str:
    """The DSN of a warehouse whose database sets everything that statements rely on otherwise."""
    for name, value in HOSTILE.items():
        alter(warehouse, name, value)
    return warehouse


def test_every_pinned_setting_is_tried() -> None:
    assert set(PINNED) <= set(HOSTILE)


@pytest.mark.parametrize("autocommit", [True, False], ids=["autocommit", "transaction"])
def test_settings_of_a_database_change_nothing(hostile: str, autocommit: bool) -> None:
    with psycopg.connect(hostile) as plain:  # the fixture does what it says
        assert plain.execute("show search_path").fetchone() == ('""',)
    with connect(hostile, autocommit=autocommit) as connection, connection.transaction():
        held = {name: connection.execute(f"show {name}").fetchone()[0] for name in PINNED}
        assert held == dict(PINNED)
        assert connection.execute("show transaction_isolation").fetchone() == ("read committed",)
        moment = datetime(2026, 2, 1, 13, tzinfo=UTC)
        assert connection.execute("select %s::timestamptz::text::timestamptz", (moment,)).fetchone() == (
            moment,
        )
        assert connection.execute("select (0.1::float8 + 0.2::float8)::text").fetchone() == (repr(0.1 + 0.2),)
        connection.execute("select count(*) from market_data_1d, bar_revision")


def test_who_waited_for_a_lock_reads_what_was_committed_meanwhile(hostile: str) -> None:
    """Under repeatable read the statement that waits takes the snapshot too, and what is read after it is old."""
    with connect(hostile, autocommit=True) as setup:
        setup.execute("create table seen (value int); insert into seen values (1)")
    with connect(hostile) as first, connect(hostile) as second:
        first.execute("select pg_advisory_xact_lock(7)")
        first.execute("update seen set value = 2")
        with second.pipeline():  # sent before the lock is free, answered after it
            second.execute("select pg_advisory_xact_lock(7)")
            read = second.execute("select value from seen")
            first.commit()
        assert read.fetchone() == (2,)


def killed(dsn: str, connection: psycopg.Connection[Any]) -> None:
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))


def commit(connection: psycopg.Connection[Any]) -> None:
    connection.commit()


def copy_in(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
        copy.write("1\n")


def leave_a_savepoint(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        pass


def use_a_pipeline(connection: psycopg.Connection[Any]) -> None:
    with connection.pipeline():
        connection.execute("select 1")


def leave(connection: psycopg.Connection[Any]) -> None:
    with connection:
        pass


ACTS = {
    "statement": lambda connection: connection.execute("select 1"),
    "stream": lambda connection: list(connection.cursor().stream("select 1")),
    "commit": commit,
    "copy": copy_in,
    "savepoint": leave_a_savepoint,
    "pipeline": use_a_pipeline,
    "leaving": leave,
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_a_lost_connection_is_an_error_of_ours_that_may_pass(warehouse: str, act: Any) -> None:
    connection = connect(warehouse)
    connection.execute("create temporary table t (a int)")
    killed(warehouse, connection)
    time.sleep(0.05)
    with pytest.raises(HypertapeError) as caught:
        act(connection)
    assert caught.value.exit_code == 75


def test_the_command_line_translates_what_slipped_through(warehouse: str) -> None:
    """An error that is psycopg's or SQLAlchemy's own at the top is a sentence and 75, not a traceback."""
    program = (
        "import psycopg, sqlalchemy.exc, sys, hypertape.cli as cli\n"
        "def fall(*_, **__):\n"
        "    lost = psycopg.OperationalError('the connection is lost')\n"
        "    raise sqlalchemy.exc.OperationalError('select 1', {}, lost)\n"
        "cli.app = fall\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 75
    assert "the connection is lost" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("role", [False, True], ids=["database", "role"])
def test_doctor_names_a_read_only_default(warehouse: str, role: bool) -> None:
    name = f"reads_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create role {} superuser login password 'x'").format(sql.Identifier(name))
        )
    try:
        dsn = psycopg.conninfo.make_conninfo(warehouse, user=name, password="x")
        alter(dsn, "default_transaction_read_only", "on", role=role)
        with connect(dsn) as connection:
            found = examine(
                connection, list(all_markets().values()), now=datetime.now(UTC), settings=Settings()
            )
            [permissions] = [finding for finding in found if finding.subject == "permissions"]
            assert permissions.level == "bad"
            assert "read-only" in permissions.finding
            with pytest.raises(DatabaseRefused, match="read-only"):
                connection.execute("delete from symbols")
    finally:
        with psycopg.connect(warehouse) as connection:
            connection.execute("set transaction read write")
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_behind_a_pooler_settings_are_demanded_and_not_made(
    hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler tells a client of a process that is not the server's: nothing of the session may be changed then."""
    monkeypatch.setattr(connect_module.WarehouseConnection, "info", property(told_otherwise))
    with pytest.raises(DatabaseRefused, match="search_path is"):
        connect(hostile)
    for name in ("extra_float_digits", "array_nulls"):
        alter(hostile, name, PINNED[name])
    with psycopg.connect(hostile, autocommit=True) as plain:
        plain.execute(
            sql.SQL("alter database {} set search_path = public, shim, bars").format(
                sql.Identifier(plain.info.dbname)
            )
        )
    with connect(hostile) as connection:
        assert connection.execute("show intervalstyle").fetchone() == ("iso_8601",)
        assert connection.execute("show timezone").fetchone() == ("UTC",)


def told_otherwise(connection: psycopg.Connection[Any]) -> Any:
    info = psycopg.ConnectionInfo(connection.pgconn)

    class Told:
        backend_pid = -1

        def __getattr__(self, name: str) -> Any:
            return getattr(info, name)

    return Told()


def test_what_ends_a_copy_of_ours_is_raised_and_nothing_is_told_beside_it(
    warehouse: str, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(warehouse) as connection, connection.cursor() as cursor:
        cursor.execute("create temporary table given (a int)")
        with pytest.raises(ZeroDivisionError):
            give_up(cursor)
    assert caplog.records == []


def give_up(cursor: psycopg.Cursor[Any]) -> None:
    with cursor.copy("copy given from stdin") as copy:
        copy.write_row((1,))
        raise ZeroDivisionError
