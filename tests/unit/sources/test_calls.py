"""How many requests a source takes, as a plan counts them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hypertape.errors import UnknownSource
from hypertape.model import Interval, Window, utc
from hypertape.sources import Limits, calls_for, source_names

NOW = utc(2025, 6, 30)
YEAR = Window(NOW - timedelta(days=365), NOW)


@pytest.mark.parametrize(
    ("name", "interval", "window", "calls", "reason"),
    [
        ("csv_tree", Interval.M1, YEAR, 1, "a file is read once"),
        ("yahoo", Interval.D1, YEAR, 1, "days come in one answer"),
        ("yahoo", Interval.M1, Window(NOW - timedelta(days=14), NOW), 2, "minutes come by the week"),
        (
            "yahoo",
            Interval.M1,
            Window(NOW - timedelta(days=365), NOW - timedelta(days=300)),
            0,
            "it keeps a month",
        ),
        ("sample", Interval.H1, Window(NOW, NOW), 0, "nothing is asked for"),
    ],
)
def test_calls_are_those_the_source_makes(name, interval, window, calls, reason) -> None:
    assert calls_for(name, interval, window, NOW, Limits()) == calls, reason


@pytest.mark.parametrize(("bars", "calls"), [(0, 1), (5_000, 1), (5_001, 2), (18_900, 4)])
def test_long_windows_come_in_pages(bars: int, calls: int) -> None:
    assert calls_for("vci", Interval.M1, YEAR, NOW, Limits(), bars) == calls


@pytest.mark.parametrize(
    ("name", "tickers", "calls", "reason"),
    [
        ("vci", 27, 3, "ten symbols a request"),
        ("vci", 1, 1, "one is a group too"),
        ("vci", 0, 0, "nobody is asked for"),
        ("yahoo", 27, 27, "one ticker a request"),
        ("ccxt", 27, 27, "one pair a request"),
        ("csv_tree", 27, 27, "one file a ticker"),
    ],
)
def test_a_group_takes_the_calls_the_source_makes_of_it(
    name: str, tickers: int, calls: int, reason: str
) -> None:
    assert calls_for(name, Interval.D1, YEAR, NOW, Limits(), 252, tickers) == calls, reason


@pytest.mark.parametrize("name", source_names())
def test_every_source_can_be_counted(name: str) -> None:
    assert calls_for(name, Interval.D1, YEAR, NOW, Limits()) >= 1


def test_an_unknown_source_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownSource, match="csv_tree"):
        calls_for("nasdaq", Interval.D1, YEAR, NOW, Limits())
