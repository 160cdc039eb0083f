"""The stand-alone server as a process: keys, limits, streaming, memory, caching, and how it ends."""

from __future__ import annotations

import gzip
import signal
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from api_lab import D1, NOW, VN, put, walk
from server_lab import fill_wide

from hypertape.model import utc
from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from scrape import values
from served import Served, serving
from thorough import examples

TICKERS, BARS = examples(800, 1500), 252
PAST = NOW - timedelta(days=2)
LIMIT_MB = examples(260, 300)
NOBODY = 999_999
"""The id of no symbol."""


@pytest.fixture(scope="module")
def wide(new_warehouse) -> Iterator[str]:
    """A warehouse of its own with many tickers."""
    with new_warehouse() as dsn:
        fill_wide(dsn, TICKERS, BARS)
        yield dsn


@pytest.fixture(scope="module")
def keys(wide: str) -> dict[str, str]:
    """A key of each kind."""
    with connect(wide) as connection:
        made = {role: api_keys.create(connection, f"{role}er", role, now=PAST) for role in ("read", "write")}
        made["expired"] = api_keys.create(connection, "old", "read", now=PAST, expires_at=PAST)
        made["revoked"] = api_keys.create(connection, "gone", "read", now=PAST)
        api_keys.revoke(connection, "gone", now=PAST)
    return made


@pytest.fixture(scope="module")
def served(wide: str, keys: dict[str, str]) -> Iterator[Served]:
    with serving(wide, HYPERTAPE_API_RATE="10000") as served:
        yield served


