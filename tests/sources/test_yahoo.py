"""Yahoo through the real client code, against a replay server: the answer, and every way it fails."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hypertape.calendars import expected_times
from hypertape.errors import (
    HypertapeError,
    NoData,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
    UnknownTicker,
)
from hypertape.frame import BAR_SCHEMA, instant
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, utc
from hypertape.quality.gate import gate
from hypertape.settings import Settings
from hypertape.sources import SourceConfig, open_source
from hypertape.sources.yahoo import Yahoo, requests
from yahoo_replay import Fault, Stock, YahooReplay, chart_error

VN, CRYPTO, US = get_market("vn"), get_market("crypto"), get_market("us")
WEEK = Window(utc(2025, 6, 2), utc(2025, 6, 7))
NOW = utc(2025, 6, 20)
OPENING = {"vn": timedelta(hours=2), "crypto": timedelta(0), "us": timedelta(hours=13, minutes=30)}


def stock(market: Market, interval: Interval = Interval.D1, window: Window = WEEK, **more: Any) -> Stock:
    """A symbol with every bar the calendar expects; Yahoo stamps a daily bar with the session's opening."""
    lead = OPENING[market.code] if interval is Interval.D1 else timedelta(0)
    hours = {"vn": (time(9), time(15)), "crypto": (time(0), time(0)), "us": (time(9, 30), time(16))}
    times = [instant(int(at)) + lead for at in expected_times(market, interval, window)]
    bars = [(at, 10.5, 12.0, 9.25, 11.0 + n, 10.0 + n, 1000 + n) for n, at in enumerate(times)]
    return Stock(market.timezone, bars, *hours[market.code], **more)


@pytest.fixture
def naps() -> list[float]:
    """How long the client slept between attempts."""
    return []


@pytest.fixture
def yahoo(replay: YahooReplay, yahoo_cache: Path, naps: list[float]) -> Yahoo:
    return Yahoo(endpoint=replay.url, cache_directory=yahoo_cache, attempts=3, sleep=naps.append, timeout=5)


def failing(status: int, body: str = "") -> Fault:
    return lambda query: (status, body)


@pytest.mark.parametrize(
    ("market", "symbol"), [(VN, "ABC.VN"), (CRYPTO, "ABC-USD"), (US, "ABC")], ids=["vn", "crypto", "us"]
)
@pytest.mark.parametrize("interval", [Interval.D1, Interval.H1, Interval.M1])
def test_bars_arrive_at_their_utc_opening(
    replay: YahooReplay, yahoo: Yahoo, market: Market, symbol: str, interval: Interval
) -> None:
    replay.stocks[symbol] = stock(market, interval)

    fetched = yahoo.fetch(market, ["ABC"], interval, WEEK, now=NOW)

    assert not fetched.failures
    assert fetched.bars.schema == BAR_SCHEMA
    expected = [instant(int(at)) for at in expected_times(market, interval, WEEK)]
    assert fetched.bars["time"].to_pylist() == expected
    first = fetched.bars.slice(0, 1).to_pylist()[0]
    assert [first[name] for name in ("open", "high", "low", "close", "volume")] == [
        10.5,
        12.0,
        9.25,
        11.0,
        1000.0,
    ]
    assert first["adjusted_close"] == (10.0 if interval is Interval.D1 else 11.0)
    assert len(fetched.rejects) == 0
    assert fetched.short == {}


def test_the_last_bar_of_an_open_session_is_kept(replay: YahooReplay, yahoo: Yahoo) -> None:
    replay.stocks["ABC.VN"] = stock(VN)

    fetched = yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=utc(2025, 6, 6, 3))

    assert fetched.bars["time"].to_pylist()[-1] == utc(2025, 6, 6)
    assert fetched.short == {}


@pytest.mark.parametrize(
    ("window", "days"),
    [
        (Window(utc(2025, 6, 3), utc(2025, 6, 5)), [3, 4]),
        (Window(utc(2025, 6, 3, 1), utc(2025, 6, 5, 1)), [4, 5]),
        (Window(utc(2025, 6, 3, 23), utc(2025, 6, 4, 1)), [4]),
    ],
)
@pytest.mark.parametrize(("market", "symbol"), [(VN, "ABC.VN"), (US, "ABC")], ids=["east", "west"])
def test_a_daily_window_is_half_open_in_session_dates(
    replay: YahooReplay, yahoo: Yahoo, market: Market, symbol: str, window: Window, days: list[int]
) -> None:
    replay.stocks[symbol] = stock(market)

    fetched = yahoo.fetch(market, ["ABC"], Interval.D1, window, now=NOW)

    assert [time.day for time in fetched.bars["time"].to_pylist()] == days


