"""Reading parameters: what the contract's table over HTTP does not reach."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hypertape.api.bar_query import EVER, SPELLINGS, read_date, read_mode, read_query, read_width
from hypertape.errors import BadInput
from hypertape.frame import ceiling
from hypertape.markets import all_markets
from hypertape.model import Interval, utc


def test_every_spelling_is_an_interval_or_made_of_hours() -> None:
    widths = [read_width(text) for text in SPELLINGS]
    assert [width.spelling for width in widths] == list(SPELLINGS)
    assert {width.interval for width in widths} == set(Interval)
    assert [width.spelling for width in widths if width.hours] == ["4h"]


@pytest.mark.parametrize(("text", "interval"), [("1M", Interval.MO1), ("1m", Interval.M1)])
def test_a_month_is_no_minute(text: str, interval: Interval) -> None:
    assert read_width(text).interval is interval


@pytest.mark.parametrize("text", ["1MO", "1d1", "5M", "15M", "1w ", "4hh", "60m", ""])
def test_what_is_nearly_an_interval_is_none(text: str) -> None:
    with pytest.raises(BadInput, match="1M is a month, 1m a minute"):
        read_width(text)


def test_modes_follow_from_the_markets() -> None:
    for market in all_markets().values():
        for name in (market.code, *market.modes):
            assert read_mode(name) == (market,)
    assert sorted(market.code for market in read_mode("all")) == sorted(all_markets())
    (usual,) = read_mode(None)
    assert read_mode("all")[0] is usual
    assert usual.is_usual
    assert read_mode(None, "all") == read_mode("all")


def test_names_of_modes_do_not_meet() -> None:
    names = [name for market in all_markets().values() for name in (market.code, *market.modes)]
    assert len(names) == len(set(names))
    assert sum(market.is_usual for market in all_markets().values()) == 1


@pytest.mark.parametrize(
    ("text", "end", "reason"),
    [
        ("2024-02-29", utc(2024, 3, 1), "a date includes its day"),
        ("2024-02-29T05:00:00", datetime(2024, 2, 29, 5, 0, 0, 1, UTC), "an instant includes itself"),
        ("9999-12-31", EVER[1], "the last day there is"),
        ("20240229", utc(2024, 3, 1), "the short form of a date"),
    ],
)
def test_the_end_is_included(text: str, end: datetime, reason: str) -> None:
    assert read_date("end_date", text, include_day=True) == end, reason


@pytest.mark.parametrize(
    ("told", "slots", "reason"),
    [
        ({}, 252, "the usual limit"),
        ({"limit": "10"}, 10, "a limit"),
        ({"start_date": "2024-01-01"}, 368, "every day of the series from there, at most"),
        ({"start_date": "2024-01-01", "limit": "5"}, 5, "a limit wins"),
        ({"start_date": "2025-01-01"}, 2, "hardly anything left"),
        ({"start_date": "2026-01-01"}, 0, "after its end"),
        ({"end_date": "2019-01-01"}, 0, "before its begin"),
        ({"start_date": "2024-12-31", "interval": "1m"}, 1442, "a day of minutes"),
    ],
)
def test_how_many_bars_a_series_can_answer_with(told: dict[str, str], slots: int, reason: str) -> None:
    assert read_query(**told).slots(utc(2020), utc(2025)) == slots, reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (utc(2024, 1, 1, 4), utc(2024, 1, 1, 4)),
        (utc(2024, 1, 1, 4, 1), utc(2024, 1, 1, 8)),
        (EVER[1], EVER[1]),
    ],
)
def test_the_next_bar_of_four_hours(at: datetime, expected: datetime) -> None:
    assert ceiling(at, timedelta(hours=4)) == expected


def test_a_ticker_may_be_asked_of_one_market_among_several() -> None:
    question = read_query(symbol=["VNM", "us:VNM", "crypto:BTC"], mode="all")
    told = {market.code: question.tickers(market) for market in question.markets}
    assert told == {"vn": ["VNM"], "crypto": ["VNM", "BTC"], "us": ["VNM"]}
    assert read_query(symbol=["us:VNM"], mode="us").tickers(read_mode("us")[0]) == ["us:VNM"]