@pytest.fixture
def reader(served: Served, keys: dict[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {keys['read']}"}) as client:
        yield client


def routes() -> list[tuple[str, str]]:
    from hypertape.api.app import NOWHERE
    from hypertape.api.server import server_app
    from hypertape.settings import Settings

    app = server_app(Settings(), clock=lambda: NOW)
    return [
        (
            method,
            route.path_format.format(symbol_id=NOBODY, finding_id=NOBODY, name="markets", path="common.js"),
        )
        for route in app.routes
        for method in getattr(route, "methods", ["GET"])
        if route.path != NOWHERE
    ]


# --- who is let in


@pytest.mark.parametrize(
    "kind", ["none", "made up", "half", "wrong secret", "expired", "revoked", "in the address"]
)
def test_every_route_needs_a_good_key(served: Served, keys: dict[str, str], kind: str) -> None:
    headers = {
        "none": {},
        "made up": {"Authorization": "Bearer ht_000000000000_" + "A" * 43},
        "half": {"Authorization": f"Bearer {keys['read'][:30]}"},
        "wrong secret": {
            "Authorization": f"Bearer {keys['read'][:-1]}{'A' if keys['read'][-1] != 'A' else 'B'}"
        },
        "expired": {"X-API-Key": keys["expired"]},
        "revoked": {"X-API-Key": keys["revoked"]},
        "in the address": {},
    }[kind]
    more = f"?api_key={keys['read']}&token={keys['read']}" if kind == "in the address" else ""
    with httpx.Client(base_url=served.url, headers=headers) as client:
        absent = [("GET", "/nope"), ("GET", "/tickers/"), ("GET", "/cache/clear"), ("PUT", "/tickers")]
        answers = {route: client.request(route[0], route[1] + more) for route in [*routes(), *absent]}
    assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(answers, 401)
    assert all("error" in answer.json() for answer in answers.values())
    assert len(answers) >= 15


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_reader_reads_and_does_not_write(served: Served, keys: dict[str, str], header: str) -> None:
    value = f"Bearer {keys['read']}" if header == "Authorization" else keys["read"]
    with httpx.Client(base_url=served.url, headers={header: value}) as client:
        every = (
            routes() if header == "Authorization" else [("GET", "/tickers/group"), ("POST", "/cache/clear")]
        )
        for method, path in every:
            wanted = {
                "/origin": {"symbol": "T00001", "time": "2024-03-01"},
                "/bars": {"symbol": "T00001", "market": "vn", "interval": "1d"},
            }.get(path, {})
            status = client.request(method, path, params=wanted).status_code
            is_there = str(NOBODY) not in path and not path.startswith("/api/v1/symbols/name/")
            assert status == (403 if method == "POST" else 200 if is_there else 404), (path, status)


def test_a_writer_writes_but_not_for_another_site(served: Served, keys: dict[str, str]) -> None:
    with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {keys['write']}"}) as client:
        assert client.post("/cache/clear").json() == {"cleared": True}
        assert client.post("/cache/clear", headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.get("/tickers?limit=1&symbol=T00001").status_code == 200


@pytest.mark.parametrize(("role", "writes"), [("read", False), ("write", True)])
def test_a_key_is_told_whether_it_may_write(
    served: Served, keys: dict[str, str], role: str, writes: bool
) -> None:
    answer = httpx.get(f"{served.url}/caller", headers={"X-API-Key": keys[role]}).json()
    assert (answer["may_write"], answer["name"].split()[0]) == (writes, f"{role}er")


def test_a_revoked_key_is_refused_soon_and_at_once_when_told(
    wide: str, served: Served, keys: dict[str, str]
) -> None:
    with connect(wide) as connection:
        key = api_keys.create(connection, "short", "read", now=PAST)
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{served.url}/tickers/group", headers=headers).status_code == 200
    with connect(wide) as connection:
        api_keys.revoke(connection, "short", now=PAST)
    httpx.post(f"{served.url}/cache/clear", headers={"X-API-Key": keys["write"]})
    assert httpx.get(f"{served.url}/tickers/group", headers=headers).status_code == 401


def test_too_many_requests_are_told_when_to_come_back(wide: str, keys: dict[str, str]) -> None:
    with serving(wide, HYPERTAPE_API_RATE="0.1") as served:  # a token at first, and one every ten seconds
        answers = [
            httpx.get(f"{served.url}/tickers/group", headers={"X-API-Key": keys["read"]}) for _ in range(3)
        ]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10


def test_nothing_secret_is_logged(served: Served, reader: httpx.Client, keys: dict[str, str]) -> None:
    reader.get(f"/tickers?limit=1&symbol=T00001&api_key={keys['read']}")
    reader.get("/tickers/%0a2026-01-01 INFO forged line")
    log = served.log_with("forged line")
    assert re_secret(keys) not in log
    assert "GET /tickers 400" in log, "a key in the address is no parameter either"
    assert f"reader ({keys['read'][3:15]})" in log, "who it was can be told"
    assert "\n2026-01-01 INFO forged" not in log


def re_secret(keys: dict[str, str]) -> str:
    return keys["read"].split("_", 2)[2][:20]


def test_it_listens_on_loopback_alone(served: Served) -> None:
    assert served.url.startswith("http://127.0.0.1:")
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    port = int(served.url.rpartition(":")[2])
    for address in addresses - {"127.0.0.1"}:
        if not address.startswith("127."):
            with pytest.raises(ConnectionRefusedError), socket.create_connection((address, port), 1):
                pass


def test_gaps_are_reopened_by_who_may_write(wide: str, served: Served, keys: dict[str, str]) -> None:
    gap = "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run, attempts) values "
    with connect(wide) as connection:
        for ticker, reason in (("GAP1", "unknown"), ("GAP2", "unknown"), ("GAP3", "provider empty")):
            row = "('vn', '1d', %s, '2024-01-01', '2024-01-02', 1, %s, 'lab', 9)"
            connection.execute(gap + row, (ticker, reason))
    with httpx.Client(base_url=served.url, headers={"X-API-Key": keys["write"]}) as client:
        assert client.post("/gaps/reopen?symbol=GAP1").json() == {"reopened": 1}
        assert client.post("/gaps/reopen?reason=unknown&mode=vn&interval=1D").json() == {"reopened": 1}
        assert client.post("/gaps/reopen?reason=boredom").status_code == 400
        for nothing in ("", "?mode=all", "?symbol=&mode=&interval=", "?all=false"):
            refused = client.post(f"/gaps/reopen{nothing}")
            assert refused.status_code == 400, nothing
            assert "all=true" in refused.json()["error"]
        attempts = {row["ticker"]: row["attempts"] for row in client.get("/gaps").json()["gaps"]}
        assert client.get("/gaps?reason=provider+empty").json()["gaps"][0]["ticker"] == "GAP3"
        with connect(wide) as connection:
            connection.execute("update gap set reason = 'halted' where ticker = 'GAP1'")
            before = "('vn', '1d', 'T00001', '2020-01-01', '2020-06-01', 100, 'provider empty', 'lab', 0)"
            connection.execute(gap + before)
        client.post("/cache/clear")
        told = client.get("/metrics").text
        assert values(told, "hypertape_open_gap_bars", market="vn", interval="1d") == [2], (
            "a halt is no defect, nor is what lies before the first bar"
        )
        assert attempts == {"GAP1": 0, "GAP2": 0, "GAP3": 9}
        assert client.post("/gaps/reopen?all=true").json() == {"reopened": 1}
    log = served.log_with("reopened 1 gaps: GapFilter(")
    assert [
        line for line in log.splitlines() if "writeer (" in line and "reopened 1 gaps: GapFilter(" in line
    ]


# --- answers


def test_answers_are_compressed_for_who_asks(reader: httpx.Client) -> None:
    query = "/tickers?symbol=T00001"
    plain = reader.get(query, headers={"Accept-Encoding": "identity"})
    with reader.stream("GET", query, headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["vary"]
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2
    assert plain.headers["etag"] == packed.headers["etag"]
    assert plain.headers["etag"].startswith("W/"), "the tag is of the bars, not of their bytes"


def test_an_answer_that_is_known_is_not_sent_again(wide: str, served: Served, reader: httpx.Client) -> None:
    with connect(wide) as connection:
        connection.execute("update load set loaded_at = loaded_at - interval '1 hour'")
    first = reader.get("/tickers?symbol=T00001")
    tag, modified = first.headers["etag"], first.headers["last-modified"]
    known = reader.get("/tickers?symbol=T00001", headers={"If-None-Match": f'"other", {tag}'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    assert reader.get("/tickers?symbol=T00001", headers={"If-Modified-Since": modified}).status_code == 304
    other = "/tickers?symbol=T00001&limit=3"
    assert reader.get(other, headers={"If-None-Match": tag}).status_code == 200, "another question"
    put(wide, VN, D1, {"T00002": walk([utc(2024, 1, 2).replace(tzinfo=None)], 1)})
    assert reader.get("/tickers?symbol=T00001", headers={"If-None-Match": tag}).status_code == 304
    put(wide, VN, D1, {"T00001": walk([utc(2024, 1, 2).replace(tzinfo=None)], 1)})
    changed = reader.get("/tickers?symbol=T00001", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert len(changed.json()["T00001"]) == BARS, "the newest 252, the new one among them"
    assert changed.json()["T00001"][-1]["time"] == "2024-01-02"
    stale = reader.get("/tickers?symbol=T00001", headers={"If-Modified-Since": modified})
    assert stale.status_code == 200


def test_a_rollup_that_waits_for_its_refresh_is_another_answer_afterwards(
    wide: str, reader: httpx.Client
) -> None:
    from hypertape.warehouse.rollups import refresh_pending

    day = utc(2024, 1, 3).replace(tzinfo=None)
    put(wide, VN, D1, {"T00003": walk([day], 1)}, refresh=False)
    before = reader.get("/tickers?symbol=T00003&interval=1W")
    refresh_pending(wide, VN, D1)
    after = reader.get("/tickers?symbol=T00003&interval=1W")
    assert "last-modified" not in before.headers
    assert "etag" not in before.headers, "a background refresh may change the answer at any moment"
    assert reader.get("/tickers?symbol=T00003&interval=1W", headers={"If-None-Match": "*"}).status_code == 304
    assert after.headers["etag"].startswith("W/")
    assert after.json() != before.json()


def test_a_large_answer_streams_in_little_memory(served: Served, reader: httpx.Client) -> None:
    for query in ("format=csv", "format=json&ma=false", "interval=1W&start_date=2023-01-01"):
        with reader.stream("GET", f"/tickers?{query}", timeout=60) as response:
            assert response.status_code == 200
            assert "content-length" not in response.headers, "it is sent as it is made"
            text = b"".join(response.iter_bytes())
        assert len(text) > 1_000_000
        if query == "format=csv":
            assert text.count(b"\n") >= 1 + TICKERS * 250
    assert served.peak_mb() < LIMIT_MB, f"{served.peak_mb():.0f} MB"


def test_a_reader_who_leaves_or_dawdles_holds_no_connection(served: Served, reader: httpx.Client) -> None:
    with httpx.Client(base_url=served.url, headers=reader.headers) as slow:
        answers = [slow.stream("GET", "/tickers?format=csv") for _ in range(12)]
        opened = [answer.__enter__() for answer in answers]
        assert [answer.status_code for answer in opened] == [200] * 12
        assert reader.get("/tickers?symbol=T00001&limit=1", timeout=10).status_code == 200
        for answer in answers:
            answer.__exit__(None, None, None)
    assert reader.get("/health").json()["status"] == "ok"


# --- its end


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_answer_under_way_is_finished_before_it_ends(wide: str, keys: dict[str, str], how: int) -> None:
    headers = {"X-API-Key": keys["read"]}
    with serving(wide, HYPERTAPE_API_RATE="1000") as served:
        with httpx.stream("GET", f"{served.url}/tickers?format=csv", headers=headers, timeout=30) as response:
            pieces = response.iter_bytes()
            size = len(next(pieces))
            ended: list[int] = []
            stopper = threading.Thread(target=lambda: ended.append(served.stop(how)))
            stopper.start()
            size += sum(map(len, pieces))
        stopper.join()
    assert size > 10_000_000
    assert ended in ([0], [-how], [128 + how], [130])


def test_a_key_is_kept_as_its_hash_alone(wide: str, keys: dict[str, str]) -> None:
    with connect(wide) as connection:
        rows: list[Any] = connection.execute("select api_key::text, digest from api_key").fetchall()
    secrets = [key.split("_", 2)[2] for key in keys.values()]
    assert not any(secret in text for text, _ in rows for secret in secrets)
    assert {len(digest) for _, digest in rows} == {32}
