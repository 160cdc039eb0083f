"""VCI through the real client code, against a replay server: the answer, and every way it fails."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hypertape.calendars import expected_times
from hypertape.errors import (
    BadInput,
    CircuitOpen,
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
from hypertape.rows import RowCount
from hypertape.settings import Settings
from hypertape.sources import SourceConfig, open_source
from hypertape.sources._vci_pages import bars_between, last_second
from hypertape.sources.vci import FRAMES, Vci
from replay_server import Answer
from vci_replay import Bar, Request, VciReplay

VN = get_market("vn")
WEEK = Window(utc(2025, 6, 2), utc(2025, 6, 7))
NOW = utc(2025, 6, 20)
D1, H1, M1 = Interval.D1, Interval.H1, Interval.M1
FIVE_DAYS = [2, 3, 4, 5, 6]


def listed(interval: Interval = D1, window: Window = WEEK, lead: timedelta = timedelta(0)) -> list[Bar]:
    """Every bar the calendar expects; `lead` is where in the day VCI stamps a daily one."""
    times = [instant(int(at)) + lead for at in expected_times(VN, interval, window)]
    return [
        (int(at.timestamp()), 23_500.0, 24_000.0, 23_000.0, 23_800.0 + n, 1000 + n)
        for n, at in enumerate(times)
    ]


@pytest.fixture
def replay() -> Iterator[VciReplay]:
    server = VciReplay()
    server.bars = {("ABC", "ONE_DAY"): listed(), ("XYZ", "ONE_DAY"): listed()}
    yield server
    server.stop()


@pytest.fixture
def naps() -> list[float]:
    """How long the client slept between attempts."""
    return []


@pytest.fixture
def vci(replay: VciReplay, naps: list[float]) -> Vci:
    return Vci(endpoint=replay.url, attempts=3, sleep=naps.append, timeout=5)


def days(fetched: Any, ticker: str = "ABC") -> list[int]:
    rows = fetched.bars.to_pylist()
    return [row["time"].day for row in rows if row["ticker"] == ticker]


# the answer


@pytest.mark.parametrize("interval", [D1, H1, M1])
def test_bars_arrive_at_their_utc_opening(replay: VciReplay, vci: Vci, interval: Interval) -> None:
    replay.bars["ABC", FRAMES[interval]] = listed(interval)

    fetched = vci.fetch(VN, ["ABC"], interval, WEEK, now=NOW)

    assert not fetched.failures
    assert fetched.bars.schema == BAR_SCHEMA
    assert fetched.bars["time"].to_pylist() == [instant(int(at)) for at in expected_times(VN, interval, WEEK)]
    first = fetched.bars.slice(0, 1).to_pylist()[0]
    assert [first[name] for name in ("open", "high", "low", "close", "volume", "adjusted_close")] == [
        23_500.0, 24_000.0, 23_000.0, 23_800.0, 1000.0, None,
    ]  # fmt: skip
    assert fetched.short == {}
    assert len(replay.asked) == 1


@pytest.mark.parametrize(
    ("lead", "why"),
    [
        (timedelta(hours=-7), "local midnight"),
        (timedelta(0), "midnight UTC"),
        (timedelta(hours=2), "the opening"),
        (timedelta(hours=8), "the close"),
    ],
)
def test_a_daily_bar_sits_at_midnight_utc_of_its_local_date(
    replay: VciReplay, vci: Vci, lead: timedelta, why: str
) -> None:
    replay.bars["ABC", "ONE_DAY"] = listed(lead=lead)

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert fetched.bars["time"].to_pylist() == [utc(2025, 6, day) for day in FIVE_DAYS], why
    assert fetched.short == {}


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(utc(2025, 6, 3), utc(2025, 6, 5)), [3, 4]),
        (Window(utc(2025, 6, 3, 1), utc(2025, 6, 5, 1)), [4, 5]),
        (Window(utc(2025, 6, 3, 23), utc(2025, 6, 4, 1)), [4]),
    ],
)
def test_a_daily_window_is_half_open_in_session_dates(vci: Vci, window: Window, expected: list[int]) -> None:
    assert days(vci.fetch(VN, ["ABC"], D1, window, now=NOW)) == expected


def test_answers_are_matched_by_symbol_and_shuffled_rows_are_taken(replay: VciReplay, vci: Vci) -> None:
    replay.bars["XYZ", "ONE_DAY"] = [(*bar[:4], bar[4] * 2, bar[5]) for bar in listed()][::-1]
    replay.fault = lambda request: Answer(
        200, json.dumps([replay._entry(symbol, request) for symbol in reversed(request["symbols"])])
    )

    fetched = vci.fetch(VN, ["ABC", "XYZ"], D1, WEEK, now=NOW)

    rows = {(row["ticker"], row["time"].day): row["close"] for row in fetched.bars.to_pylist()}
    assert (rows["ABC", 2], rows["XYZ", 2]) == (23_800.0, 47_600.0)
    assert len(rows) == 10
    assert not fetched.failures
    assert fetched.short == {}


def test_duplicates_are_left_to_the_gate_in_the_vendors_order(replay: VciReplay, vci: Vci) -> None:
    first, *others = listed()
    corrected = (*first[:4], 23_999.0, first[5])
    replay.bars["ABC", "ONE_DAY"] = [first, corrected, *others]

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert fetched.bars["close"].to_pylist()[:2] == [23_800.0, 23_999.0]


def test_the_loser_of_two_objects_for_one_symbol_is_refused_and_kept(replay: VciReplay, vci: Vci) -> None:
    """Which one is the ticker's own cannot be told; equal bars are no contradiction."""
    replay.bars["OTHER", "ONE_DAY"] = [
        listed()[0],
        *((*bar[:4], bar[4] + 1.0, bar[5]) for bar in listed()[1:]),
    ]

    def twice(request: Any) -> Answer:
        first, second = replay._entry("ABC", request), replay._entry("OTHER", request)
        return Answer(200, json.dumps([{**second, "symbol": "ABC"}, first]))

    replay.fault = twice
    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    closes = {row["time"].day: row["close"] for row in fetched.bars.to_pylist()}
    assert closes[3] == listed()[1][4], "the last one counts"
    assert fetched.rejects["rule"].to_pylist() == ["contradicted"] * 4
    assert json.loads(fetched.rejects["row"].to_pylist()[0])["close"] == listed()[1][4] + 1.0
    assert [row["time"].day for row in fetched.bars.to_pylist()].count(2) == 2, (
        "the gate counts it as a duplicate"
    )


