"""What a request costs: round trips, prepared statements, imports."""

from __future__ import annotations

import sys
from typing import Any

import psycopg
import pytest
from api_lab import client_of, open_app
from starlette.testclient import TestClient

from hypertape.api.pool import Warehouse
from hypertape.queries import query

MANY = "&".join(f"symbol={ticker}" for ticker in ("VCB", "FPT", "VNINDEX", "NEW", "ONE", "VNM"))


@pytest.mark.parametrize(
    ("question", "trips", "reason"),
    [
        (f"{MANY}&limit=100", 1, "which series there are and their bars go together"),
        (f"{MANY}&mode=all", 1, "of all markets too"),
        (f"{MANY}&interval=1W", 1, "and of a rollup, with its lookback"),
        (f"{MANY}&start_date=2024-01-01", 2, "how many bars there are decides how they are read"),
        ("limit=1", 2, "and so do the tickers of a whole market"),
        ("symbol=NOPE", 2, "a name without bars may be one that a series had before"),
    ],
)
def test_many_tickers_are_one_round_trip(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, question: str, trips: int, reason: str
) -> None:
    """Work that is done on a lent connection is one pipeline: everything is sent before anything is waited for."""
    client.get("/tickers?symbol=VCB")  # whether SQLite is the truth is known by now
    seen = []
    run = Warehouse.run

    def counted(self: Warehouse, work: Any) -> Any:
        seen.append(work)
        return run(self, work)

    monkeypatch.setattr(Warehouse, "run", counted)
    assert client.get(f"/tickers?{question}").status_code == 200
    assert len(seen) == trips, reason


def test_a_known_answer_is_not_read_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = client.get("/tickers?symbol=VCB").headers["etag"]
    monkeypatch.setattr("hypertape.api.chunk_bounds.ask_newest", None)
    assert client.get("/tickers?symbol=VCB", headers={"If-None-Match": tag}).status_code == 304


def test_statements_are_prepared_once_per_connection(filled: str) -> None:
    app = open_app(filled)
    with client_of(app) as client:
        for limit in range(1, 12):
            assert client.get(f"/tickers?symbol=VCB&limit={limit}").status_code == 200
        prepared = app.state.hypertape.warehouse.run(
            lambda connection: connection.execute("select statement from pg_prepared_statements").fetchall()
        )
    texts = [statement for (statement,) in prepared]
    assert len([text for text in texts if "array_agg" in text]) == 1
    assert len(texts) == 2, "which series there are, and their bars"
    assert query("api_series").as_string(None).splitlines()[0] in "".join(texts)


def test_no_request_imports_anything_after_the_first(client: TestClient) -> None:
    paths = [
        "/tickers?symbol=VCB",
        "/tickers?format=csv&interval=4h&ema",
        "/health",
        "/coverage?symbol=VCB",
        "/metrics",
    ]
    for path in paths:
        client.get(path)
    before = set(sys.modules)
    for path in paths:
        client.get(f"{path}{'&' if '?' in path else '?'}limit=7")
    assert set(sys.modules) == before


def test_connections_are_few_and_lent(filled: str) -> None:
    app = open_app(filled)
    with client_of(app) as client:
        for _ in range(20):
            client.get("/tickers?symbol=VCB&start_date=2023-01-01")
        with psycopg.connect(filled) as server:
            ((count,),) = server.execute(
                "select count(*) from pg_stat_activity "
                "where application_name = 'hypertape api' and datname = current_database()"
            ).fetchall()
            assert 1 <= count <= 2 * 8
            idle = server.execute(
                "select count(*) from pg_stat_activity where application_name = 'hypertape api' "
                "and datname = current_database() and state like 'idle in transaction%'"
            ).fetchone()
    assert idle == (0,)
