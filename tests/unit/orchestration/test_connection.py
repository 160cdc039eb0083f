"""Which warehouse a task works in."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from hypertape.errors import BadSetting, DatabaseUnreachable
from hypertape.orchestration.connection import reader_dsn, use_landing_connection, warehouse_dsn
from hypertape.settings import Settings

CONNECTION = "AIRFLOW_CONN_HYPERTAPE_DB"


def test_the_setting_wins_over_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONNECTION, "postgres://a:b@elsewhere/x")
    settings = Settings(database_url="postgres://me:pw@db:5433/bars")
    assert warehouse_dsn(settings) == "postgresql://me:pw@db:5433/bars"


@pytest.mark.parametrize(
    ("connection", "dsn", "reason"),
    [
        ("postgres://me:p%40w@db:5433/bars", "postgresql://me:p%40w@db:5433/bars", "a URI, password quoted"),
        (
            "postgres://me:pw@db/bars?sslmode=require",
            "postgresql://me:pw@db/bars?sslmode=require",
            "libpq's options stay",
        ),
        (
            '{"conn_type": "postgres", "host": "db", "login": "me", "password": "pw", "schema": "bars",'
            ' "extra": {"sslmode": "require", "cursor": "dictcursor"}}',
            "postgresql://me:pw@db/bars?sslmode=require",
            "JSON; what belongs to the hook is left out",
        ),
    ],
)
def test_the_airflow_connection_through_its_hook(
    connection: str, dsn: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONNECTION, connection)
    assert warehouse_dsn(Settings(database_url=None)) == dsn, reason


@pytest.mark.parametrize(
    ("given", "reader", "dsn", "reason"),
    [
        ("postgres://api:r@db/bars", "postgres://x:y@z/w", "postgresql://api:r@db/bars", "the setting wins"),
        (None, "postgres://api:r@db/bars", "postgresql://api:r@db/bars", "then Airflow's connection"),
        (None, None, "postgresql://me:pw@db/bars", "without either it reads as everybody"),
    ],
)
def test_what_the_api_reads_with(
    given: str | None, reader: str | None, dsn: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONNECTION, "postgres://me:pw@db/bars")
    monkeypatch.delenv("AIRFLOW_CONN_HYPERTAPE_READER", raising=False)
    if reader is not None:
        monkeypatch.setenv("AIRFLOW_CONN_HYPERTAPE_READER", reader)
    assert reader_dsn(Settings(database_url=None, reader_database_url=given)) == dsn, reason


def test_a_connection_of_another_kind_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CONNECTION, "mysql://me:secret@db/bars")
    with pytest.raises(BadSetting) as caught:
        warehouse_dsn(Settings(database_url=None))
    assert "secret" not in str(caught.value)


def test_without_either_the_embedded_server_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CONNECTION, raising=False)
    with pytest.raises(DatabaseUnreachable, match="hypertape db up"):
        warehouse_dsn(Settings(database_url=None, state_dir=tmp_path))


LANDING = (
    '{"conn_type": "aws", "login": "key", "password": "secret", '
    '"extra": {"endpoint_url": "http://127.0.0.1:9", "region_name": "eu-west-1"}}'
)


def test_the_landing_area_finds_its_credentials_in_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec.config, "conf", {})
    monkeypatch.setenv("AIRFLOW_CONN_HYPERTAPE_LANDING", LANDING)
    use_landing_connection(Settings(landing_url="file:///tmp/landing"))
    assert fsspec.config.conf == {}, "a directory needs none"
    use_landing_connection(Settings(landing_url="s3://bucket/landing"))
    assert fsspec.config.conf["s3"] == {
        "key": "key",
        "secret": "secret",
        "endpoint_url": "http://127.0.0.1:9",
        "client_kwargs": {"region_name": "eu-west-1"},
    }


def test_without_that_connection_the_environments_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec.config, "conf", {})
    use_landing_connection(Settings(landing_url="s3://bucket/landing"))
    assert fsspec.config.conf == {}