def test_an_index_goes_by_the_name_vci_gives_it(replay: VciReplay, vci: Vci) -> None:
    replay.bars["HNXIndex", "ONE_DAY"] = [(t, *(p / 100 for p in prices), v) for t, *prices, v in listed()]

    fetched = vci.fetch(VN, ["HNXINDEX"], D1, WEEK, now=NOW)

    assert fetched.bars["ticker"].to_pylist() == ["HNXINDEX"] * 5
    assert fetched.bars["close"][0].as_py() == 238.0, "points are not scaled"


# requests


def test_many_tickers_share_a_request(replay: VciReplay) -> None:
    names = [f"T{n:02}" for n in range(7)]
    replay.bars = {(name, "ONE_DAY"): listed() for name in names}
    ticks: list[str] = []

    fetched = Vci(endpoint=replay.url, symbols_per_request=3).fetch(
        VN, names, D1, WEEK, now=NOW, on_ticker=ticks.append
    )

    assert [request["symbols"] for request in replay.requests] == [names[:3], names[3:6], names[6:]]
    assert ticks == names
    assert len(fetched.bars) == 35


@pytest.mark.parametrize(
    ("interval", "window", "least", "most"),
    [
        (D1, WEEK, 5, 8),
        (D1, Window(utc(2015, 1, 5), utc(2025, 1, 1)), 2490, 2510),
        (H1, WEEK, 30, 50),
        (M1, Window(utc(2025, 6, 2), utc(2025, 6, 3)), 241, 300),
        (M1, Window(utc(2025, 1, 1), utc(2025, 6, 1)), 5000, 5000),
        (D1, Window(utc(2025, 6, 7), utc(2025, 6, 9)), 2, 2),
    ],
    ids=["a week", "ten years", "hours", "minutes", "no more than a page", "a weekend"],
)
def test_count_back_comes_from_the_calendar(
    interval: Interval, window: Window, least: int, most: int
) -> None:
    assert least <= bars_between(VN, interval, window.start, last_second(VN, interval, window), 5000) <= most


