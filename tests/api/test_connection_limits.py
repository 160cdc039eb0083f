"""What a caller without a key can do to the others: real sockets against the server as a process.

Each attack lasts while another caller, from the same address and with a good key, is answered quickly.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import pytest
from api_lab import NOW
from server_lab import fill_wide

from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from served import Served, serving
from thorough import is_thorough

SECONDS, STALL, ALL, EACH = 2.0, 2.0, 80, 40
QUICK = 2.0
"""Seconds within which a good caller is answered whatever others do; one answer takes some milliseconds."""


@pytest.fixture(scope="module")
def wide(new_warehouse) -> Iterator[str]:
    """A warehouse whose whole answer does not fit into the buffers of sockets."""
    with new_warehouse() as dsn:
        fill_wide(dsn, 400, 252)
        yield dsn


@pytest.fixture(scope="module")
def key(wide: str) -> str:
    with connect(wide) as connection:
        return api_keys.create(connection, "good", "read", now=NOW)


@pytest.fixture(scope="module")
def served(wide: str, key: str) -> Iterator[Served]:
    limits = {
        "REQUEST_SECONDS": SECONDS,
        "STALL_SECONDS": STALL,
        "CLIENTS": ALL,
        "CLIENTS_EACH": EACH,
        "RATE": 500,
    }
    with serving(wide, **{f"HYPERTAPE_API_{name}": str(value) for name, value in limits.items()}) as served:
        assert ask(served, key, 60) == 200  # whatever is loaded late is loaded now
        yield served


def ask(served: Served, key: str, seconds: float = QUICK) -> int:
    """A good caller's status; a new connection each time."""
    headers = {"X-API-Key": key}
    return httpx.get(
        f"{served.url}/tickers?symbol=T00001&limit=5", headers=headers, timeout=seconds, verify=False
    ).status_code  # without certificates, which there is no use for: to load them is most of the work


def plug(served: Served, *, buffer: int | None = None) -> socket.socket:
    """A connection; with `buffer` its receiving side holds about so many bytes."""
    host, port = served.url.removeprefix("http://").split(":")
    found = socket.socket()
    if buffer is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    found.settimeout(20)
    found.connect((host, int(port)))
    return found


def until_closed(connection: socket.socket) -> tuple[bytes, float]:
    """What the server says until it closes, and after how many seconds it did."""
    began, told = time.monotonic(), b""
    with suppress(ConnectionError):
        while piece := connection.recv(65_536):
            told += piece
    return told, time.monotonic() - began