@pytest.mark.parametrize("interval", [Interval.D1, Interval.H1])
def test_dividends_and_splits_come_along_on_their_session_dates(
    replay: YahooReplay, yahoo: Yahoo, interval: Interval
) -> None:
    opening = utc(2025, 6, 4, 2)
    replay.stocks["ABC.VN"] = stock(VN, interval, dividends={opening: 0.5}, splits={opening: (2, 1)})

    fetched = yahoo.fetch(VN, ["ABC"], interval, WEEK, now=NOW)

    assert fetched.dividends.to_pylist() == [{"ticker": "ABC", "time": utc(2025, 6, 4), "amount": 0.5}]
    assert fetched.splits.to_pylist() == [{"ticker": "ABC", "time": utc(2025, 6, 4), "ratio": 2.0}]


def test_a_bar_without_any_price_is_rejected_and_one_with_some_is_not(
    replay: YahooReplay, yahoo: Yahoo
) -> None:
    listed = stock(VN)
    listed.bars[1] = (listed.bars[1][0], *[None] * 6)
    listed.bars[3] = (listed.bars[3][0], None, 12.0, 9.0, 11.0, 11.0, 5)
    replay.stocks["ABC.VN"] = listed

    fetched = yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert [time.day for time in fetched.bars["time"].to_pylist()] == [2, 4, 5, 6]
    assert str(fetched.bars["open"].to_pylist()[2]) == "nan"
    [reject] = fetched.rejects.to_pylist()
    assert (reject["ticker"], reject["time"], reject["rule"]) == ("ABC", utc(2025, 6, 3), "empty_bar")
    assert json.loads(reject["row"])["close"] is None
    assert fetched.short == {"ABC": (5, 4)}


def test_a_short_answer_raises_nothing_and_is_reported(replay: YahooReplay, yahoo: Yahoo) -> None:
    listed = stock(VN)
    listed.bars = listed.bars[:2]
    replay.stocks["ABC.VN"] = listed

    fetched = yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert not fetched.failures
    assert fetched.short == {"ABC": (5, 2)}


MALFORMED = '{"chart": {"result": [{"meta": '
WRONG_SHAPE = json.dumps({"chart": {"result": [{"meta": {"exchangeTimezoneName": "UTC"}}], "error": None}})
FAILURES: list[tuple[str, Fault, type[HypertapeError], str, int]] = [
    ("429", failing(429, "Too Many Requests"), RateLimited, "slow down", 2),
    ("500", failing(500, "Internal Server Error"), SourceUnavailable, "status 500", 2),
    (
        "502 in JSON",
        lambda query: chart_error(502, "Bad Gateway", "upstream"),
        SourceUnavailable,
        "status 502",
        2,
    ),
    ("403", failing(403, "Forbidden"), SourceUnavailable, "status 403", 2),
    ("malformed JSON", failing(200, MALFORMED), SourceUnavailable, "no whole JSON text", 2),
    ("maintenance page", failing(200, "Will be right back"), SourceUnavailable, "no whole JSON text", 2),
    ("404", lambda query: chart_error(404, "Not Found", "No data found"), UnknownTicker, "no such ticker", 0),
    ("another shape", failing(200, WRONG_SHAPE), SourceSchemaChanged, "another shape", 0),
]