@pytest.mark.parametrize("interval", [D1, H1])
@pytest.mark.parametrize("most", [7, 10_000], ids=["the server caps", "we ask for pages"])
def test_older_pages_are_asked_for_until_the_start_is_reached(
    replay: VciReplay, interval: Interval, most: int
) -> None:
    window = Window(utc(2025, 4, 1), utc(2025, 6, 7))
    long_ago = Window(utc(2025, 3, 1), utc(2025, 6, 20))
    replay.bars = {(name, FRAMES[interval]): listed(interval, long_ago) for name in ("ABC", "XYZ")}
    replay.most = most

    fetched = Vci(endpoint=replay.url, page=16).fetch(VN, ["ABC", "XYZ"], interval, window, now=NOW)

    expected = [instant(int(at)) for at in expected_times(VN, interval, window)]
    assert fetched.bars["time"].to_pylist() == expected * 2, "each bar once, oldest first"
    assert fetched.short == {}
    assert len(replay.asked) > 2
    assert all(request["countBack"] <= 16 for request in replay.requests)
    assert [r["to"] for r in replay.requests] == sorted((r["to"] for r in replay.requests), reverse=True)


def test_a_young_ticker_ends_the_paging_for_itself_only(replay: VciReplay, vci: Vci) -> None:
    window = Window(utc(2025, 4, 1), utc(2025, 6, 7))
    replay.bars = {("OLD", "ONE_DAY"): listed(D1, window), ("NEW", "ONE_DAY"): listed()}
    replay.most = 20

    fetched = vci.fetch(VN, ["OLD", "NEW"], D1, window, now=NOW)

    assert days(fetched, "NEW") == FIVE_DAYS
    assert len(fetched.bars) == 5 + len(expected_times(VN, D1, window))
    assert set(fetched.short) == {"NEW"}
    assert replay.requests[-1]["symbols"] == ["OLD"]


def test_a_window_without_a_session_is_no_failure(vci: Vci) -> None:
    weekend = Window(utc(2025, 6, 7), utc(2025, 6, 9))

    fetched = vci.fetch(VN, ["ABC", "NONE"], D1, weekend, now=NOW)

    assert (len(fetched.bars), dict(fetched.failures), dict(fetched.short)) == (0, {}, {})


# what is wrong with one ticker costs that ticker


def spoil(symbol: str, **arrays: Any) -> Any:
    return lambda entry: {**entry, **arrays} if entry["symbol"] == symbol else entry


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"c": [1.0, 2.0]}, "differ in length: o 5, h 5, l 5, c 2"),
        ({"v": None}, "no array v"),
        ({"o": "many"}, "no array o"),
        ({"t": [str(1_748_822_400_000 + n) for n in range(5)]}, "no seconds since 1970: '1748822400000'"),
    ],
    ids=["ragged", "null", "text", "milliseconds"],
)
def test_a_changed_shape_costs_its_ticker(
    replay: VciReplay, vci: Vci, arrays: dict[str, Any], says: str
) -> None:
    replay.shape = spoil("ABC", **arrays)

    fetched = vci.fetch(VN, ["ABC", "XYZ"], D1, WEEK, now=NOW)

    assert set(fetched.failures) == {"ABC"}
    error = fetched.failures["ABC"]
    assert type(error) is SourceSchemaChanged
    assert says in str(error)
    assert (error.market, error.ticker, error.window) == ("vn", "ABC", WEEK)
    assert days(fetched, "XYZ") == FIVE_DAYS


def test_cells_that_are_no_numbers_become_rejects_and_keep_their_row(replay: VciReplay, vci: Vci) -> None:
    replay.shape = spoil(
        "ABC",
        o=[23_500.0, "n/a", None, 23_500.0, "23500.5"],
        c=[23_800.0, 23_800.0, None, True, 23_800.0],
        h=[24_000.0, 24_000.0, None, 24_000.0, 24_000.0],
        l=[23_000.0, 23_000.0, None, 23_000.0, 23_000.0],
    )

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert days(fetched) == [2, 6]
    assert fetched.bars["open"].to_pylist() == [23_500.0, 23_500.5], "a number may be text"
    found = [(row["rule"], row["time"].day, row["value"]) for row in fetched.rejects.to_pylist()]
    assert found == [
        ("text_in_number", 3, "open=n/a"), ("empty_bar", 4, "no price"), ("text_in_number", 5, "close=True"),
    ]  # fmt: skip
    row = json.loads(fetched.rejects["row"][0].as_py())
    assert (row["ticker"], row["open"], row["volume"]) == ("ABC", "n/a", 1001)