@contextmanager
def attack(send: Callable[[], Any]) -> Iterator[None]:
    """Do something again and again in a thread until the block ends."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with suppress(OSError):
                send()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


GET = b"GET /health HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /cache/clear HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


SLOW = {
    "nothing is ever sent": (b"", b""),
    "a request line byte by byte": (b"GET /tick", b"a"),
    "a header byte by byte": (GET + b"X-A: ", b"b"),
    "header after header": (GET, b"X-A: b\r\n"),
    "empty lines before a request": (b"", b"\r\n"),
    "empty lines after a request": (GET + b"\r\n", b"\r\n"),
    "a body byte by byte": (POST + b"Content-Length: 999\r\n\r\n", b"c"),
    "a body chunk by chunk": (POST + CHUNKED, b"1\r\nc\r\n"),
    "trailers without end": (GET + CHUNKED + b"0\r\n", b"X-A: b\r\n"),
    "another protocol": (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"\x81\x00"),
}
"""What a request begins with, and what comes of it again and again."""


@pytest.mark.parametrize("kinds", [[kind] for kind in SLOW] if is_thorough() else [list(SLOW)], ids=" ".join)
def test_a_slow_request_is_given_up(served: Served, key: str, kinds: list[str]) -> None:
    """All kinds at once; at length ten of each alone."""
    with ExitStack() as stack:
        lines = 10 if len(kinds) == 1 else 3
        drops = {stack.enter_context(plug(served)): SLOW[kind] for kind in kinds for _ in range(lines)}
        for line, (begin, _) in drops.items():
            line.sendall(begin)
            line.settimeout(0.01)
        closed, began = set(), time.monotonic()
        while len(closed) < len(drops) and time.monotonic() - began < 30:
            for line in drops.keys() - closed:
                try:
                    if drop := drops[line][1]:
                        line.sendall(drop)
                    if not line.recv(4096):
                        closed.add(line)
                except TimeoutError:
                    continue
                except ConnectionError:
                    closed.add(line)
            assert ask(served, key) == 200
        assert len(closed) == len(drops), "some are still open"
        assert time.monotonic() - began < 25


def test_who_began_a_request_is_told_that_it_came_too_late(served: Served) -> None:
    with plug(served) as line:
        line.sendall(GET)
        told, seconds = until_closed(line)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b'{"error":' in told
    assert SECONDS <= seconds + 0.5 < 10


@pytest.mark.parametrize(
    "count", [EACH * 3, 600], ids=["more than an address may have", "more than all may have"]
)
@pytest.mark.parametrize("begin", [b"", GET], ids=["silent", "half a request"])
def test_waiting_connections_shut_nobody_out(served: Served, key: str, begin: bytes, count: int) -> None:
    with ExitStack() as stack:
        for _ in range(count):
            with suppress(ConnectionError):
                stack.enter_context(plug(served)).sendall(begin)
        for _ in range(5):
            assert ask(served, key) == 200


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(GET + b"X-A: " + b"a" * 100_000_000, id="a header"),
        pytest.param(b"GET /" + b"a" * 100_000_000, id="an address"),
        pytest.param(GET + b"a: b\r\n" * 10_000_000, id="headers"),
        pytest.param(GET + CHUNKED + b"5f5e100\r\n" + b"c" * 100_000_000, id="a body"),
        pytest.param(GET + CHUNKED + b"0\r\nX-A: " + b"c" * 100_000_000, id="a trailer"),
        pytest.param((GET + b"\r\n") * 1_000_000, id="requests ahead"),
    ],
)
def test_a_request_without_end_costs_neither_time_nor_memory(
    served: Served, key: str, endless: bytes
) -> None:
    before = served.peak_mb()

    def send() -> None:
        with plug(served) as line:
            line.sendall(endless)
            until_closed(line)

    with attack(send):
        for _ in range(10):
            assert ask(served, key) == 200
    assert served.peak_mb() - before < 40


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (GET + b"X-A: " + b"a" * 90_000 + b"\r\n\r\n", b"431"),
        (b"GET /tickers?symbol=" + b"a" * 90_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"431"),
        (GET + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"POST /cache/clear HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", b"413"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET \xff HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01", b"400"),  # the beginning of TLS
    ],
)
def test_what_is_no_request_is_told_and_closed(served: Served, sent: bytes, status: bytes) -> None:
    with plug(served) as line:
        line.sendall(sent)
        told, _ = until_closed(line)
    assert told.startswith(b"HTTP/1.1 " + status), told[:100]
    assert told.partition(b"\r\n\r\n")[2].startswith(b'{"error":"')


def test_an_address_of_a_thousand_symbols_is_no_large_one(served: Served, key: str) -> None:
    symbols = "&".join(f"symbol=SOME-LONG-TICKER-{k:05}" for k in range(1000))
    answer = httpx.get(f"{served.url}/tickers?{symbols}", headers={"X-API-Key": key}, timeout=20)
    assert (answer.status_code, answer.json()) == (200, {})


def test_requests_sent_ahead_are_all_answered(served: Served, key: str) -> None:
    one = f"GET /tickers/group HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n".encode()
    with plug(served) as line:
        line.sendall(one * 50 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        told, _ = until_closed(line)
    assert told.count(b"HTTP/1.1 200 OK") == 51


def test_who_does_not_read_is_cut_off(served: Served, key: str) -> None:
    """Sixteen long answers are written at a time; as many readers of one byte a second would shut out the others."""
    request = f"GET /tickers?format=csv HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n".encode()
    with ExitStack() as stack:
        lines = [stack.enter_context(plug(served, buffer=4096)) for _ in range(20)]
        for line in lines:
            line.sendall(request)
        began = time.monotonic()
        while time.monotonic() - began < STALL + 3:
            for line in lines:
                with suppress(ConnectionError):
                    line.recv(1)
            assert ask(served, key) == 200
            time.sleep(0.5)
        with httpx.stream(
            "GET", f"{served.url}/tickers?format=csv", headers={"X-API-Key": key}, timeout=20
        ) as answer:
            assert answer.status_code == 200
            assert sum(map(len, answer.iter_bytes())) > 1_000_000


def test_many_requests_without_a_key_slow_down_those_alone(served: Served, key: str) -> None:
    """A refused connection is not read from until its address may ask again."""
    answered = []

    def send() -> None:
        with httpx.Client(base_url=served.url, timeout=20) as client:
            for _ in range(100):
                answered.append(client.get("/health").status_code)

    with attack(send):
        took = []
        for _ in range(30):
            began = time.monotonic()
            assert ask(served, key) == 200
            took.append(time.monotonic() - began)
    assert set(answered) <= {401, 429}
    assert sorted(took)[15] < 0.5
