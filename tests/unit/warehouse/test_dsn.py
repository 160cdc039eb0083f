from __future__ import annotations

import pytest
from psycopg import conninfo

from hypertape.errors import BadSetting
from hypertape.warehouse.dsn import Client, address_for, normalise_dsn, place


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("postgres://u:p@h:5433/d", "postgresql://u:p@h:5433/d", id="Airflow's scheme"),
        pytest.param("postgresql+psycopg2://u@h/d", "postgresql://u@h/d", id="SQLAlchemy's scheme"),
        pytest.param(
            "postgres://u:p@h/d?__extra__=%7B%22sslmode%22%3A%22require%22%2C%22cursor%22%3A%22dict%22%7D",
            "postgresql://u:p@h/d?sslmode=require",
            id="of Airflow's extra, what libpq knows is kept",
        ),
        pytest.param(
            "postgres://h/d?cursor=dict&sslmode=prefer", "postgresql://h/d?sslmode=prefer", id="unknown"
        ),
        pytest.param(
            '{"conn_type": "postgres", "login": "u", "password": "a/b#c", "host": "h", "port": 1, "schema": "d"}',
            "postgresql://u:a%2Fb%23c@h:1/d",
            id="Airflow's JSON",
        ),
        pytest.param(
            "postgresql://u:a@b@h/d", "postgresql://u:a%40b@h/d", id="an unescaped @ in the password"
        ),
        pytest.param("host=h port=1 dbname=d user=u", "postgresql://u@h:1/d", id="libpq's keywords"),
        pytest.param("host=/run/pg dbname=d", "postgresql:///d?host=%2Frun%2Fpg", id="a socket"),
        pytest.param(
            "postgresql://%2Frun%2Fpg/d", "postgresql:///d?host=%2Frun%2Fpg", id="a socket in a URI"
        ),
        pytest.param("postgresql://u@[::1]:5/d", "postgresql://u@[::1]:5/d", id="IPv6"),
        pytest.param("postgresql://a:1,b:2/d", "postgresql:///d?host=a%2Cb&port=1%2C2", id="several hosts"),
    ],
)
def test_every_spelling_of_an_address_becomes_one(given: str, expected: str) -> None:
    assert normalise_dsn(given) == expected
    assert normalise_dsn(expected) == expected
    assert conninfo.conninfo_to_dict(expected)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("mysql://u:secret@h/d", id="another database"),
        pytest.param("postgresql://u:secret/d", id="no host: the password stands where the port does"),
        pytest.param("postgresql://u:se#cret@h/d", id="an unescaped # ends the address"),
        pytest.param("secret", id="no address at all"),
        pytest.param("{secret", id="broken JSON"),
        pytest.param('["secret"]', id="other JSON"),
        pytest.param('{"conn_type": "mysql", "password": "secret"}', id="another database in JSON"),
        pytest.param("postgresql://u:secret@h/d?__extra__=1", id="an extra that is no object"),
    ],
)
def test_an_unreadable_address_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(BadSetting, match="HYPERTAPE_DATABASE_URL as postgresql://user") as caught:
        normalise_dsn(given)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://u:secret@h:5433/d", "h:5433/d"),
        ("postgresql://u:secret@h/d", "h:5432/d"),
        ("host=/run/pg dbname=d", "/run/pg:5432/d"),
    ],
)
def test_a_place_names_host_port_and_database_only(dsn: str, shown: str) -> None:
    assert place(dsn) == shown


ADDRESS = "postgresql://ann:s%20e%2Fcret@db.example:6543/bars?sslmode=require"


@pytest.mark.parametrize(
    ("client", "asked", "expected"),
    [
        (Client.PSQL, {}, ADDRESS),
        (Client.SQLALCHEMY, {}, ADDRESS.replace("postgresql", "postgresql+psycopg")),
        (
            Client.DUCKDB,
            {},
            "user=ann password='s e/cret' dbname=bars host=db.example port=6543 sslmode=require",
        ),
        (Client.PSQL, {"masked": True}, ADDRESS.replace("s%20e%2Fcret", "***")),
        (
            Client.PSQL,
            {"read_only": True},
            f"{ADDRESS}&options=-c%20default_transaction_read_only%3Don",
        ),
    ],
)
def test_an_address_is_spelt_as_its_reader_takes_it(
    client: Client, asked: dict[str, bool], expected: str
) -> None:
    found = address_for(ADDRESS, client, **asked)
    if client is Client.DUCKDB:
        assert sorted(found.split(" ")) == sorted(expected.split(" "))
    else:
        assert found == expected


def test_a_mask_hides_the_password_of_every_spelling() -> None:
    for client in Client:
        assert "cret" not in address_for(ADDRESS, client, masked=True)