def test_a_time_that_cannot_be_read_is_a_reject_without_one(replay: VciReplay, vci: Vci) -> None:
    times = [str(bar[0]) for bar in listed()]
    replay.shape = spoil("ABC", t=[*times[:3], "yesterday", times[4]])

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert days(fetched) == [2, 3, 4, 6]
    (row,) = fetched.rejects.to_pylist()
    assert (row["rule"], row["time"], row["value"]) == ("bad_time", None, "yesterday")


def test_a_missing_number_is_left_to_the_gate(replay: VciReplay, vci: Vci) -> None:
    replay.shape = spoil("ABC", v=[1, None, 3, 4, 5])

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert days(fetched) == FIVE_DAYS
    assert str(fetched.bars["volume"][1].as_py()) == "nan"


@pytest.mark.parametrize("empty", [False, True], ids=["left out", "empty arrays"])
def test_a_symbol_without_bars_is_its_own_failure(replay: VciReplay, vci: Vci, empty: bool) -> None:
    if empty:
        replay.bars["NONE", "ONE_DAY"] = []

    fetched = vci.fetch(VN, ["ABC", "NONE"], D1, WEEK, now=NOW)

    assert type(fetched.failures["NONE"]) is NoData
    assert days(fetched) == FIVE_DAYS


def test_a_short_answer_is_reported_and_kept(replay: VciReplay, vci: Vci) -> None:
    replay.bars["ABC", "ONE_DAY"] = listed()[:3]

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert days(fetched) == [2, 3, 4]
    assert fetched.short == {"ABC": (5, 3)}


def test_a_request_that_is_refused_is_taken_apart(replay: VciReplay, vci: Vci) -> None:
    replay.fault = lambda request: Answer(400, "{}") if "BAD" in request["symbols"] else None

    fetched = vci.fetch(VN, ["ABC", "BAD", "XYZ"], D1, WEEK, now=NOW)

    assert set(fetched.failures) == {"BAD"}
    assert type(fetched.failures["BAD"]) is NoData
    assert days(fetched) == days(fetched, "XYZ") == FIVE_DAYS


# what is wrong with the vendor

FAILURES = [
    ("slow down", Answer(429, "{}", {"Retry-After": "7"}), RateLimited, "slow down", True),
    ("server error", Answer(500, "oops"), SourceUnavailable, "HTTP status 500", True),
    ("gateway", Answer(503, "<html>"), SourceUnavailable, "HTTP status 503", True),
    ("forbidden", Answer(403, ""), SourceUnavailable, "HTTP status 403", True),
    ("cut short", Answer(200, '[{"symbol":"ABC","o":[1'), SourceUnavailable, "no whole JSON", True),
    ("a page", Answer(200, "<html>busy</html>"), SourceUnavailable, "no whole JSON", True),
    ("hangs up", Answer(200, None), SourceUnavailable, "did not answer", True),
    ("another shape", Answer(200, '{"data": []}'), SourceSchemaChanged, "no list of objects", False),
    ("nameless", Answer(200, '[{"o": []}]'), SourceSchemaChanged, "has no symbol", False),
    ("empty", Answer(200, "[]"), NoData, "no bars", False),
]


