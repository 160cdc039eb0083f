"""Whatever a role or a database has set, answers are the same; and no setting of ours stays with a connection."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from api_lab import Frames, client_of, fill, open_app
from psycopg import sql
from starlette.testclient import TestClient

from hypertape.warehouse.connect import PINNED

HOSTILE = {
    "timezone": "Asia/Ho_Chi_Minh",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-10",
    "array_nulls": "off",
    "search_path": "pg_temp",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "7000",
    "client_connection_check_interval": "0",
}

PATHS = (
    "/tickers?symbol=VCB&limit=3",
    "/tickers?symbol=VCB&interval=1W&limit=3",
    "/tickers?symbol=VCB&interval=4h&mode=all",
    "/tickers?symbol=VCB&ema&limit=2",
    "/tickers?symbol=VCB&start_date=2024-01-01&format=csv",
    "/coverage?symbol=VCB",
    "/coverage?symbol=VCB&by=day",
    "/gaps",
    "/loads",
    "/quality",
    "/revisions",
    "/tickers/group",
    "/tickers/name",
    "/origin?symbol=VCB&time=2024-01-02",
)


@pytest.fixture(scope="module")
def hostile(new_warehouse, frames: Frames) -> Iterator[str]:
    """A warehouse whose database has settings of its own; the DSN's role gets them at its next connection."""
    with new_warehouse() as dsn:
        fill(dsn, frames)
        yield dsn


def set_all(dsn: str, *, reset: bool = False) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, value in HOSTILE.items():
            act = sql.SQL("reset {}") if reset else sql.SQL("set {} = {}")
            words = act.format(
                sql.Identifier(name),
                *([] if reset else [sql.SQL(value) if "path" in name else sql.Literal(value)]),
            )
            database = sql.Identifier(connection.info.dbname)
            connection.execute(sql.SQL("alter database {} {}").format(database, words))


def test_the_same_is_answered_whatever_the_database_has_set(hostile: str) -> None:
    with client_of(open_app(hostile)) as client:
        before = {path: _answer(client, path) for path in PATHS}
    set_all(hostile)
    with client_of(open_app(hostile)) as client:
        after = {path: _answer(client, path) for path in PATHS}
    assert {status for status, _ in before.values()} == {200}
    assert after == before


def _answer(client: TestClient, path: str) -> tuple[int, str]:
    answer = client.get(path)
    return answer.status_code, answer.text


def test_settings_end_with_the_transaction(hostile: str) -> None:
    set_all(hostile)
    names = (*HOSTILE, "plan_cache_mode")
    statement = sql.SQL("select ") + sql.SQL(", ").join(
        sql.SQL("current_setting({})").format(name) for name in (*names, "transaction_isolation")
    )
    app = open_app(hostile)
    with client_of(app) as client:
        assert client.get(PATHS[0]).status_code == 200
        warehouse = app.state.hypertape.warehouse
        inside = warehouse.run(lambda connection: connection.execute(statement).fetchone())
        seen: list[psycopg.Connection] = []
        warehouse.run(lambda connection: seen.append(connection) or connection.execute("select 1").fetchone())
        connection = seen[0]  # back in the pool, where the next client of a pooler would find it
        connection.autocommit = True
        outside = connection.execute(statement).fetchone()
        connection.autocommit = False
    pinned = {name: value.replace("10s", "10s") for name, value in PINNED.items()}
    told = dict(zip((*names, "transaction_isolation"), inside, strict=True))
    assert {name: told[name] for name in pinned} == pinned | {"timezone": "UTC"}
    assert told["transaction_isolation"] == "read committed"
    assert (told["statement_timeout"], told["plan_cache_mode"]) == ("30s", "force_custom_plan")
    left = dict(zip((*names, "transaction_isolation"), outside or (), strict=True))
    assert left["timezone"] == "Asia/Ho_Chi_Minh"
    assert (left["statement_timeout"], left["plan_cache_mode"], left["search_path"]) == (
        "7s",
        "auto",
        "pg_temp",
    )
