"""The API's routes of ticks and candles, on a warehouse that the stream's own writer filled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hypertape.api import create_app
from hypertape.frame import micros
from hypertape.settings import Settings
from hypertape.stream.database import DatabaseSink
from hypertape.stream.model import SCALE, FeedGap, Rejected, Tick
from hypertape.stream.rollups import refresh_candles
from hypertape.stream.workers import beat
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Look, look

pytestmark = pytest.mark.database

START = datetime(2026, 1, 5, tzinfo=UTC)
NOW = START + timedelta(hours=1)


def tick(second: int, symbol: str = "EURUSD") -> Tick:
    time = micros(START) + second * 1_000_000 + 123_456
    return Tick(symbol, time, second, 108_455_000 + second, 108_457_000 + second, SCALE, None, "lab")


@pytest.fixture(scope="module")
def client(new_warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The app on a warehouse with ten minutes of a symbol and one tick of another."""
    with new_warehouse() as dsn:
        asyncio.run(_fill(dsn, tmp_path_factory.mktemp("spool")))
        with connect(dsn, autocommit=True) as connection:
            refresh_candles(connection, "lab")
            beat(connection, "lab-1", START, {"rate": 1.0})
            look(connection, Look(NOW, "lab"))
        app = create_app(
            Settings(), authorize=lambda access: lambda: None, clock=lambda: NOW, dsn=lambda: dsn
        )
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client


async def _fill(dsn: str, spool: Path) -> None:
    async with DatabaseSink(dsn, spool, now=lambda: micros(NOW)) as sink:
        await sink.publish([*(tick(second) for second in range(600)), tick(7, "BRK/B")])
        await sink.record(
            [FeedGap("lab", "EURUSD", "sequence", 1, 2, 3, 9), Rejected("other", b"\xff<b>", "no text")]
        )


@pytest.fixture(scope="module")
def symbol_id(client: TestClient) -> int:
    return int(client.get("/api/v1/symbols/name/EURUSD").json()["symbol_id"])


def test_a_symbol_is_found_by_its_name(client):
    found = client.get("/api/v1/symbols/name/BRK/B").json()
    assert (found["ticker"], found["market"]) == ("BRK/B", "stream")
    assert client.get(f"/api/v1/symbols/{found['symbol_id']}").json()["ticker"] == "BRK/B"
    listed = client.get("/api/v1/symbols?limit=5000").json()["symbols"]
    assert {"EURUSD", "BRK/B"} <= {symbol["ticker"] for symbol in listed}
    assert client.get("/api/v1/symbols?mode=vn").json()["symbols"] == []


def test_ticks_come_newest_last_as_text(client, symbol_id):
    answer = client.get(f"/api/v1/ticks/{symbol_id}?limit=2").json()
    assert answer == {
        "symbol_id": symbol_id,
        "symbol": "EURUSD",
        "ticks": [
            {
                "time": f"2026-01-05T00:09:{second}.123456Z", "sequence": 540 + second,
                "bid": f"1.0845{5540 + second}", "ask": f"1.0845{7540 + second}",
                "bid_volume": "1", "ask_volume": None, "source": "lab",
            }
            for second in (58, 59)
        ],
    }  # fmt: skip
    latest = client.get(f"/api/v1/ticks/{symbol_id}/latest").json()
    assert latest == {"symbol_id": symbol_id, "symbol": "EURUSD", **answer["ticks"][-1]}


def test_ticks_of_a_window_begin_at_its_start(client, symbol_id):
    path = f"/api/v1/ticks/{symbol_id}?from=2026-01-05T00:01:00Z&to=2026-01-05T00:02:00Z"
    assert [row["sequence"] for row in client.get(path).json()["ticks"]] == list(range(60, 120))
    assert [row["sequence"] for row in client.get(path + "&limit=2").json()["ticks"]] == [60, 61]
    path = f"/api/v1/ticks/{symbol_id}?to=2026-01-05T00:02:00Z&limit=2"
    assert [row["sequence"] for row in client.get(path).json()["ticks"]] == [118, 119]


