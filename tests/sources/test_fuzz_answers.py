"""Whatever a vendor's server says, a source raises only our errors, costs nobody else, and accounts for every row.

The bodies are made by hypothesis: bytes, JSON of any shape, and answers of the vendor's own shape with odd cells. The
real clients read them from a real server. Thirty of each; five hundred with --thorough.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from binance_replay import BinanceReplay
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hypertape.errors import HypertapeError
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, utc
from hypertape.quality.gate import gate
from hypertape.rows import require_all
from hypertape.sources import TABLES, Fetched, Source
from hypertape.sources.ccxt import Ccxt
from hypertape.sources.vci import Vci
from hypertape.sources.yahoo import Yahoo
from replay_server import Answer, ReplayServer
from thorough import examples

WEEK = Window(utc(2025, 6, 2), utc(2025, 6, 7))
NOW = utc(2025, 6, 20)
D1, H1 = Interval.D1, Interval.H1
SETTINGS = settings(
    max_examples=examples(30, 500),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

DEEP = b"[" * 200_000 + b"]" * 200_000
CELLS = st.one_of(
    st.floats(), st.integers(), st.none(), st.booleans(), st.text(max_size=5), st.floats(min_value=1, max_value=1e6),
    st.sampled_from(
        ["1_000", "١٢٣", "1\0", "\ud800", "1e400", "nan", "inf", 10**400, -(10**400), [], {}, [[1]], "9" * 401, "0x1"]
    ),
)  # fmt: skip
TIMES = st.one_of(
    st.integers(1_748_822_400, 1_749_254_400), st.integers(1_748_822_400, 1_749_254_400).map(str), CELLS
)
JSON = st.recursive(
    CELLS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
BODIES = st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode()))
STATUSES = st.sampled_from([200, 200, 200, 400, 404, 422])


class Says(ReplayServer):
    """Answers with what it was last told to; `innocent` is asked first."""

    def __init__(self) -> None:
        self.status, self.said = 200, b"[]"
        super().__init__()

    def innocent(self, path: str, query: dict[str, str], body: str) -> Answer | None:
        return None

    def answer(self, path: str, query: dict[str, str], body: str) -> Answer:
        return self.innocent(path, query, body) or Answer(self.status, self.said)


@contextmanager
def serving(kind: type[Says]) -> Iterator[Says]:
    server = kind()
    try:
        yield server
    finally:
        server.stop()


def series(market: str) -> dict[str, list[Any]]:
    stamps = [int(utc(2025, 6, day, 13, 30).timestamp() if market == "us" else utc(2025, 6, day).timestamp())
              for day in (2, 3, 4, 5, 6)]  # fmt: skip
    return {"t": stamps, **{letter: [10.0] * 5 for letter in "ohlcv"}}


class SaysVci(Says):
    """VCI that is odd about ODD and as usual about ABC, also where both are asked for together."""

    def innocent(self, path: str, query: dict[str, str], body: str) -> Answer | None:
        symbols = json.loads(body)["symbols"]
        if symbols == ["ABC"]:
            return Answer(200, json.dumps([{"symbol": "ABC", **series("vn")}]))
        if "ABC" in symbols and self.said[:1] == b"[" and self.said.endswith(b"]") and len(self.said) > 2:
            good = json.dumps({"symbol": "ABC", **series("vn")}).encode()
            return Answer(self.status, b"[" + good + b"," + self.said[1:])
        return None


class SaysYahoo(Says):
    """Yahoo that is odd about ODD and as usual about ABC."""

    def innocent(self, path: str, query: dict[str, str], body: str) -> Answer | None:
        if path == "/":
            return Answer(404, "", {"Set-Cookie": "A3=replayed; Path=/"})
        if path == "/v1/test/getcrumb":
            return Answer(200, "crumb")
        if path.endswith("/ABC"):
            return Answer(200, json.dumps(chart(series("us"))))
        return None


def chart(columns: dict[str, list[Any]], **more: Any) -> dict[str, Any]:
    names = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
    quote = {name: columns[letter] for letter, name in names.items()}
    meta = {"currency": "USD", "exchangeTimezoneName": "America/New_York"}
    result = {"meta": meta, "timestamp": columns["t"], "indicators": {"quote": [quote]}, **more}
    return {"chart": {"result": [result], "error": None}}


def check(fetched: Fetched, market: Market, interval: Interval) -> None:
    """What holds of every answer."""
    assert all(isinstance(error, HypertapeError) for error in fetched.failures.values())
    for error in fetched.failures.values():
        str(error).encode()
        assert "\0" not in str(error)
    for name in TABLES:
        table: pa.Table = getattr(fetched, name)
        table.validate(full=True)
        for column in table.column_names:
            if pa.types.is_string(table.schema.field(column).type):
                assert not [
                    cell for cell in table[column].to_pylist() if cell is not None and "\0" in cell
                ], column
    require_all(fetched.rows, "the answer")
    gated = gate(fetched.bars, market, interval, now=NOW)
    for ticker, count in fetched.rows.items():
        of_ticker = [row for row in gated.bars["ticker"].to_pylist() if row == ticker]
        refused = [row for row in gated.rejects["ticker"].to_pylist() if row == ticker]
        assert count.bars == len(of_ticker) + len(refused) + gated.duplicates.get(ticker, 0)


def ask(source: Source, code: str, tickers: list[str], interval: Interval, good: str | None) -> Fetched:
    market = get_market(code)
    fetched = source.fetch(market, tickers, interval, WEEK, now=NOW)
    check(fetched, market, interval)
    if good is not None:
        assert good not in fetched.failures, "an odd answer about another one cost it"
        assert fetched.rows[good].bars == 5
    return fetched


@pytest.fixture(scope="module")
def says_vci() -> Iterator[Says]:
    with serving(SaysVci) as server:
        yield server


@pytest.fixture(scope="module")
def says_yahoo() -> Iterator[Says]:
    with serving(SaysYahoo) as server:
        yield server


def columns(times: st.SearchStrategy[Any] = TIMES) -> st.SearchStrategy[dict[str, list[Any]]]:
    rows = st.lists(st.tuples(times, *[CELLS] * 5), max_size=6)
    return rows.map(lambda found: {letter: [row[at] for row in found] for at, letter in enumerate("tohlcv")})


@SETTINGS
@given(BODIES, STATUSES)
@example(DEEP, 200)
def test_vci_says_anything(says_vci: Says, body: bytes, status: int) -> None:
    says_vci.said, says_vci.status = body, status
    ask(Vci(endpoint=says_vci.url, attempts=1), "vn", ["ODD"], D1, None)


@SETTINGS
@given(columns(), st.sampled_from([D1, H1]), st.sampled_from(["ODD", "odd", "O\0D", "\ud800", 5, None]))
def test_vci_says_odd_things_about_one_symbol(
    says_vci: Says, cells: dict[str, list[Any]], interval: Interval, symbol: Any
) -> None:
    says_vci.status = 200
    says_vci.said = json.dumps([{"symbol": symbol, **cells}]).encode()
    ask(Vci(endpoint=says_vci.url, attempts=1), "vn", ["ABC", "ODD"], D1, "ABC")
    ask(Vci(endpoint=says_vci.url, attempts=1), "vn", ["ODD"], interval, None)


@pytest.mark.parametrize(
    "odd",
    [
        b'[{"symbol":"ODD","t":[1748822400],"o":' + DEEP + b"}]",
        b'[{"symbol":"ODD","t":[1748822400],"o":[' + b"9" * 5000 + b'],"h":[1],"l":[1],"c":[1],"v":[1]}]',
        b'[{"symbol":"ODD\xff","t":[1748822400],"o":[1],"h":[1],"l":[1],"c":["1\x00"],"v":[1]}]',
        b'[{"symbol":"ODD","t":[1748822400],"o":["\xff"],"h":["\\ud800"],"l":["\\u0000"],"c":[1],"v":[1]}]',
    ],
    ids=["nested deep", "thousands of digits", "no UTF-8 in the symbol", "odd bytes in prices"],
)
def test_an_odd_symbol_ends_only_itself(says_vci: Says, odd: bytes) -> None:
    says_vci.said, says_vci.status = odd, 200
    fetched = ask(Vci(endpoint=says_vci.url, attempts=1), "vn", ["ODD", "ABC"], D1, "ABC")
    assert fetched.failures.keys() <= {"ODD"}


@SETTINGS
@given(BODIES, STATUSES)
@example(DEEP, 200)
def test_yahoo_says_anything(says_yahoo: Says, yahoo_cache: Path, body: bytes, status: int) -> None:
    says_yahoo.said, says_yahoo.status = body, status
    source = Yahoo(endpoint=says_yahoo.url, cache_directory=yahoo_cache, attempts=1)
    ask(source, "us", ["ODD", "ABC"], D1, "ABC")


_FIELDS = dict.fromkeys(("amount", "date", "currency", "numerator", "denominator"), CELLS)
EVENTS = st.dictionaries(st.text(max_size=3), st.fixed_dictionaries({}, optional=_FIELDS) | JSON, max_size=3)


@SETTINGS
@given(
    columns(),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("dividends", "splits", "capitalGains"), EVENTS | JSON)) | JSON,
    st.fixed_dictionaries(
        {}, optional={"currency": CELLS, "exchangeTimezoneName": CELLS, "tradingPeriods": JSON, "instrumentType": JSON}
    ) | JSON,
    st.sampled_from([D1, H1]),
)  # fmt: skip
def test_yahoo_says_odd_things_in_its_shape(
    says_yahoo: Says,
    yahoo_cache: Path,
    cells: dict[str, list[Any]],
    events: Any,
    meta: Any,
    interval: Interval,
) -> None:
    says_yahoo.said = json.dumps(chart(cells, events=events, meta=meta)).encode()
    says_yahoo.status = 200
    source = Yahoo(endpoint=says_yahoo.url, cache_directory=yahoo_cache, attempts=1)
    ask(source, "us", ["ODD"], interval, None)


class SaysBinance(BinanceReplay):
    """Binance that is odd about ODD (its candles or its line of the list) and as usual about ABC."""

    def __init__(self) -> None:
        self.said, self.pair = b"[]", b"{}"
        super().__init__()
        self.pairs = [("ABC", "USDT"), ("ODD", "USDT")]
        self.bars["ABCUSDT", "1d"] = [
            (int(utc(2025, 6, day).timestamp()) * 1000, 10.0, 11.0, 9.0, 10.5, 1.0) for day in (2, 3, 4, 5, 6)
        ]
        self.fault = lambda query: Answer(200, self.said) if query["symbol"] == "ODDUSDT" else None
        self.list_fault = self._list

    def _list(self, query: dict[str, str]) -> Answer:
        listed = json.dumps(self._pairs()).encode()
        return Answer(200, listed.replace(b'"symbols": [', b'"symbols": [' + self.pair + b",", 1))


@pytest.fixture(scope="module")
def says_binance() -> Iterator[SaysBinance]:
    server = SaysBinance()
    yield server
    server.stop()


CANDLES = st.lists(st.lists(CELLS, max_size=8) | st.tuples(TIMES, *[CELLS] * 5).map(list) | JSON, max_size=4)


@SETTINGS
@given(
    BODIES | CANDLES.map(lambda rows: json.dumps(rows).encode()),
    JSON.map(lambda value: json.dumps(value).encode()),
)
@example(DEEP, b"{}")
def test_binance_says_anything_about_one_coin(says_binance: SaysBinance, body: bytes, pair: bytes) -> None:
    says_binance.said, says_binance.pair = body, pair
    ask(Ccxt(endpoint=says_binance.url, attempts=1), "crypto", ["ODD", "ABC"], D1, "ABC")
