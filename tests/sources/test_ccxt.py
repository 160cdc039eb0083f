"""ccxt's real client against a replay server in Binance's place: the answer, and every way it fails."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from binance_replay import Bar, BinanceReplay

from hypertape.calendars import expected_times
from hypertape.errors import (
    BadInput,
    HypertapeError,
    NoData,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
)
from hypertape.frame import BAR_SCHEMA, instant
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.quality.gate import gate
from hypertape.settings import Settings
from hypertape.sources import SourceConfig, open_source
from hypertape.sources.ccxt import Ccxt
from replay_server import Answer

CRYPTO = get_market("crypto")
WEEK = Window(utc(2025, 6, 2), utc(2025, 6, 9))
NOW = utc(2025, 6, 20)
D1, H1, M1 = Interval.D1, Interval.H1, Interval.M1


def listed(interval: Interval = D1, window: Window = WEEK) -> list[Bar]:
    times = expected_times(CRYPTO, interval, window) // 1000
    return [(int(at), 100.5, 110.0, 90.25, 105.125 + n, 0.5 + n) for n, at in enumerate(times)]


@pytest.fixture
def replay() -> Iterator[BinanceReplay]:
    server = BinanceReplay()
    server.pairs = [("BTC", "USDT"), ("ETH", "USDT"), ("USDT", "USD"), ("ETH", "BTC")]
    server.bars = {("BTCUSDT", "1d"): listed(), ("ETHUSDT", "1d"): listed(), ("USDTUSD", "1d"): listed()}
    yield server
    server.stop()


@pytest.fixture
def naps() -> list[float]:
    """How long the client slept between attempts."""
    return []


@pytest.fixture
def binance(replay: BinanceReplay, naps: list[float]) -> Ccxt:
    return Ccxt(endpoint=replay.url, attempts=3, sleep=naps.append, timeout=5)


@pytest.mark.parametrize("interval", [D1, H1, M1])
def test_bars_arrive_at_their_utc_opening(replay: BinanceReplay, binance: Ccxt, interval: Interval) -> None:
    replay.bars["BTCUSDT", interval.value] = listed(interval)

    fetched = binance.fetch(CRYPTO, ["BTC"], interval, WEEK, now=NOW)

    assert not fetched.failures
    assert fetched.bars.schema == BAR_SCHEMA
    times = [instant(int(at)) for at in expected_times(CRYPTO, interval, WEEK)]
    assert fetched.bars["time"].to_pylist() == times
    first = fetched.bars.slice(0, 1).to_pylist()[0]
    assert [first[name] for name in ("open", "high", "low", "close", "volume", "adjusted_close")] == [
        100.5, 110.0, 90.25, 105.125, 0.5, None,
    ]  # fmt: skip
    assert fetched.short == {}


def test_pages_are_asked_for_oldest_first_until_the_end(replay: BinanceReplay, binance: Ccxt) -> None:
    window = Window(utc(2025, 6, 2), utc(2025, 6, 3, 19))
    replay.bars["BTCUSDT", "1m"] = listed(M1, Window(utc(2025, 6, 1), utc(2025, 6, 5)))

    fetched = binance.fetch(CRYPTO, ["BTC"], M1, window, now=NOW)

    assert len(fetched.bars) == 43 * 60
    starts = [int(query["startTime"]) for query in replay.candles()]
    assert starts == [1_748_822_400_000 + n * 60_000_000 for n in range(3)]


def test_what_has_not_begun_is_not_asked_for(replay: BinanceReplay, binance: Ccxt) -> None:
    fetched = binance.fetch(CRYPTO, ["BTC"], D1, Window(utc(2025, 6, 2), utc(2026)), now=utc(2025, 6, 8, 12))

    assert len(fetched.bars) == 7
    assert len(replay.candles()) == 1
    assert fetched.short == {}


def test_a_coin_is_found_by_the_exchanges_own_list(replay: BinanceReplay, binance: Ccxt) -> None:
    fetched = binance.fetch(CRYPTO, ["USDT", "DOGE", "ETH"], D1, WEEK, now=NOW)

    assert [query["symbol"] for query in replay.candles()] == ["USDTUSD", "ETHUSDT"]
    assert type(fetched.failures["DOGE"]) is NoData
    assert "trades no DOGE for USDT, USD, USDC" in str(fetched.failures["DOGE"])
    assert set(fetched.bars["ticker"].to_pylist()) == {"USDT", "ETH"}


def test_shuffled_and_duplicated_candles_reach_the_gate(replay: BinanceReplay, binance: Ccxt) -> None:
    replay.shape = lambda rows: [*rows[::-1], rows[0]]

    fetched = binance.fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)

    assert sorted(row.day for row in fetched.bars["time"].to_pylist()) == [2, 2, 3, 4, 5, 6, 7, 8]


def test_a_candle_without_prices_is_a_reject_and_one_without_volume_is_the_gates(
    replay: BinanceReplay, binance: Ccxt
) -> None:
    def spoil(rows: list[list[Any]]) -> list[list[Any]]:
        rows[1][1:6] = [None] * 5
        rows[2][5] = "n/a"
        return rows

    replay.shape = spoil

    fetched = binance.fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)

    assert [row.day for row in fetched.bars["time"].to_pylist()] == [2, 4, 5, 6, 7, 8]
    assert str(fetched.bars["volume"][1].as_py()) == "nan"
    (row,) = fetched.rejects.to_pylist()
    assert (row["rule"], row["time"]) == ("empty_bar", utc(2025, 6, 3))
    assert json.loads(row["row"])["ticker"] == "BTC"


def test_a_short_answer_is_reported(replay: BinanceReplay, binance: Ccxt) -> None:
    replay.bars["BTCUSDT", "1d"] = listed()[:3]

    fetched = binance.fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)

    assert fetched.short == {"BTC": (7, 3)}


FAILURES = [
    ("slow down", Answer(429, '{"code":-1003,"msg":"Too many"}', {"Retry-After": "7"}), RateLimited, True),
    ("banned", Answer(418, '{"code":-1003,"msg":"Way too many"}'), RateLimited, True),
    ("server error", Answer(500, "oops"), SourceUnavailable, True),
    ("maintenance", Answer(503, "<html>"), SourceUnavailable, True),
    ("cut short", Answer(200, '[[1748822400000,"100.5"'), SourceUnavailable, True),
    ("hangs up", Answer(200, None), SourceUnavailable, True),
    ("another place", Answer(451, '{"code":0,"msg":"restricted location"}'), SourceUnavailable, True),
    ("another shape", Answer(200, '{"candles":{}}'), SourceSchemaChanged, False),
    ("short rows", Answer(200, "[[1748822400000]]"), SourceSchemaChanged, False),
    ("no symbol", Answer(400, '{"code":-1121,"msg":"Invalid symbol."}'), NoData, False),
    ("empty", Answer(200, "[]"), NoData, False),
]


@pytest.mark.parametrize(
    ("answer", "kind", "again"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_failures_are_told_apart_and_tried_again_while_they_may_pass(
    replay: BinanceReplay,
    binance: Ccxt,
    naps: list[float],
    answer: Answer,
    kind: type[HypertapeError],
    again: bool,
) -> None:
    replay.fault = lambda query: answer if query["symbol"] == "BTCUSDT" else None

    fetched = binance.fetch(CRYPTO, ["BTC", "ETH"], D1, WEEK, now=NOW)

    assert {ticker: type(error) for ticker, error in fetched.failures.items()} == {"BTC": kind}
    assert (fetched.failures["BTC"].market, fetched.failures["BTC"].ticker) == ("crypto", "BTC")
    assert len(replay.candles()) == (3 if again else 1) + 1
    assert len(naps) == (2 if again else 0)
    if answer.headers:
        assert naps[0] >= 7


def test_a_list_of_pairs_that_does_not_come_fails_every_ticker(
    replay: BinanceReplay, naps: list[float]
) -> None:
    replay.list_fault = lambda query: Answer(502)
    binance = Ccxt(endpoint=replay.url, attempts=2, sleep=naps.append, patience=2)

    fetched = binance.fetch(CRYPTO, ["BTC", "ETH", "USDT"], D1, WEEK, now=NOW)

    assert {type(error) for error in fetched.failures.values()} == {SourceUnavailable}
    assert "Not asked" in str(fetched.failures["USDT"])
    assert len(replay.asked) == 4


def test_a_slow_answer_times_out(replay: BinanceReplay, naps: list[float]) -> None:
    def hang(query: dict[str, str]) -> Answer | None:
        replay.released.wait(20)
        return None

    replay.fault = hang
    hasty = Ccxt(endpoint=replay.url, attempts=1, sleep=naps.append, timeout=0.3)

    fetched = hasty.fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)

    assert type(fetched.failures["BTC"]) is SourceUnavailable
    assert "timed out" in str(fetched.failures["BTC"])


def test_a_refused_connection_is_an_outage(naps: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        fetched = Ccxt(endpoint=url, attempts=2, sleep=naps.append).fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)

    assert type(fetched.failures["BTC"]) is SourceUnavailable
    assert len(naps) == 1


def test_an_exchange_nobody_knows_is_refused_with_those_alike() -> None:
    with pytest.raises(BadInput, match=r"no exchange 'binanse'.*binance"):
        Ccxt("binanse").fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)


def test_an_interval_the_exchange_lacks_is_refused() -> None:
    with pytest.raises(BadInput, match=r"bitbns has no 1d bars|has no 1m bars"):
        Ccxt("independentreserve").fetch(CRYPTO, ["BTC"], M1, WEEK, now=NOW)


def test_requests_take_their_turn_by_exchange(replay: BinanceReplay) -> None:
    told: list[Any] = []

    class Turns:
        def wait(self, source: str) -> None:
            told.append(source)

        def record(self, source: str, ok: bool, **others: Any) -> None:
            told.append(ok)

    source = open_source(
        SourceConfig("ccxt", endpoint=replay.url, exchange="binance"), Settings(), throttle=Turns()
    )

    assert len(source.fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW).bars) == 7
    gate = f"ccxt:binance@{replay.url.removeprefix('http://')}"
    assert told == [gate, True, gate, True], "the list of pairs, then the candles"


def test_tickers_are_those_of_the_market_file() -> None:
    assert Ccxt().tickers(CRYPTO, D1) == tuple(sorted(CRYPTO.by_ticker))


# odd candles

HOUR = 3_600_000


def hours(start: int, count: int) -> list[tuple[float, ...]]:
    return [(start + n * HOUR, 10.0, 11.0, 9.0, 10.5, 1.0) for n in range(count)]


def test_a_page_that_ends_off_the_grid_skips_nothing(
    replay: BinanceReplay, binance: Ccxt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypertape.sources.ccxt.PAGE", 10)
    start = int(WEEK.start.timestamp()) * 1000
    exact = hours(start, 120)
    stray = (start + 8 * HOUR + HOUR // 2, 10.0, 11.0, 9.0, 10.5, 1.0)  # the tenth of the first page
    replay.bars["BTCUSDT", "1h"] = sorted([*exact, stray])  # type: ignore[list-item]
    window = Window(WEEK.start, WEEK.start + timedelta(hours=120))

    fetched = binance.fetch(CRYPTO, ["BTC"], Interval.H1, window, now=NOW)

    gated = gate(fetched.bars, CRYPTO, Interval.H1, now=NOW)
    assert len(gated.bars) == 120
    assert gated.rejects["rule"].to_pylist() == ["off_grid"]
    assert fetched.rows["BTC"].rows_in == 121


def test_a_day_that_does_not_begin_at_midnight_is_refused_with_its_own_instant(
    replay: BinanceReplay, binance: Ccxt
) -> None:
    first, second, *others = replay.bars["BTCUSDT", "1d"]
    replay.bars["BTCUSDT", "1d"] = [first, (second[0] + 16 * HOUR, *second[1:]), *others]  # type: ignore[list-item]

    fetched = binance.fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)

    (reject,) = fetched.rejects.to_pylist()
    assert (reject["rule"], reject["time"].hour) == ("off_grid", 16)
    assert reject["time"] not in fetched.bars["time"].to_pylist()
    assert fetched.rows["BTC"].refused == {"off_grid": 1}


@pytest.mark.parametrize("cell", ["1_000", "١٠٠"], ids=["underscores", "digits of another script"])
def test_only_usual_digits_are_a_price(replay: BinanceReplay, binance: Ccxt, cell: str) -> None:
    def odd(rows: list[list[Any]]) -> list[list[Any]]:
        return [[*row[:4], cell, *row[5:]] if at == 1 else row for at, row in enumerate(rows)]

    replay.shape = odd

    fetched = binance.fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)

    assert [(row["rule"], row["value"]) for row in fetched.rejects.to_pylist()] == [("text_in_number", cell)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(404, "<html>not here</html>"), SourceUnavailable),
        (Answer(200, "<html>log in</html>"), SourceUnavailable),
        (Answer(200, ""), SourceUnavailable),
        (Answer(302, ""), SourceUnavailable),
        (Answer(200, "{}"), SourceSchemaChanged),
        (Answer(200, "null"), SourceSchemaChanged),
        (Answer(200, '{"data": []}'), SourceSchemaChanged),
    ],
    ids=["404 page", "portal", "empty", "redirect", "an object", "null", "another envelope"],
)
def test_what_is_no_answer_of_the_exchange_excuses_nothing(
    replay: BinanceReplay, binance: Ccxt, answer: Answer, kind: type[HypertapeError]
) -> None:
    replay.fault = lambda query: answer if query["symbol"] == "BTCUSDT" else None

    fetched = binance.fetch(CRYPTO, ["BTC", "ETH"], D1, WEEK, now=NOW)

    assert type(fetched.failures["BTC"]) is kind
    assert "ETH" not in fetched.failures


def test_an_empty_list_of_pairs_is_no_list(replay: BinanceReplay, binance: Ccxt) -> None:
    replay.list_fault = lambda query: Answer(200, '{"symbols": []}')

    fetched = binance.fetch(CRYPTO, ["BTC"], D1, WEEK, now=NOW)

    assert type(fetched.failures["BTC"]) is SourceSchemaChanged


def test_an_exchange_that_trades_none_of_them_is_an_outage(replay: BinanceReplay, binance: Ccxt) -> None:
    fetched = binance.fetch(CRYPTO, ["AAA1", "BBB1", "CCC1"], D1, WEEK, now=NOW)

    assert {type(error) for error in fetched.failures.values()} == {SourceUnavailable}