@pytest.mark.parametrize("known", [False, True], ids=["first request", "zone known"])
@pytest.mark.parametrize(
    ("fault", "error", "says", "retries"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_each_failure_has_its_error_and_only_passing_ones_are_tried_again(
    replay: YahooReplay,
    yahoo: Yahoo,
    naps: list[float],
    fault: Fault,
    error: type[HypertapeError],
    says: str,
    retries: int,
    known: bool,
) -> None:
    replay.stocks["ABC.VN"] = replay.stocks["XYZ.VN"] = stock(VN)
    if known:
        assert not yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW).failures
    replay.faults["ABC.VN"] = fault

    fetched = yahoo.fetch(VN, ["ABC", "XYZ"], Interval.D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is error
    assert says in str(fetched.failures["ABC"])
    assert "(vn ABC 1d [2025-06-02, 2025-06-07))" in str(fetched.failures["ABC"])
    assert len(naps) == retries
    assert set(fetched.bars["ticker"].to_pylist()) == {"XYZ"}


def test_an_empty_answer_in_a_window_with_sessions_is_no_data(replay: YahooReplay, yahoo: Yahoo) -> None:
    replay.stocks["ABC.VN"] = Stock(VN.timezone, [])

    fetched = yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is NoData
    assert len(fetched.bars) == 0


def test_an_empty_answer_for_a_weekend_is_no_failure(replay: YahooReplay, yahoo: Yahoo) -> None:
    replay.stocks["ABC.VN"] = stock(VN)

    fetched = yahoo.fetch(VN, ["ABC"], Interval.D1, Window(utc(2025, 6, 7), utc(2025, 6, 9)), now=NOW)

    assert not fetched.failures
    assert len(fetched.bars) == 0


def test_an_error_under_status_200_is_an_unknown_ticker(replay: YahooReplay, yahoo: Yahoo) -> None:
    replay.faults["ABC.VN"] = lambda query: chart_error(200, "Not Found", "No data found")

    fetched = yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is UnknownTicker


def test_what_has_not_begun_is_not_asked(replay: YahooReplay, yahoo: Yahoo) -> None:
    fetched = yahoo.fetch(VN, ["ABC"], Interval.M1, Window(NOW, NOW + timedelta(days=5)), now=NOW)

    assert (len(fetched.bars), fetched.failures, replay.asked) == (0, {}, [])


@pytest.mark.parametrize(
    ("status", "description"),
    [
        (400, "Data doesn't exist for startDate = 1, endDate = 2"),
        (422, "1m data not available for startDate=1 and endDate=2. Must be within the last 30 days."),
    ],
)
def test_yahoos_own_explanation_is_passed_on(
    replay: YahooReplay, yahoo: Yahoo, status: int, description: str
) -> None:
    replay.stocks["ABC.VN"] = stock(VN)
    replay.faults["ABC.VN"] = lambda query: (
        chart_error(status, "Bad Request", description) if "period1" in query else None
    )

    fetched = yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is NoData
    assert description.rstrip(".") in str(fetched.failures["ABC"])


def test_a_silent_server_times_out(replay: YahooReplay, yahoo_cache: Path) -> None:
    hasty = Yahoo(endpoint=replay.url, cache_directory=yahoo_cache, attempts=1, timeout=0.3)
    replay.stocks["ABC.VN"] = stock(VN)

    def hang(query: dict[str, str]) -> tuple[int, str] | None:
        # yfinance waits 10 s for the time zone whatever it is told: let that one through
        return (200, "") if "period1" in query and not replay.released.wait(20) else None

    replay.faults["ABC.VN"] = hang

    fetched = hasty.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is SourceUnavailable
    assert "timed out" in str(fetched.failures["ABC"]).lower()


def test_a_refused_connection_is_an_outage(yahoo_cache: Path, naps: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        refused = Yahoo(endpoint=url, cache_directory=yahoo_cache, attempts=2, sleep=naps.append)

        fetched = refused.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is SourceUnavailable
    assert len(naps) == 1


@pytest.mark.parametrize(
    "fault", [row[1] for row in FAILURES if row[4]], ids=[row[0] for row in FAILURES if row[4]]
)
def test_a_retry_asks_anew_although_yfinance_remembers_failures(
    replay: YahooReplay, yahoo_cache: Path, fault: Fault
) -> None:
    replay.stocks["ABC.VN"] = stock(VN)
    replay.faults["ABC.VN"] = fault
    healing = Yahoo(
        endpoint=replay.url, cache_directory=yahoo_cache, sleep=lambda seconds: replay.faults.clear()
    )

    fetched = healing.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert not fetched.failures
    assert len(fetched.bars) == 5


def test_a_later_fetch_sees_a_restatement(replay: YahooReplay, yahoo: Yahoo) -> None:
    replay.stocks["ABC.VN"] = stock(VN)
    yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)
    restated = stock(VN)
    restated.bars[0] = (restated.bars[0][0], 10.5, 12.0, 9.25, 11.75, 11.75, 1000)
    replay.stocks["ABC.VN"] = restated

    fetched = yahoo.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert fetched.bars["close"][0].as_py() == 11.75


def test_waits_grow_and_differ(replay: YahooReplay, yahoo_cache: Path, naps: list[float]) -> None:
    replay.faults["*"] = failing(429)
    stubborn = Yahoo(endpoint=replay.url, cache_directory=yahoo_cache, attempts=5, sleep=naps.append)

    stubborn.fetch(VN, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert len(naps) == 4
    assert all(2**n <= nap <= 2**n + 1 for n, nap in enumerate(naps))
    assert any(nap != int(nap) for nap in naps)


def test_a_vendor_that_is_down_is_left_alone(replay: YahooReplay, yahoo: Yahoo) -> None:
    replay.faults["*"] = failing(500)
    tickers = ["A", "B", "C", "D", "E"]
    seen: list[str] = []

    fetched = yahoo.fetch(VN, tickers, Interval.D1, WEEK, now=NOW, on_ticker=seen.append)

    assert set(fetched.failures) == set(tickers)
    assert all(isinstance(error, SourceUnavailable) for error in fetched.failures.values())
    assert "Not asked" in str(fetched.failures["D"])
    assert not [path for path, _ in replay.asked if path.endswith(("/D.VN", "/E.VN"))]
    assert seen == tickers


def test_unknown_tickers_do_not_trip_the_breaker(replay: YahooReplay, yahoo: Yahoo) -> None:
    replay.stocks["ABC.VN"] = stock(VN)

    fetched = yahoo.fetch(VN, ["A", "B", "C", "D", "ABC"], Interval.D1, WEEK, now=NOW)

    assert {type(error) for error in fetched.failures.values()} == {UnknownTicker}
    assert len(fetched.bars) == 5


def test_minutes_are_asked_for_a_week_at_a_time(replay: YahooReplay, yahoo: Yahoo) -> None:
    window = Window(utc(2025, 6, 1), utc(2025, 6, 19))
    replay.stocks["ABC.VN"] = stock(VN, Interval.M1, window)

    fetched = yahoo.fetch(VN, ["ABC"], Interval.M1, window, now=NOW)

    asked = [(int(query["period1"]), int(query["period2"])) for query in replay.charts("ABC.VN")]
    assert all(end - start <= 7 * 86_400 for start, end in asked)
    assert len(asked) == 3
    assert len(fetched.bars) == len(expected_times(VN, Interval.M1, window))
    assert fetched.short == {}


def test_a_week_without_sessions_does_not_cost_the_others(replay: YahooReplay, yahoo: Yahoo) -> None:
    window = Window(utc(2025, 1, 17), utc(2025, 2, 7))  # Tết: 27 to 31 January
    replay.stocks["ABC.VN"] = stock(VN, Interval.M1, window)

    fetched = yahoo.fetch(VN, ["ABC"], Interval.M1, window, now=utc(2025, 2, 10))

    assert not fetched.failures
    assert len(fetched.bars) == len(expected_times(VN, Interval.M1, window))


@pytest.mark.parametrize(
    ("interval", "window", "parts"),
    [
        (Interval.D1, Window(utc(1990), utc(2025)), 1),
        (Interval.H1, Window(utc(2024), utc(2025)), 1),
        (Interval.M1, Window(utc(2025, 6, 1), utc(2025, 6, 8)), 1),
        (Interval.M1, Window(utc(2025, 6, 1), utc(2025, 6, 8, 1)), 2),
        (Interval.M1, Window(utc(2025, 6, 25), utc(2025, 6, 26)), 0),  # has not begun
        (Interval.M1, Window(utc(2025, 6, 19), utc(2026)), 1),
    ],
)
def test_a_window_is_cut_into_what_one_request_may_ask(
    interval: Interval, window: Window, parts: int
) -> None:
    cut = list(requests(interval, window, NOW))

    assert len(cut) == parts
    assert all(earlier.end == later.start for earlier, later in pairwise(cut))
    if cut:
        assert cut[0].start == window.start
        assert cut[-1].end == (window.end if interval is Interval.D1 else min(window.end, NOW))


def test_what_yahoo_no_longer_keeps_is_left_out_and_reported(replay: YahooReplay, yahoo: Yahoo) -> None:
    window = Window(utc(2025, 5, 12), utc(2025, 6, 7))
    replay.stocks["ABC.VN"] = stock(VN, Interval.M1, window)

    fetched = yahoo.fetch(VN, ["ABC"], Interval.M1, window, now=NOW)

    assert fetched.bars["time"][0].as_py() >= utc(2025, 5, 21)
    expected, got = fetched.short["ABC"]
    assert got == len(fetched.bars) < expected


@pytest.mark.parametrize(
    ("interval", "window"),
    [
        (Interval.M1, Window(utc(2025, 5, 1), utc(2025, 5, 10))),
        (Interval.H1, Window(utc(2023, 1, 1), utc(2023, 2, 1))),
    ],
)
def test_a_window_out_of_reach_is_no_data_and_says_why(
    replay: YahooReplay, yahoo: Yahoo, interval: Interval, window: Window
) -> None:
    fetched = yahoo.fetch(VN, ["ABC"], interval, window, now=NOW)

    assert type(fetched.failures["ABC"]) is NoData
    assert f"keeps {interval.value} bars for" in str(fetched.failures["ABC"])
    assert "another source" in str(fetched.failures["ABC"])
    assert replay.asked == []


def test_the_configuration_reaches_the_replay_server(
    replay: YahooReplay, yahoo_cache: Path, tmp_path: Path
) -> None:
    replay.stocks["ABC"] = stock(US)

    source = open_source(SourceConfig("yahoo", endpoint=replay.url), Settings(state_dir=tmp_path))

    assert isinstance(source, Yahoo)
    assert source.cache_directory == tmp_path / "yfinance"
    here = replace(source, cache_directory=yahoo_cache)  # yfinance takes one directory a process
    assert len(here.fetch(US, ["ABC"], Interval.D1, WEEK, now=NOW).bars) == 5


def test_a_session_can_be_passed_in_and_stays_open(replay: YahooReplay, yahoo_cache: Path) -> None:
    from hypertape.sources._yahoo_client import YahooSession

    replay.stocks["ABC"] = stock(US)
    with YahooSession(replay.url) as session:
        yahoo = Yahoo(session=session, cache_directory=yahoo_cache)
        for _ in range(2):
            assert len(yahoo.fetch(US, ["ABC"], Interval.D1, WEEK, now=NOW).bars) == 5


def test_tickers_are_those_of_the_market_file() -> None:
    assert Yahoo().tickers(VN, Interval.D1) == tuple(sorted(VN.by_ticker))


# who answers


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, "<html>not here</html>", SourceUnavailable),
        (400, "<html>bad</html>", SourceUnavailable),
        (404, "{}", SourceUnavailable),
        (200, "<html>log in</html>", SourceUnavailable),
        (200, "", SourceUnavailable),
        (200, "{}", SourceSchemaChanged),
        (200, '{"chart": {"result": null, "error": null}}', SourceSchemaChanged),
    ],
    ids=["404 page", "400 page", "404 object", "portal", "empty", "object", "no result"],
)
def test_what_is_no_answer_of_yahoos_excuses_nothing(
    replay: YahooReplay, yahoo: Yahoo, status: int, body: str, kind: type[HypertapeError]
) -> None:
    replay.faults["ABC"] = failing(status, body)

    fetched = yahoo.fetch(US, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is kind


def test_a_run_of_which_yahoo_knows_no_ticker_is_an_outage(yahoo: Yahoo) -> None:
    fetched = yahoo.fetch(US, ["A", "B", "C"], Interval.D1, WEEK, now=NOW)
    assert {type(error) for error in fetched.failures.values()} == {SourceUnavailable}


# what became of the rows


def test_of_two_rows_of_a_day_both_reach_the_gate_which_keeps_the_last(
    replay: YahooReplay, yahoo: Yahoo
) -> None:
    listed = stock(US)
    again = (listed.bars[1][0], 10.5, 12.0, 9.25, 11.5, 11.5, 1)
    listed.bars = [*listed.bars[:2], again, *listed.bars[2:]]
    replay.stocks["ABC"] = listed

    fetched = yahoo.fetch(US, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert fetched.rows["ABC"].rows_in == 6
    gated = gate(fetched.bars, US, Interval.D1, now=NOW)
    assert gated.duplicates == {"ABC": 1}
    assert gated.bars["close"][1].as_py() == 11.5


def test_the_running_days_last_deal_is_that_days_bar(replay: YahooReplay, yahoo: Yahoo) -> None:
    now = utc(2025, 6, 6, 17)
    listed = stock(US)
    listed.bars[-1] = (now, *listed.bars[-1][1:])
    replay.stocks["ABC"] = listed

    fetched = yahoo.fetch(US, ["ABC"], Interval.D1, WEEK, now=now)

    assert fetched.bars["time"].to_pylist()[-1] == utc(2025, 6, 6)
    assert len(fetched.rejects) == 0


def test_a_crypto_day_that_begins_in_the_afternoon_is_refused(replay: YahooReplay, yahoo: Yahoo) -> None:
    listed = stock(CRYPTO)
    listed.bars[1] = (listed.bars[1][0] + timedelta(hours=16), *listed.bars[1][1:])
    replay.stocks["ABC-USD"] = listed

    fetched = yahoo.fetch(CRYPTO, ["ABC"], Interval.D1, WEEK, now=NOW)

    (reject,) = fetched.rejects.to_pylist()
    assert (reject["rule"], reject["time"]) == ("off_grid", utc(2025, 6, 3, 16))


def test_the_running_hours_last_deal_is_part_of_its_bar(replay: YahooReplay, yahoo: Yahoo) -> None:
    listed = stock(VN, Interval.H1, Window(utc(2025, 6, 2), utc(2025, 6, 2, 4)))
    last = listed.bars[-1]
    deal = (last[0] + timedelta(minutes=20, seconds=7), 11.0, 30.0, 11.0, 29.0, 29.0, 5)
    listed.bars.append(deal)
    replay.stocks["ABC.VN"] = listed

    now = deal[0] + timedelta(minutes=1)
    fetched = yahoo.fetch(VN, ["ABC"], Interval.H1, Window(utc(2025, 6, 2), utc(2025, 6, 3)), now=now)

    assert fetched.bars.slice(len(fetched.bars) - 1).to_pylist()[0]["high"] == 30.0
    assert fetched.bars["close"][-1].as_py() == 29.0
    assert (fetched.rows["ABC"].duplicates, fetched.rows["ABC"].rows_in) == (1, len(listed.bars))


# distributions


def with_events(replay: YahooReplay, currency: str = "USD", **events: list[dict[str, Any]]) -> None:
    """Let ABC answer with events as Yahoo words them."""
    listed = stock(US)

    def answer(query: dict[str, str]) -> tuple[int, str]:
        from yahoo_replay import _chart_of

        chart = _chart_of("ABC", listed, query)
        chart["chart"]["result"][0]["meta"]["currency"] = currency
        chart["chart"]["result"][0]["events"] = {
            name: {str(n): event for n, event in enumerate(found)} for name, found in events.items()
        }
        return 200, json.dumps(chart)

    replay.faults["ABC"] = answer


EX = int((utc(2025, 6, 4) + timedelta(hours=13, minutes=30)).timestamp())


@pytest.mark.parametrize("more", [{}, {"currency": "USD"}], ids=["plain", "with a currency"])
def test_capital_gains_are_kept_as_what_they_are(
    replay: YahooReplay, yahoo: Yahoo, more: dict[str, str]
) -> None:
    with_events(
        replay, capitalGains=[{"amount": 0.75, "date": EX, **more}], dividends=[{"amount": 0.5, "date": EX}]
    )

    fetched = yahoo.fetch(US, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert not fetched.failures
    assert fetched.capital_gains.to_pylist() == [{"ticker": "ABC", "time": utc(2025, 6, 4), "amount": 0.75}]
    assert fetched.dividends["amount"].to_pylist() == [0.5]


@pytest.mark.parametrize(
    ("name", "event", "says"),
    [
        ("dividends", {"amount": 5000.0, "date": EX, "currency": "KRW"}, "5000 KRW where prices are in USD"),
        ("dividends", {"amount": 0.5, "date": EX, "currency": "EUR"}, "0.5 EUR where prices are in USD"),
        ("dividends", {"amount": 5000.0, "date": EX}, "not less than the close of 12"),
        ("dividends", {"amount": "1_0", "date": EX}, "1_0 is no amount"),
        ("dividends", {"amount": -0.5, "date": EX}, "-0.5 is no amount"),
        ("dividends", {"amount": 0.5, "date": "soon"}, "soon is no date"),
        ("capitalGains", {"amount": 12.0, "date": EX, "currency": "USD"}, "not less than the close of 12"),
        ("splits", {"numerator": 2, "denominator": 0, "date": EX}, "2:0 is no ratio"),
    ],
)
def test_an_action_that_cannot_be_meant_is_refused_and_told(
    replay: YahooReplay, yahoo: Yahoo, name: str, event: dict[str, Any], says: str
) -> None:
    with_events(replay, **{name: [event]})

    fetched = yahoo.fetch(US, ["ABC"], Interval.D1, WEEK, now=NOW)

    assert len(fetched.dividends) == len(fetched.capital_gains) == len(fetched.splits) == 0
    (refused,) = fetched.refused_actions.to_pylist()
    assert says in refused["reason"]
    assert len(fetched.bars) == 5
