"""Rough callers and a rough network: misspelt names, odd headers, wrong keys next door, a warehouse gone silent."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from api_lab import NOW, client_of, open_app
from starlette.testclient import TestClient

from hypertape.api.errors import RETRY_SECONDS
from hypertape.api.middleware import SAFE_HEADERS
from hypertape.api.pool import Warehouse
from hypertape.errors import DatabaseBusy
from hypertape.settings import Settings
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from served import Served, serving

PAST = NOW - timedelta(days=2)


@pytest.mark.parametrize(
    ("question", "status", "told"),
    [
        ("/tickers?symbols=VCB", 400, "no parameter 'symbols'"),
        ("/quality?symbol=VCB", 400, "no parameter 'symbol'"),
        ("/tickers?symbol=VCB&limit=1&limit=2", 400, "limit is given 2 times"),
        ("/tickers?symbol=VCB&symbol=FPT&limit=1", 200, ""),
        ("/tickers?symbol=VCB&limit=1&cache=false", 200, ""),
        ("/pages/markets?market=vn", 200, ""),
        ("/tickers?start_date=2024-01-01T00:00:00+07:00", 400, "%2B"),
        ("/quarantine?interval=5m", 400, "5m bars are not loaded"),
    ],
)
def test_a_misspelt_question_is_not_another_one(client: TestClient, question, status, told) -> None:
    response = client.get(question)
    assert response.status_code == status, response.text
    assert told in (response.text if status == 200 else response.json()["error"])


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        (b"symbol=VCB&limit=1&legacy=\xff", {}, 400),
        (b"symbol=\xff\xfe&limit=1", {}, 200),
        (b"symbol=%ff%fe&limit=1", {}, 200),
        (b"symbol=VCB&limit=1", {"Host": "["}, 200),
        (b"symbol=VCB&limit=1", {"Host": b"\xff"}, 200),
        (b"symbol=VCB&limit=" + b"9" * 5000, {}, 400),
        (b"&".join([b"symbol=VCB"] * 5000) + b"&limit=1", {}, 200),
    ],
)
def test_odd_bytes_are_answered(client: TestClient, query: bytes, headers: dict, status: int) -> None:
    """Bytes that are no UTF-8 reach a server as they are; a client would have encoded them."""
    scope = {
        "type": "http", "method": "GET", "path": "/tickers", "raw_path": b"/tickers", "query_string": query,
        "headers": [(n.lower().encode(), v if isinstance(v, bytes) else v.encode()) for n, v in headers.items()],
        "http_version": "1.1", "scheme": "http", "root_path": "", "client": ("192.0.2.1", 1), "server": ("a", 80),
        "state": {},
    }  # fmt: skip
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(client.app(scope, receive, send))
    assert sent[0]["status"] == status, sent[1]


def test_a_cursor_nested_without_end_is_no_cursor(client: TestClient) -> None:
    after = base64.urlsafe_b64encode(b"[" * 20_000).decode()
    answer = client.get(f"/gaps?after={after}")
    assert (answer.status_code, "is no cursor" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("part", ["bytes=9-1", "bytes=0-0,2-2", "bytes=99999999999-", "lines=1-2", "bytes=x"])
@pytest.mark.parametrize(
    ("path", "start"),
    [("/pages/files/common.js", "// What every page needs"), ("/pages/markets", "<!doctype html>")],
)
def test_a_file_is_answered_whole(client: TestClient, path: str, start: str, part: str) -> None:
    answer = client.get(path, headers={"Range": part})
    assert answer.status_code == 200
    assert answer.text.startswith(start)


def test_an_empty_field_is_not_a_flag(client: TestClient) -> None:
    """`?legacy` means true; a form sends `legacy=` for a field that was left alone."""
    prices = {
        flag: client.get(f"/tickers?symbol=VCB&limit=1{flag}").json()["VCB"][0]["close"]
        for flag in ("", "&legacy=", "&legacy", "&legacy=true")
    }
    assert prices[""] == prices["&legacy="]
    assert prices["&legacy"] == prices["&legacy=true"] == pytest.approx(prices[""] / 1000, abs=0.01)
    assert "ema20" not in client.get("/tickers?symbol=VCB&limit=1&ema=").json()["VCB"][0]


@pytest.mark.parametrize(
    "since", ["Thu, 01 Jan 1970 00:00:00 +99999999999999", "yesterday", "", "Thu, 99 Jan 1970 00:00:00 GMT"]
)
def test_a_date_nobody_can_read_is_none(client: TestClient, since: str) -> None:
    assert client.get("/tickers?symbol=VCB&limit=1", headers={"If-Modified-Since": since}).status_code == 200


def test_what_nobody_foresaw_is_answered_with_safe_headers(filled, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret of the inside")

    monkeypatch.setattr("hypertape.api.routes.tickers.version_of", broken)
    with client_of(open_app(filled)) as client:
        response = client.get("/tickers?symbol=VCB")
        counted = client.get("/metrics").text
    assert response.status_code == 500
    assert "secret" not in response.text
    assert {name.decode() for name, _ in SAFE_HEADERS} <= set(response.headers)
    assert 'hypertape_api_requests_total{route="/tickers",status="500"} 1' in counted


@pytest.mark.parametrize(
    "path", ["/tickers?symbol=VCB", "/health", "/pages/markets", "/tickers?start_date=2000-01-01"]
)
def test_head_is_get_without_its_body(client: TestClient, path: str) -> None:
    whole, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert whole.content


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("gzip;q=0, identity", False),
        ("identity, gzip ; q=0.000", False),
        ("br, gzip;q=0.5", True),
    ],
)
def test_a_refused_encoding_is_not_used(client: TestClient, accepted: str, packed: bool) -> None:
    response = client.get("/tickers?symbol=VCB", headers={"Accept-Encoding": accepted})
    assert (response.headers.get("content-encoding") == "gzip") is packed


def test_an_ema_of_too_much_is_refused(client: TestClient, monkeypatch) -> None:
    """One bar of an answer may need its whole series."""
    monkeypatch.setattr("hypertape.api.bar_query.MOST_BARS", 100)
    assert client.get("/tickers?symbol=VCB&limit=5").status_code == 200
    refused = client.get("/tickers?symbol=VCB&limit=5&ema=5")
    assert refused.status_code == 400
    assert "more than 100" in refused.json()["error"]


# --- long answers, and a warehouse that says nothing


def test_long_answers_wait_for_their_turn(filled, monkeypatch) -> None:
    monkeypatch.setattr("hypertape.api.routes.tickers.BLOCK", 10)
    monkeypatch.setattr("hypertape.api.long_answer.WAIT_SECONDS", 0.1)
    app = open_app(filled, Settings(api_streams=1))
    with client_of(app) as client:
        assert client.get("/tickers?symbol=VCB").status_code == 200
        assert client.get("/tickers?symbol=FPT").status_code == 200, "the turn was given on"
        app.state.hypertape.streams.acquire()
        busy = client.get("/tickers?symbol=VCB")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, str(RETRY_SECONDS))
        assert client.get("/tickers?symbol=VCB&limit=5").status_code == 200, "a short one needs none"


def test_a_statement_that_takes_too_long_is_given_up(filled) -> None:
    warehouse = Warehouse(lambda: filled, size=1, statement_seconds=0.2)
    try:
        with pytest.raises(DatabaseBusy):
            warehouse.run(lambda connection: connection.execute("select pg_sleep(10)"))
        assert warehouse.run(lambda c: c.execute("select 1").fetchone()) == (1,), "the connection is good"
    finally:
        warehouse.close()


def test_a_silent_network_is_noticed(filled) -> None:
    warehouse = Warehouse(lambda: filled, size=1)
    try:
        given = warehouse.run(lambda c: c.info.get_parameters())
    finally:
        warehouse.close()
    assert int(given["keepalives_idle"]) + 3 * int(given["keepalives_interval"]) <= 30
    assert int(given["tcp_user_timeout"]) <= 30_000


# --- neighbours


@pytest.fixture(scope="module")
def keys(filled: str) -> dict[str, str]:
    with connect(filled) as connection:
        good = api_keys.create(connection, "good", "read", now=PAST)
        old = api_keys.create(connection, "old", "read", now=PAST, expires_at=PAST)
    return {"good": good, "old": old}


@pytest.fixture(scope="module")
def served(filled: str) -> Iterator[Served]:
    """A server that allows two requests a second, ten at first."""
    with serving(filled, HYPERTAPE_API_RATE="2") as served:
        yield served


def caller(served: Served, address: str, *, connections: int = 0) -> httpx.Client:
    """A client with an address, and so a bucket, of its own; usually with a connection for each request: one that is
    slowed down is left behind."""
    limits = httpx.Limits(max_keepalive_connections=connections)
    transport = httpx.HTTPTransport(local_address=address, limits=limits)
    return httpx.Client(base_url=served.url, transport=transport)


def test_a_neighbours_old_key_costs_a_good_one_nothing(served, keys) -> None:
    with caller(served, "127.0.0.2") as client:
        good, old = ({"X-API-Key": keys[name]} for name in ("good", "old"))
        assert client.get("/tickers/group", headers=good).status_code == 200
        bad = [client.get("/tickers/group", headers=old).status_code for _ in range(30)]
        assert client.get("/tickers/group", headers=good).status_code == 200
    assert bad[0] == 401
    assert bad[-1] == 429


def test_guessing_the_rest_of_a_good_key_ends_soon(served, keys) -> None:
    with caller(served, "127.0.0.3") as client:
        assert client.get("/tickers/group", headers={"X-API-Key": keys["good"]}).status_code == 200
        start = "_".join(keys["good"].split("_", 2)[:2])
        guesses = [
            client.get("/tickers/group", headers={"X-API-Key": f"{start}_{k:043d}"}).status_code
            for k in range(30)
        ]
    assert guesses[0] == 401
    assert guesses[-1] == 429


def test_nobody_is_believed_to_be_a_proxy(served, keys) -> None:
    with caller(served, "127.0.0.4") as client:
        statuses = [
            client.get(
                "/tickers/group", headers={"X-API-Key": keys["old"], "X-Forwarded-For": f"198.51.100.{k}"}
            ).status_code
            for k in range(30)
        ]
        log = served.log_with(" 429 ")
    assert statuses[-1] == 429, "an address made up by the caller gives no new tokens"
    assert "198.51.100." not in log


def test_one_connection_is_told_again_before_its_client_gives_up(served, keys) -> None:
    """httpx waits for five seconds unless told otherwise, and so do many."""
    with caller(served, "127.0.0.5", connections=1) as client:
        statuses = [
            client.get("/tickers/group", headers={"X-API-Key": keys["old"]}).status_code for _ in range(5)
        ]
    assert set(statuses) == {401, 429}
