"""What PostgreSQL and libpq really answer when something is wrong, as our errors."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from hypertape.errors import (
    DatabaseBusy,
    DatabaseRefused,
    DatabaseUnreachable,
    HypertapeError,
    SchemaMissing,
)
from hypertape.warehouse.connect import connect, translate_errors
from hypertape.warehouse.dsn import as_uri, place

pytestmark = pytest.mark.database
PASSWORD = "hunter2-hunter2"


@pytest.fixture
def stranger(empty_database: str) -> Iterator[str]:
    """The DSN of a role with a password, one connection and no rights."""
    name = "stranger_" + conninfo.conninfo_to_dict(empty_database)["dbname"]  # type: ignore[operator]
    with connect(empty_database, autocommit=True) as connection:
        connection.execute(f"create role {name} login password '{PASSWORD}' connection limit 1")  # type: ignore[call-overload]
        connection.execute("create table secret (n int)")
    yield with_parts(empty_database, user=name, password=PASSWORD)
    with connect(empty_database, autocommit=True) as connection:
        connection.execute(f"drop role {name}")  # type: ignore[call-overload]


def with_parts(dsn: str, **parts: Any) -> str:
    return as_uri({**conninfo.conninfo_to_dict(dsn), **parts})


def test_a_session_speaks_utc_whatever_the_server_says(empty_database: str) -> None:
    with connect(empty_database, autocommit=True) as connection:
        database = connection.info.dbname
        connection.execute(f"alter database {database} set timezone = 'Asia/Ho_Chi_Minh'")  # type: ignore[call-overload]
    with psycopg.connect(empty_database) as plain:
        assert plain.execute("show timezone").fetchone() == ("Asia/Ho_Chi_Minh",)
    with connect(empty_database, application_name="a-test") as connection:
        assert connection.execute("show timezone").fetchone() == ("UTC",)
        assert connection.execute("show application_name").fetchone() == ("a-test",)
        assert not connection.autocommit
        connection.rollback()
        assert connection.execute("show timezone").fetchone() == ("UTC",)


def test_the_addresss_own_parameters_win(empty_database: str) -> None:
    with connect(with_parts(empty_database, application_name="theirs")) as connection:
        assert connection.execute("show application_name").fetchone() == ("theirs",)


def test_a_wrong_password_is_refused_without_being_shown(server_dsn: str, stranger: str) -> None:
    dsn = with_parts(stranger, password="wrong-but-secret")
    if psycopg_accepts(dsn):
        pytest.skip("this server trusts everyone: no password is wrong")
    with pytest.raises(DatabaseRefused, match="password authentication failed") as caught:
        connect(dsn)
    assert place(stranger) in str(caught.value)
    assert "wrong-but-secret" not in str(caught.value)


def psycopg_accepts(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        pytest.param({"dbname": "nowhere"}, "nowhere", id="missing database"),
        pytest.param({"user": "nobody_at_all", "password": "x"}, "nobody_at_all", id="missing role"),
    ],
)
def test_a_missing_part_is_refused(server_dsn: str, parts: dict[str, str], words: str) -> None:
    with pytest.raises(DatabaseRefused, match=words):
        connect(with_parts(server_dsn, **parts))


def test_nothing_listening_is_unreachable_and_names_the_place() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DatabaseUnreachable, match=f"127.0.0.1:{port}/d: Connection refused.*db up") as caught:
        connect(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d")
    assert PASSWORD not in str(caught.value)


def test_a_listener_that_never_answers_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseUnreachable, match="timeout"):
            connect(f"postgresql://u@127.0.0.1:{port}/d?connect_timeout=2")


def test_too_many_connections_are_busy(stranger: str) -> None:
    with connect(stranger), pytest.raises(DatabaseBusy, match="too many connections"):
        connect(stranger)


def test_a_missing_right_is_refused(stranger: str) -> None:
    refused = pytest.raises(DatabaseRefused, match="permission denied")
    with connect(stranger) as connection, refused, translate_errors(connection):
        connection.execute("select * from secret")


@pytest.mark.parametrize("relation", ["nowhere_table", "nowhere_schema.nowhere_table"])
def test_a_missing_relation_says_how_to_make_it(empty_database: str, relation: str) -> None:
    missing = pytest.raises(SchemaMissing, match="hypertape schema apply")
    with connect(empty_database) as connection, missing, translate_errors(connection):
        connection.execute(f"select * from {relation}")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "limit", ["lock_timeout", "statement_timeout"], ids=["a lock held too long", "a statement too slow"]
)
def test_waiting_too_long_is_busy(empty_database: str, limit: str) -> None:
    with connect(empty_database) as holder, connect(empty_database) as waiter:
        holder.execute("select pg_advisory_xact_lock(1)")
        waiter.execute(f"set {limit} = '50ms'")  # type: ignore[call-overload]
        with pytest.raises(DatabaseBusy, match=place(empty_database)), translate_errors(waiter):
            waiter.execute("select pg_advisory_xact_lock(1)")


def test_a_session_the_server_ends_is_busy_then_lost(empty_database: str) -> None:
    with connect(empty_database, autocommit=True) as admin:
        victim = connect(empty_database)
        admin.execute("select pg_terminate_backend(%s)", [victim.info.backend_pid])
        expect_lost(victim, DatabaseBusy, "terminating connection")
        expect_lost(victim, DatabaseUnreachable, "the connection is closed")


def expect_lost(connection: psycopg.Connection[Any], kind: type[HypertapeError], words: str) -> None:
    with pytest.raises(kind, match=words), translate_errors("h:1/d"):
        connection.execute("select 1")


def test_a_serialization_failure_is_busy(empty_database: str) -> None:
    with connect(empty_database, autocommit=True) as setup:
        setup.execute("create table counter as select 1 as n")
    with connect(empty_database) as first, connect(empty_database) as second:
        for connection in (first, second):
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("select n from counter")
        first.execute("update counter set n = 2")
        first.commit()
        with pytest.raises(DatabaseBusy, match="could not serialize"), translate_errors(second):
            second.execute("update counter set n = 3")