@pytest.mark.parametrize(
    ("answer", "kind", "says", "again"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_failures_are_told_apart_and_tried_again_while_they_may_pass(
    replay: VciReplay, vci: Vci, naps: list[float],
    answer: Answer, kind: type[HypertapeError], says: str, again: bool,
) -> None:  # fmt: skip
    replay.fault = lambda request: answer

    fetched = vci.fetch(VN, ["ABC", "XYZ"], D1, WEEK, now=NOW)

    assert {type(error) for error in fetched.failures.values()} == {kind}
    assert says in str(fetched.failures["XYZ"])
    alone = kind is SourceSchemaChanged  # one of the two may be at fault: each is asked for by itself
    assert len(replay.asked) == (3 if again or alone else 1)
    assert len(naps) == (2 if again else 0)


def test_a_fault_that_passes_leaves_no_trace(replay: VciReplay, vci: Vci, naps: list[float]) -> None:
    replay.fault = lambda request: Answer(500) if len(replay.asked) < 3 else None

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert days(fetched) == FIVE_DAYS
    assert len(naps) == 2


def test_retry_after_is_waited_out(replay: VciReplay, vci: Vci, naps: list[float]) -> None:
    replay.fault = lambda request: Answer(429, "", {"Retry-After": "40"}) if len(replay.asked) < 2 else None

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert days(fetched) == FIVE_DAYS
    assert naps == [40.0]


def test_a_vendor_that_asks_for_an_hour_is_left_to_the_next_run(
    replay: VciReplay, vci: Vci, naps: list[float]
) -> None:
    replay.fault = lambda request: Answer(429, "", {"Retry-After": "3600"})

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is RateLimited
    assert naps == []
    assert len(replay.asked) == 1


def test_waits_grow_and_differ(replay: VciReplay, naps: list[float]) -> None:
    replay.fault = lambda request: Answer(500)

    Vci(endpoint=replay.url, attempts=5, sleep=naps.append).fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert all(2**n <= nap <= 2**n + 1 for n, nap in enumerate(naps))
    assert len(naps) == 4
    assert any(nap != int(nap) for nap in naps)


def test_a_slow_answer_times_out(replay: VciReplay, naps: list[float]) -> None:
    def hang(request: Request) -> Answer | None:
        replay.released.wait(20)
        return None

    replay.fault = hang
    hasty = Vci(endpoint=replay.url, attempts=1, sleep=naps.append, timeout=0.2)

    fetched = hasty.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is SourceUnavailable
    assert "timed out" in str(fetched.failures["ABC"])


def test_a_refused_connection_is_an_outage(naps: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        fetched = Vci(endpoint=url, attempts=2, sleep=naps.append).fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is SourceUnavailable
    assert len(naps) == 1


def test_a_vendor_that_is_down_is_left_alone(replay: VciReplay, naps: list[float]) -> None:
    replay.fault = lambda request: Answer(500)
    tickers = [f"T{n}" for n in range(8)]
    one_by_one = Vci(endpoint=replay.url, attempts=1, sleep=naps.append, symbols_per_request=1, patience=3)

    fetched = one_by_one.fetch(VN, tickers, D1, WEEK, now=NOW)

    assert set(fetched.failures) == set(tickers)
    assert "Not asked" in str(fetched.failures["T7"])
    assert len(replay.asked) == 3


def test_an_open_circuit_is_not_knocked_at(replay: VciReplay, naps: list[float]) -> None:
    class Shut:
        def wait(self, source: str) -> None:
            raise CircuitOpen(f"{source} is left alone")

        def record(
            self, source: str, ok: bool, *, begun: Any = None, pause: float = 0.0, reason: str = ""
        ) -> None:
            raise AssertionError("nothing was asked")

    shut = Vci(endpoint=replay.url, sleep=naps.append, throttle=Shut())

    fetched = shut.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is CircuitOpen
    assert (naps, replay.asked) == ([], [])


def test_requests_take_their_turn_and_tell_how_they_went(replay: VciReplay, naps: list[float]) -> None:
    told: list[Any] = []

    class Turns:
        def wait(self, source: str) -> None:
            told.append(source)

        def record(
            self, source: str, ok: bool, *, begun: Any = None, pause: float = 0.0, reason: str = ""
        ) -> None:
            told.append((ok, pause, reason))

    replay.fault = lambda request: (
        [Answer(429, "", {"Retry-After": "9"}), Answer(502), Answer(200, None)][len(replay.asked) - 1]
        if len(replay.asked) < 4
        else None
    )
    Vci(endpoint=replay.url, sleep=naps.append, throttle=Turns()).fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    gate = f"vci@{replay.url.removeprefix('http://')}"
    assert told[0::2] == [gate] * 4
    assert told[1] == (False, 9.0, "HTTP status 429")
    assert told[3] == (False, 0.0, "HTTP status 502")
    assert told[5][0] is False
    assert "did not answer" in told[5][2]
    assert told[7] == (True, 0.0, "")


# the configuration


def test_another_market_is_refused(vci: Vci) -> None:
    with pytest.raises(BadInput, match=r"Vietnamese prices only.*Sources of us: yahoo"):
        vci.fetch(get_market("us"), ["ABC"], D1, WEEK, now=NOW)


def test_the_configuration_and_the_settings_reach_the_replay_server(replay: VciReplay) -> None:
    for config, endpoints in (
        (SourceConfig("vci", endpoint=replay.url), ""),
        (SourceConfig("vci"), replay.url),
    ):
        settings = Settings(
            symbols_per_request=1,
            source_endpoints=f"vci={endpoints}" if endpoints else "",
            source_rates="vci=0",
        )
        source = open_source(config, settings)
        assert days(source.fetch(VN, ["ABC", "XYZ"], D1, WEEK, now=NOW)) == FIVE_DAYS
    assert len(replay.asked) == 4


def test_tickers_are_those_of_the_market_file() -> None:
    assert Vci().tickers(VN, D1) == tuple(sorted(VN.by_ticker))


# who answers


PAGE_NOT_FOUND = "<html><title>404</title></html>"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(404, PAGE_NOT_FOUND), "no words of its own"),
        (Answer(400, PAGE_NOT_FOUND), "no words of its own"),
        (Answer(404, ""), "no words of its own"),
        (Answer(200, PAGE_NOT_FOUND), "no whole JSON"),
        (Answer(200, ""), "no whole JSON"),
        (Answer(302, "", {"Location": "http://login.example/"}), "HTTP status 302"),
        (Answer(407, PAGE_NOT_FOUND), "HTTP status 407"),
    ],
    ids=["404 page", "400 page", "404 empty", "portal", "empty", "redirect", "proxy"],
)
def test_a_page_of_somebody_elses_is_an_outage_and_no_answer(
    replay: VciReplay, vci: Vci, answer: Answer, says: str
) -> None:
    replay.fault = lambda request: answer

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert type(fetched.failures["ABC"]) is SourceUnavailable
    assert says in str(fetched.failures["ABC"])
    assert fetched.answered_until == {}