def test_candles_of_a_timeframe(client, symbol_id):
    answer = client.get(f"/api/v1/ohlc/{symbol_id}?timeframe=5m").json()
    assert [row["open_time"] for row in answer["candles"]] == ["2026-01-05T00:00:00Z", "2026-01-05T00:05:00Z"]
    first = answer["candles"][0]
    assert first == {
        "open_time": "2026-01-05T00:00:00Z", "close_time": "2026-01-05T00:05:00Z", "open": "1.08456",
        "high": "1.08456299", "low": "1.08456", "close": "1.08456299", "volume": "300", "tick_count": 300,
    }  # fmt: skip
    assert answer["timeframe"] == "5m"
    assert len(client.get(f"/api/v1/ohlc/{symbol_id}").json()["candles"]) == 10
    onward = client.get(f"/api/v1/ohlc/{symbol_id}?from=2026-01-05T00:03:00Z&limit=1").json()["candles"]
    assert [row["open_time"] for row in onward] == ["2026-01-05T00:03:00Z"]
    latest = client.get(f"/api/v1/ohlc/{symbol_id}/latest?timeframe=1d").json()
    assert (latest["tick_count"], latest["timeframe"]) == (600, "1d")


def test_the_stream_says_how_it_does(client):
    answer = client.get("/api/v1/stream").json()
    assert answer["open_gaps"] == 1
    assert (answer["dead_letters"], answer["pending_ranges"]) == (1, 0)
    assert answer["newest_tick"] == "2026-01-05T00:09:59.123456Z"
    assert answer["lag_seconds"] == pytest.approx(3000.877, abs=0.01)
    (stream,) = answer["streams"]
    assert (stream["name"], stream["figures"]) == ("lab-1", {"rate": 1.0})
    assert answer["now"] == "2026-01-05T01:00:00Z"


def test_gaps_and_letters_are_listed_with_what_is_wrong(client):
    (gap,) = client.get("/api/v1/stream/gaps").json()["gaps"]
    assert (gap["source"], gap["symbol"], gap["last_sequence"], gap["closed_at"]) == (
        "lab",
        "EURUSD",
        3,
        None,
    )
    assert client.get("/api/v1/stream/gaps?source=other").json() == {"gaps": []}
    (letter,) = client.get("/api/v1/stream/dead-letters?source=other").json()["dead_letters"]
    assert (letter["record"], letter["error"]) == ("\\xff<b>", "no text")
    assert client.get("/api/v1/stream/dead-letters?source=lab").json() == {"dead_letters": []}
    assert [row["ticker"] for row in client.get("/api/v1/stream/symbols").json()["symbols"]] == [
        "BRK/B",
        "EURUSD",
    ]
    found = client.get("/api/v1/stream/findings").json()
    assert [each["kind"] for each in found["findings"]] == ["feed_gap", "letters"]
    assert found["headline"]["text"].startswith("1 gap of the feed lab is open")


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/ticks/999999", 404, "There is no symbol 999999"),
        ("/api/v1/ticks/999999/latest", 404, "There is no symbol 999999"),
        ("/api/v1/ticks/-1", 404, "There is no symbol -1"),
        ("/api/v1/ticks/99999999999999999999", 404, "There is no symbol"),
        ("/api/v1/ticks/x", 400, "symbol_id"),
        ("/api/v1/ticks/ID?limit=0", 400, "from 1 to 5000"),
        ("/api/v1/ticks/ID?limit=5001", 400, "Go on with a later `from`"),
        ("/api/v1/ticks/ID?from=yesterday", 400, "is not a date"),
        ("/api/v1/ticks/ID?from=2026-01-06&to=2026-01-05", 400, "is not after"),
        ("/api/v1/ticks/ID?start=2026-01-06", 400, "Parameters: from, limit, to"),
        ("/api/v1/ohlc/ID?timeframe=2m", 400, "Timeframes: 1m, 5m, 15m, 30m, 1h, 4h, 1d"),
        ("/api/v1/ohlc/999999", 404, "There is no symbol 999999"),
        ("/api/v1/stream/gaps?limit=5001", 400, "Name a feed"),
        ("/api/v1/stream/gaps?since=1", 400, "Parameters: limit, open, source"),
        ("/api/v1/symbols/name/NOBODY", 404, "List them with"),
        ("/api/v1/symbols/name/A%00B", 404, "List them with"),
        ("/api/v1/symbols/name/EURUSD?market=vn", 404, "List them with"),
    ],
)
def test_what_is_not_there_or_not_understood_is_said(client, symbol_id, path, status, said):
    answer = client.get(path.replace("ID", str(symbol_id)))
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_the_description_knows_the_routes(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/v1/ticks/{symbol_id}", "/api/v1/ohlc/{symbol_id}/latest", "/api/v1/stream"} <= set(paths)
    names = {parameter["name"] for parameter in paths["/api/v1/ohlc/{symbol_id}"]["get"]["parameters"]}
    assert names == {"symbol_id", "timeframe", "from", "to", "limit"}
