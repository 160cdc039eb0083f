"""Whatever a role or a database has set, answers are the same; and a pooler's other clients get no setting of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from api_lab import Frames, client_of, fill, open_app
from psycopg import sql
from starlette.testclient import TestClient
from wire import wire

from hypertape.api.pool import Warehouse
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


NAMES = (*HOSTILE, "plan_cache_mode", "transaction_isolation")


def settings_of(connection: psycopg.Connection) -> dict[str, str]:
    values = sql.SQL(", ").join(sql.SQL("current_setting({})").format(name) for name in NAMES)
    row = connection.execute(sql.SQL("select {}").format(values)).fetchone()
    return dict(zip(NAMES, row or (), strict=True))


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
def test_settings_hold_at_work_and_are_left_behind_only_where_nobody_else_finds_them(
    hostile: str, pooled: bool
) -> None:
    set_all(hostile)
    with wire(hostile, pooled=pooled) as line, opened(line.dsn) as warehouse:
        inside = warehouse.run(settings_of)
        connection = warehouse.run(
            lambda lent: lent
        )  # back in the pool, where a pooler's next client would find it
        connection.autocommit = True
        left = settings_of(connection)
        connection.autocommit = not pooled
    assert {name: inside[name] for name in PINNED} == dict(PINNED)
    assert inside["transaction_isolation"] == "read committed"
    assert (inside["statement_timeout"], inside["plan_cache_mode"]) == ("30s", "force_custom_plan")
    if not pooled:
        assert left == inside
        return
    found = [left[name] for name in ("statement_timeout", "plan_cache_mode", "search_path", "array_nulls")]
    assert found == ["7s", "auto", "pg_temp", "off"]
    assert left["timezone"] == "UTC", "which a pooler keeps for each client"


@pytest.mark.parametrize(
    ("pooled", "trips"),
    [
        pytest.param(False, 1, id="direct: its own"),
        pytest.param(True, 4, id="pooled: begin, the settings, its own, commit"),
    ],
)
def test_round_trips_of_a_request(filled: str, pooled: bool, trips: int) -> None:
    """What goes over the wire is counted: how often the client speaks after the server has."""
    with wire(filled, pooled=pooled) as line, client_of(open_app(line.dsn)) as client:
        counts = []
        for limit in range(3, 12):  # psycopg prepares what it sends more often than five times
            before = line.turns
            assert client.get(f"/tickers?symbol=VCB&symbol=FPT&limit={limit}").status_code == 200
            counts.append(line.turns - before)
    assert counts[1:] == [trips] * 8, "the first one opens the connection"


@contextmanager
def opened(dsn: str) -> Iterator[Warehouse]:
    warehouse = Warehouse(lambda: dsn, size=1)
    try:
        yield warehouse
    finally:
        warehouse.close()
