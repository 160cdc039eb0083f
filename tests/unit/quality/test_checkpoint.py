"""Addresses as Great Expectations wants them, and how its exceptions are read."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from hypertape.quality.checkpoint import _error, sqlalchemy_url


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://u@db.example:6432/w", ("u", None, "db.example", 6432, "w", {})),
        ("host=127.0.0.1 port=5433 dbname=w user=u", ("u", None, "127.0.0.1", 5433, "w", {})),
        ("postgresql://u:p%40%24%7BHOME%7D%2F@h/w", ("u", "p@${HOME}/", "h", 5432, "w", {})),
        ("postgresql://h/w?sslmode=require", (None, None, "h", 5432, "w", {"sslmode": "require"})),
        ("host=/run/postgresql dbname=w", (None, None, "localhost", 5432, "w", {"host": "/run/postgresql"})),
    ],
    ids=("uri", "keywords", "a password that looks like a substitution", "tls", "socket directory"),
)
def test_a_dsn_survives_the_way_to_sqlalchemy(dsn: str, expected: tuple[object, ...]) -> None:
    text = sqlalchemy_url(dsn)
    url = make_url(text)

    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password, url.host, url.port, url.database, dict(url.query)) == expected
    assert "$" not in text


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"raised_exception": False, "exception_message": None}, None),
        ({"raised_exception": True, "exception_message": "no  such\n column"}, "no such column"),
        (
            {"raised_exception": True, "exception_message": "no such column [SQL: select x] (see)"},
            "no such column",
        ),
        ({"metric": {"raised_exception": True, "exception_message": "nested"}}, "nested"),
        ({}, None),
    ],
)
def test_an_exception_lies_at_either_of_two_depths(info: dict[str, object], message: str | None) -> None:
    assert _error(info) == message