def test_a_run_in_which_every_symbol_is_refused_is_an_outage(replay: VciReplay, vci: Vci) -> None:
    replay.fault = lambda request: Answer(404, '{"message": "not found"}')

    fetched = vci.fetch(VN, ["A", "B", "C"], D1, WEEK, now=NOW)

    assert {type(error) for error in fetched.failures.values()} == {SourceUnavailable}
    assert "refuses every ticker, 3 of them" in str(fetched.failures["A"])


# what became of the rows


def test_every_row_of_an_answer_is_accounted_for(replay: VciReplay, vci: Vci) -> None:
    before = listed(window=Window(utc(2025, 5, 26), utc(2025, 5, 31)))
    replay.bars["ABC", "ONE_DAY"] = [*before[-2:], *listed(), listed()[-1]]
    replay.shape = lambda entry: {**entry, "o": [*entry["o"][:-2], "1_000", entry["o"][-1]]}

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    # seven rows are what the calendar lets it ask for: one before the window, five days, and the last of them again
    assert fetched.rows["ABC"] == RowCount(7, 5, 0, {"text_in_number": 1}, 1)
    gated = gate(fetched.bars, VN, D1, now=NOW)
    assert (len(gated.bars), gated.duplicates) == (5, {})


@pytest.mark.parametrize(
    "cell", ["1_00_50", "١٠٠", "0x10", "1e"], ids=["underscores", "digits", "hex", "cut"]
)
def test_only_usual_digits_are_a_price(replay: VciReplay, vci: Vci, cell: str) -> None:
    replay.shape = spoil("ABC", c=[23_800.0, cell, 23_800.0, 23_800.0, 23_800.0])

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert days(fetched) == [2, 4, 5, 6]
    assert fetched.rejects["value"].to_pylist() == [f"close={cell}"]


def test_a_daily_bar_stamped_at_night_is_refused_with_its_own_instant(replay: VciReplay, vci: Vci) -> None:
    first, second, *others = listed()
    night = second[0] + 13 * 3600  # 20:00 in Vietnam
    replay.bars["ABC", "ONE_DAY"] = [first, (night, *second[1:]), *others]

    fetched = vci.fetch(VN, ["ABC"], D1, WEEK, now=NOW)

    assert days(fetched) == [2, 4, 5, 6]
    (reject,) = fetched.rejects.to_pylist()
    assert (reject["rule"], reject["time"]) == ("off_grid", utc(2025, 6, 3, 13))


# how far the answer reaches


def test_a_vendor_that_lags_behind_is_told_from_one_that_has_nothing(replay: VciReplay, vci: Vci) -> None:
    replay.bars["ABC", "ONE_DAY"] = listed()[:3]

    fetched = vci.fetch(VN, ["ABC", "XYZ", "NONE"], D1, WEEK, now=NOW)

    assert fetched.answered_until == {"ABC": utc(2025, 6, 5), "XYZ": WEEK.end}
    assert fetched.newest == {"ABC": utc(2025, 6, 4), "XYZ": utc(2025, 6, 6)}


def test_a_window_that_ends_in_the_future_is_answered_until_now(vci: Vci) -> None:
    now = utc(2025, 6, 7, 5)
    fetched = vci.fetch(VN, ["ABC"], D1, Window(WEEK.start, utc(2027)), now=now)
    assert fetched.answered_until == {"ABC": now}
