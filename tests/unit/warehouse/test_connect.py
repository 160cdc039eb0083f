from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from hypertape.errors import (
    DatabaseBusy,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    HypertapeError,
    SchemaMissing,
)
from hypertape.settings import Settings
from hypertape.warehouse.connect import resolve_dsn, translate_errors


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        pytest.param("08006", DatabaseUnreachable, id="connection failure"),
        pytest.param("57P03", DatabaseUnreachable, id="starting up or shutting down"),
        pytest.param("28P01", DatabaseRefused, id="wrong password"),
        pytest.param("28000", DatabaseRefused, id="no such role"),
        pytest.param("3D000", DatabaseRefused, id="no such database"),
        pytest.param("42501", DatabaseRefused, id="insufficient privilege"),
        pytest.param("25006", DatabaseRefused, id="read-only server"),
        pytest.param("53100", DiskFull, id="disk full"),
        pytest.param("53300", DatabaseBusy, id="too many connections"),
        pytest.param("53200", DatabaseBusy, id="out of memory"),
        pytest.param("40P01", DatabaseBusy, id="deadlock"),
        pytest.param("55P03", DatabaseBusy, id="lock timeout"),
        pytest.param("40001", DatabaseBusy, id="serialization failure"),
        pytest.param("57P01", DatabaseBusy, id="admin shutdown"),
        pytest.param("57P02", DatabaseBusy, id="crash shutdown"),
        pytest.param("57014", DatabaseBusy, id="statement timeout"),
        pytest.param("42P01", SchemaMissing, id="undefined table"),
        pytest.param("3F000", SchemaMissing, id="undefined schema"),
    ],
)
def test_a_sqlstate_becomes_our_error(sqlstate: str, expected: type[HypertapeError]) -> None:
    with pytest.raises(expected, match="h:1/d: the server's words") as caught, translate_errors("h:1/d"):
        raise psycopg.errors.lookup(sqlstate)("the server's words")
    assert isinstance(caught.value.__cause__, psycopg.Error)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("connection timeout expired", DatabaseUnreachable, id="timeout"),
        pytest.param("could not translate host name", DatabaseUnreachable, id="unknown host"),
        pytest.param("FATAL:  the database system is shutting down", DatabaseUnreachable, id="shutting down"),
        pytest.param("server closed the connection unexpectedly", DatabaseUnreachable, id="lost"),
        pytest.param('FATAL:  database "d" does not exist', DatabaseRefused, id="no database"),
        pytest.param('FATAL:  no pg_hba.conf entry for host "h"', DatabaseRefused, id="not let in"),
        pytest.param("FATAL: SASL authentication failed", DatabaseRefused, id="PgBouncer's wrong password"),
        pytest.param("FATAL:  sorry, too many clients already", DatabaseBusy, id="too many clients"),
        pytest.param("FATAL: no more connections allowed", DatabaseBusy, id="PgBouncer is full"),
        pytest.param('could not write file "x": No space left on device', DiskFull, id="no space"),
    ],
)
def test_words_decide_when_there_is_no_sqlstate(words: str, expected: type[HypertapeError]) -> None:
    with pytest.raises(expected), translate_errors():
        raise psycopg.OperationalError(words)


def test_no_space_is_a_full_disk_whatever_the_sqlstate() -> None:
    with pytest.raises(DiskFull), translate_errors():
        raise psycopg.errors.IoError('could not extend file "base/1": No space left on device')


@pytest.mark.parametrize(
    "defect", [psycopg.errors.SyntaxError, psycopg.errors.UniqueViolation, psycopg.errors.UndefinedColumn]
)
def test_a_defect_of_the_statement_passes_unchanged(defect: type[psycopg.Error]) -> None:
    with pytest.raises(defect), translate_errors():
        raise defect("ours to mend")


def test_it_decorates_a_function() -> None:
    @translate_errors("h:1/d")
    def locked_out() -> None:
        raise psycopg.errors.LockNotAvailable("locked")

    with pytest.raises(DatabaseBusy, match=r"h:1/d: locked\. Try again"):
        locked_out()


def test_the_environments_address_wins() -> None:
    settings = Settings(database_url="postgres://u:p@h/d?__extra__=%7B%7D")
    assert resolve_dsn(settings) == "postgresql://u:p@h/d"


def test_airflows_connection_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HYPERTAPE_DB", "postgres://u:p@airflow/d")
    assert resolve_dsn(Settings(database_url=None)) == "postgresql://u:p@airflow/d"


def test_without_any_address_the_embedded_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_HYPERTAPE_DB", raising=False)
    with pytest.raises(DatabaseUnreachable, match=r"is not running.*hypertape db up"):
        resolve_dsn(Settings(database_url=None, state_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []
