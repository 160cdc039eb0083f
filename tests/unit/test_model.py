from __future__ import annotations

import pickle
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertape import model
from hypertape.errors import BadInput, UnknownInterval
from hypertape.markets import get_market
from hypertape.model import Interval, Series, Window, format_instant, midnight, parse_instant, utc

SAIGON = timezone(timedelta(hours=7))


@pytest.mark.parametrize(
    ("text", "interval", "reason"),
    [
        ("1m", Interval.M1, "a minute"),
        ("1M", Interval.MO1, "a month: case matters"),
        ("1mo", Interval.MO1, "a month, our spelling"),
        ("1D", Interval.D1, "the documents' day"),
        ("1d", Interval.D1, "our day"),
        ("1H", Interval.H1, "the documents' hour"),
        ("1h", Interval.H1, "our hour"),
        ("1W", Interval.W1, "the documents' week"),
        ("2W", Interval.W2, "the documents' fortnight"),
        ("30m", Interval.M30, "minutes are alike in both"),
    ],
)
def test_intervals_are_read_in_either_spelling(text: str, interval: Interval, reason: str) -> None:
    assert Interval.parse(text) is interval, reason


@pytest.mark.parametrize("text", ["5M", "30M", "1MO", "1Min", "d", "", " 1d", "4h"])
def test_unknown_intervals_are_refused_with_the_valid_ones(text: str) -> None:
    with pytest.raises(UnknownInterval, match=r"1m, 5m, 15m, 30m, 1h, 1d, 1w, 2w, 1mo \(or 1m, .*1M\)"):
        Interval.parse(text)


@pytest.mark.parametrize("interval", list(Interval))
def test_an_interval_is_read_back_from_what_it_writes(interval: Interval) -> None:
    assert Interval.parse(interval.spelling) is Interval.parse(interval.value) is interval
    assert interval.is_stored == (interval.base is interval)
    assert interval.base.is_stored
    assert (interval.delta is None) == (interval is Interval.MO1)


def test_the_documents_columns_in_their_order() -> None:
    assert list(model.INDICATOR_COLUMNS) == [
        *("ma10", "ma20", "ma50", "ma100", "ma200"),
        *("ma10_score", "ma20_score", "ma50_score", "ma100_score", "ma200_score"),
        *("close_changed", "volume_changed", "total_money_changed"),
    ]
    assert model.LONGEST_LOOKBACK == 200


def test_a_window_is_half_open() -> None:
    window = Window(utc(2025), utc(2026))
    assert utc(2025) in window
    assert utc(2026) not in window
    assert not window.is_empty
    assert Window(utc(2025), utc(2025)).is_empty
    assert utc(2025) not in Window(utc(2025), utc(2025))
    assert str(Window(utc(2025), utc(2025, 1, 1, 2, 30))) == "[2025-01-01, 2025-01-01T02:30:00)"


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (datetime(2025, 1, 1), utc(2026), r"has no time zone\. Pass UTC instants\."),  # noqa: DTZ001
        (utc(2026), datetime(2027, 1, 1), r"has no time zone\. Pass UTC instants\."),  # noqa: DTZ001
        (utc(2026), utc(2025), r"Swap them\."),
    ],
)
def test_a_window_that_cannot_be_is_refused(start: datetime, end: datetime, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Window(start, end)


INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(SAIGON))  # noqa: DTZ001


@given(pair=st.tuples(INSTANTS, INSTANTS).map(sorted))
def test_a_window_survives_json_and_pickle(pair: list[datetime]) -> None:
    window = Window(*pair)
    assert Window.from_json(window.to_json()) == window == pickle.loads(pickle.dumps(window))


@pytest.mark.parametrize(
    ("text", "instant", "reason"),
    [
        ("2025-08-25", utc(2025, 8, 25), "a date is midnight UTC"),
        ("2025-08-25T02:15:00", utc(2025, 8, 25, 2, 15), "without a zone it is UTC"),
        ("2025-08-25 02:15:00", utc(2025, 8, 25, 2, 15), "a space will do"),
        ("2025-08-25T02:15:00Z", utc(2025, 8, 25, 2, 15), "RFC 3339"),
        ("2025-08-25T09:15:00+07:00", utc(2025, 8, 25, 2, 15), "another zone is converted"),
    ],
)
def test_instants_are_read(text: str, instant: datetime, reason: str) -> None:
    assert parse_instant(text) == instant, reason
    assert parse_instant(text).utcoffset() == timedelta(0), reason


@pytest.mark.parametrize("text", ["", "yesterday", "25/08/2025", "2025-13-01", "2025-02-29"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"is not a date\. Write YYYY-MM-DD"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (utc(2025, 8, 25), "2025-08-25"),
        (utc(2025, 8, 25, 2, 15), "2025-08-25T02:15:00"),
        (datetime(2025, 8, 25, 7, tzinfo=SAIGON), "2025-08-25"),
        (datetime(2025, 8, 25, 9, 15, tzinfo=SAIGON), "2025-08-25T02:15:00"),
    ],
)
def test_instants_are_written_in_utc(instant: datetime, text: str) -> None:
    assert format_instant(instant) == text
    assert parse_instant(text) == instant


def test_a_daily_bar_sits_at_midnight_utc() -> None:
    assert midnight(date(2025, 8, 25)) == utc(2025, 8, 25)


def test_a_series_is_named_and_sorted_by_market_and_ticker() -> None:
    series = [Series("vn", "VIC", Interval.D1), Series("crypto", "BTC", Interval.D1)]
    assert [str(one) for one in sorted(series)] == ["crypto/1d/BTC", "vn/1d/VIC"]


def test_a_market_names_its_relations_and_knows_its_tickers() -> None:
    market = get_market("vn")
    assert market.relation(Interval.MO1) == "market_data_1mo"
    assert market.by_ticker["VIC"].name == "Vingroup"
    assert market.intervals == (Interval.D1, Interval.H1, Interval.M1)
    assert pickle.loads(pickle.dumps(market)) == market
