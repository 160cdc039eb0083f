"""Bars from several stores: who serves, what the answer says of it, and that the bars are the same bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from api_lab import D1, DAYS, NOW, VN, client_of, open_app, put, walk
from starlette.testclient import TestClient

from hypertape.settings import Settings
from hypertape.steps.mirror import deliver_mirrors
from hypertape.stores.mirrors import add_mirror
from hypertape.warehouse import cutover
from hypertape.warehouse.connect import connect

LONG, SHORT = walk(DAYS, 1), walk(DAYS[:20], 2)


@pytest.fixture
def stores(warehouse: str, tmp_path: Any) -> list[str]:
    """The warehouse and a SQLite mirror of it; A grew since, and only SQLite still has GONE."""
    sqlite = f"sqlite:{tmp_path / 'vn_data.db'}"
    put(warehouse, VN, D1, {"A": LONG[:-5], "B": LONG, "GONE": SHORT})
    with connect(warehouse) as connection:
        add_mirror(connection, "files", sqlite, markets=["vn"])
    deliver_mirrors(warehouse, now=NOW, settings=Settings())
    with connect(warehouse) as connection:
        connection.execute("delete from bars.market_data_1d where ticker = 'GONE'")
        connection.execute("delete from series where ticker = 'GONE'")
        connection.execute("delete from mirror")
    put(warehouse, VN, D1, {"A": LONG})
    return ["warehouse", sqlite]


@contextmanager
def reading(dsn: str, order: list[str]) -> Iterator[TestClient]:
    with client_of(open_app(dsn, Settings(read_stores=",".join(order)))) as client:
        yield client


def away(dsn: str) -> str:
    return psycopg.conninfo.make_conninfo(dsn, port=1)


QUESTIONS = [
    {"symbol": "B"},
    {"symbol": "B", "limit": "3"},
    {"symbol": "B", "start_date": f"{DAYS[250]:%F}"},
    {"symbol": "B", "start_date": f"{DAYS[3]:%F}", "end_date": f"{DAYS[40]:%F}", "limit": "30"},
    {"symbol": "B", "end_date": f"{DAYS[100]:%F}", "legacy": "true"},
    {"symbol": "B", "ema": "12", "ma": "false"},
    {"symbol": "B", "format": "csv"},
]


def test_every_store_gives_the_same_bytes(warehouse: str, stores: list[str]) -> None:
    """Also the indicators: those of the warehouse are kept, those of the others computed on the way."""
    with client_of(open_app(warehouse)) as client:
        expected = [client.get("/tickers", params=asked) for asked in QUESTIONS]
    assert {answer.headers["x-hypertape-store"] for answer in expected} == {"warehouse"}
    for order in (stores, stores[::-1]):
        with reading(warehouse, order) as client:
            got = [client.get("/tickers", params=asked) for asked in QUESTIONS]
        for asked, wanted, answer in zip(QUESTIONS, expected, got, strict=True):
            assert answer.content == wanted.content, asked
            assert answer.headers["x-hypertape-store"] == order[0]
            assert "etag" not in answer.headers, "only the warehouse knows when its bars changed"


def test_a_partial_answer_falls_through_per_ticker(warehouse: str, stores: list[str]) -> None:
    with reading(warehouse, stores[::-1]) as client:
        behind = client.get("/tickers?symbol=A&limit=6")
        both = client.get("/tickers?limit=1")
    assert [bar["time"] for bar in behind.json()["A"]] == [f"{day:%F}" for day in DAYS[-6:]]
    assert behind.headers["x-hypertape-store"] == "warehouse", "SQLite has less of A"
    assert sorted(both.json()) == ["A", "B", "GONE"]
    assert both.headers["x-hypertape-store"] == f"{stores[1]}, warehouse"


def test_what_the_warehouse_lost_is_served_by_the_next(warehouse: str, stores: list[str]) -> None:
    with reading(warehouse, stores) as client:
        response = client.get("/tickers?symbol=GONE&symbol=B&limit=1")
        unknown = client.get("/tickers?symbol=NOPE")
    assert response.headers["x-hypertape-store"] == f"{stores[1]}, warehouse"
    assert response.json()["GONE"][0]["time"] == f"{DAYS[19]:%F}"
    assert unknown.json() == {}


def test_a_warehouse_that_is_away_is_replaced(warehouse: str, stores: list[str]) -> None:
    with reading(away(warehouse), stores) as client:
        for _ in range(4):  # its breaker opens after three
            response = client.get("/tickers?symbol=B&limit=2")
            assert response.status_code == 200
            assert response.headers["x-hypertape-store"] == stores[1]
        assert client.get("/tickers?symbol=B&interval=1W").status_code == 503, "rollups are the warehouse's"


def test_nobody_answers(warehouse: str, tmp_path: Any) -> None:
    with reading(away(warehouse), ["warehouse", f"csv:{tmp_path / 'nothing'}"]) as client:
        response = client.get("/tickers?symbol=B")
    assert response.status_code == 503
    assert str(tmp_path) not in response.text


def test_while_sqlite_is_the_truth_it_is_read_first(warehouse: str, stores: list[str]) -> None:
    """Without any setting: the cut-over says so, and its end too."""
    with connect(warehouse) as connection:
        cutover.decide(connection, cutover.SQLITE, stores[1], since=NOW, decided_by="test")
    with client_of(open_app(warehouse)) as client:
        assert client.get("/tickers?symbol=B&limit=1").headers["x-hypertape-store"] == stores[1]
        assert client.get("/health").json()["stores"] == [stores[1], "warehouse"]
        with connect(warehouse) as connection:
            cutover.decide(connection, cutover.WAREHOUSE, stores[1], since=NOW, decided_by="test")
        assert client.get("/tickers?symbol=B&limit=1").headers["x-hypertape-store"] == stores[1], (
            "for ten seconds"
        )
        client.post("/cache/clear", headers={"Origin": "http://testserver"})
        assert client.get("/tickers?symbol=B&limit=1").headers["x-hypertape-store"] == "warehouse"


def test_a_large_answer_of_several_stores_is_refused_too(
    warehouse: str, stores: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypertape.api.bar_query.MOST_BARS", 100)
    with reading(warehouse, stores[::-1]) as client:
        assert client.get("/tickers?limit=10").status_code == 200
        assert client.get("/tickers?start_date=2000-01-01").status_code == 400
