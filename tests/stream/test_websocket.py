"""The WebSocket sink with real clients: topics, logins, and slow ones that are dropped and hold up nobody."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hypertape.errors import BadInput
from hypertape.stream.admission import Admission, NotAdmitted
from hypertape.stream.model import SCALE, Tick
from hypertape.stream.sinks.websocket import WebSocketSink
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect as connect_warehouse

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def tick(number: int, symbol: str = "EURUSD") -> Tick:
    return Tick(symbol, 1_767_571_200_000_000 + number, number, 108_455_000, None, SCALE, None, "lab")


async def everybody(headers: Mapping[str, str], address: str) -> str:
    return "anybody"


@asynccontextmanager
async def serving(admit: Any = everybody, **options: Any) -> AsyncIterator[tuple[WebSocketSink, str]]:
    sink = WebSocketSink("127.0.0.1", 0, admit, **options)
    await sink.start()
    try:
        yield sink, f"ws://127.0.0.1:{sink.port}/ws"
    finally:
        await sink.close()


async def hear(client: Any) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), 5))


def test_clients_hear_their_topics():
    async def scenario() -> None:
        async with (
            serving() as (sink, url),
            connect(f"{url}?topics=ticker:EURUSD") as one,
            connect(url) as other,
        ):
            assert await hear(one) == {"topics": ["ticker:EURUSD"]}
            await other.send('{"subscribe": ["ticker:*", "ticker:GBPUSD"]}')
            assert await hear(other) == {"topics": ["ticker:*", "ticker:GBPUSD"]}
            await sink.publish([tick(1), tick(2, "GBPUSD"), tick(3)])
            line = {
                "symbol": "EURUSD",
                "time": "2026-01-05T00:00:00.000001Z",
                "sequence": 1,
                "bid": "1.08455",
                "bid_volume": "1",
            }
            first = await hear(one)
            assert (first["topic"], first["ticks"][0], len(first["ticks"])) == ("ticker:EURUSD", line, 2)
            assert [(await hear(other))["topic"] for _ in range(2)] == ["ticker:EURUSD", "ticker:GBPUSD"]
            await one.send('{"unsubscribe": ["ticker:EURUSD"]}')
            assert await hear(one) == {"topics": []}
            await sink.publish([tick(4)])
            assert (await hear(other))["ticks"][0]["sequence"] == 4
            await one.send('{"subscribe": []}')
            assert await hear(one) == {"topics": []}  # and nothing between

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("no json", "Send {"),
        ("[" * 10_000, "Send {"),
        ('{"subscribe": ["ticker:A"], "unsubscribe": []}', "Send {"),
        ('{"publish": []}', "Send {"),
        ('{"subscribe": "ticker:A"}', "list of texts"),
        ('{"subscribe": [1]}', "list of texts"),
        ('{"subscribe": ["EURUSD"]}', "no topic 'EURUSD'"),
        ('{"subscribe": ["ticker:"]}', "no topic"),
        (json.dumps({"subscribe": [f"ticker:{n}" for n in range(1001)]}), "At most 1000"),
        (b"\xff\xfe", "Send {"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_message_that_is_none_is_told_and_costs_nothing(message, said):
    async def scenario() -> str:
        async with serving() as (_, url), connect(url) as client:
            await client.send(message)
            answer = await hear(client)
            await client.send('{"subscribe": ["ticker:A"]}')
            assert await hear(client) == {"topics": ["ticker:A"]}
        return str(answer["error"])

    assert said in asyncio.run(scenario())


def test_a_slow_client_is_dropped_with_a_reason_and_slows_nobody():
    async def scenario() -> tuple[float, int | None, str, int, int]:
        async with serving(most_unread=200_000) as (sink, url):
            slow_socket = socket.socket()
            slow_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow_socket.connect(("127.0.0.1", sink.port))
            slow = await connect(f"{url}?topics=ticker:EURUSD", sock=slow_socket, max_queue=1)
            async with connect(f"{url}?topics=ticker:EURUSD", max_size=None) as quick:
                await hear(quick)
                heard = 0
                began = time.monotonic()
                while not sink.dropped:
                    await sink.publish([tick(n) for n in range(500)])
                    heard += len((await hear(quick))["ticks"])
                    assert heard < 500_000
                took = time.monotonic() - began
                await sink.publish([tick(1)])
                assert len((await hear(quick))["ticks"]) == 1
                clients = sink.clients
                with pytest.raises(ConnectionClosed) as closed:
                    await _read_on(slow)  # what it has not read comes first, then the reason
                received = closed.value.rcvd
                return took, received and received.code, received.reason if received else "", clients, heard

    took, code, reason, clients, heard = asyncio.run(scenario())
    assert (code, clients) == (1008, 1)
    assert reason.startswith("too slow: ")
    assert heard >= 500
    assert took < 10


async def _read_on(client: Any) -> None:
    while True:
        await asyncio.wait_for(client.recv(), 5)


def test_a_hundred_clients_hear_everything():
    async def scenario() -> list[int]:
        async with serving() as (sink, url):
            clients = [await connect(f"{url}?topics=ticker:*") for _ in range(100)]
            for client in clients:
                await hear(client)
            for number in range(20):
                await sink.publish([tick(100 * number + n) for n in range(100)])
            counts = []
            for client in clients:
                counts.append(sum([len((await hear(client))["ticks"]) for _ in range(20)]))
                await client.close()
        return counts

    assert asyncio.run(scenario()) == [2000] * 100


def test_the_end_of_the_stream_is_told():
    async def scenario() -> Any:
        async with serving() as (sink, url):
            client = await connect(url)
            await sink.close()
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        return closed.value.rcvd

    received = asyncio.run(scenario())
    assert (received.code, received.reason) == (1001, "the stream ends")


def test_a_port_that_is_taken_is_said():
    async def scenario() -> None:
        async with serving() as (sink, _):
            with pytest.raises(BadInput, match="cannot be listened on"):
                await WebSocketSink("127.0.0.1", sink.port, everybody).start()

    asyncio.run(scenario())


# --- logins


@pytest.fixture
def keys(warehouse: str) -> dict[str, str]:
    """A key that is good, one that was revoked, one that has expired."""
    with connect_warehouse(warehouse, autocommit=True) as connection:
        made = {name: api_keys.create(connection, name, "read", now=NOW) for name in ("good", "revoked")}
        made["expired"] = api_keys.create(connection, "expired", "read", now=NOW, expires_at=NOW)
        api_keys.revoke(connection, "revoked", now=NOW)
    return made


@pytest.mark.database
def test_a_key_admits_and_everything_else_is_told_what_to_do(warehouse, keys):
    async def scenario() -> dict[str, int]:
        admission = Admission(warehouse, lambda: NOW + timedelta(days=1))
        pages = {"/status": lambda: ("application/json", b"{}")}
        statuses: dict[str, int] = {}
        advice: list[bytes] = []
        async with serving(admission, pages=pages) as (sink, url):
            given = {
                "good": {"Authorization": f"Bearer {keys['good']}"},
                "by header": {"x-api-key": keys["good"]},
                "revoked": {"Authorization": f"Bearer {keys['revoked']}"},
                "expired": {"Authorization": f"Bearer {keys['expired']}"},
                "wrong": {"Authorization": f"Bearer {keys['good'][:-1]}x"},
                "none": {},
                "basic": {"Authorization": "Basic abc"},
            }
            for name, headers in given.items():
                try:
                    async with connect(url, additional_headers=headers):
                        statuses[name] = 101
                except InvalidStatus as refused:
                    statuses[name] = refused.response.status_code
                    advice.append(refused.response.body)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{sink.port}") as client:
                for path in ("/status", "/nowhere"):
                    statuses[path] = (await client.get(path, headers=given["good"])).status_code
                    statuses[f"{path} without"] = (await client.get(path)).status_code
                statuses["key in the address"] = (await client.get(f"/status?key={keys['good']}")).status_code
        assert all(b"hypertape keys create" in body for body in advice)
        return statuses

    expected = {
        "good": 101, "by header": 101, "revoked": 401, "expired": 401, "wrong": 401, "none": 401, "basic": 401,
        "/status": 200, "/status without": 401, "/nowhere": 404, "/nowhere without": 401, "key in the address": 401,
    }  # fmt: skip
    assert asyncio.run(scenario()) == expected


@pytest.mark.database
def test_guessing_ends_soon(warehouse):
    async def scenario() -> list[int]:
        admission = Admission(warehouse, lambda: NOW)
        statuses = []
        for number in range(25):
            with pytest.raises(NotAdmitted) as refused:
                await admission({"X-API-Key": f"ht_{number:012x}_{'a' * 43}"}, "10.0.0.1")
            statuses.append(refused.value.status)
        with pytest.raises(NotAdmitted) as refused:
            await admission({}, "10.0.0.2")
        return [*statuses, refused.value.status]

    statuses = asyncio.run(scenario())
    assert statuses == [401] * 20 + [429] * 5 + [401]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cookie": "_token=good", "Origin": "AIRFLOW"}, None),
        ({"Authorization": "Bearer good"}, None),
        ({"Cookie": "_token=good"}, 403),
        ({"Cookie": "_token=good", "Origin": "https://elsewhere.example"}, 403),
        ({"Cookie": "_token=bad", "Origin": "AIRFLOW"}, 401),
        ({"Authorization": "Bearer bad"}, 401),
    ],
    ids=[
        "its page",
        "its token",
        "a cookie from nowhere",
        "another site's page",
        "a wrong cookie",
        "a wrong token",
    ],
)
def test_airflows_login_counts_where_airflow_says_so(headers, status):
    async def scenario() -> int | None:
        async def airflow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            good = "cookie: _token=good" in head or "authorization: bearer good" in head
            good = good and head.startswith("get /hypertape/api/v1/symbols")
            writer.write(
                f"HTTP/1.1 {200 if good else 401} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(airflow, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        admission = Admission("postgresql://nobody@127.0.0.1:1/none", lambda: NOW, airflow_url=url + "/")
        sent = {name: url if value == "AIRFLOW" else value for name, value in headers.items()}
        try:
            assert await admission(sent, "-") == "airflow"
        except NotAdmitted as refused:
            return refused.status
        finally:
            server.close()
        return None

    assert asyncio.run(scenario()) == status


def test_a_warehouse_that_is_away_admits_nobody_and_blames_nobody():
    admission = Admission("postgresql://nobody@127.0.0.1:1/none", lambda: NOW)
    with pytest.raises(NotAdmitted) as refused:
        asyncio.run(admission({"X-API-Key": f"ht_{'0' * 12}_{'a' * 43}"}, "-"))
    assert refused.value.status == 503
