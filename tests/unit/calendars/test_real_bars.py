"""The calendar against the real files: what they lack, and which of their bars lie outside trading."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from hypertape.calendars import NO_SESSION, coverage, expected_times, in_session, on_grid, sessions_of
from hypertape.frame import Micros, instant
from hypertape.markets import get_market
from hypertape.model import Interval, Window, midnight, utc

FILES = {"1d": "1D.csv", "1h": "1h.csv", "1m": "1m.csv"}


def times_of_file(path: Path) -> Micros:
    with path.open(encoding="utf-8", newline="") as lines:
        texts = [row["time"].replace(" ", "T") for row in csv.DictReader(lines)]
    return np.array(texts, "datetime64[us]").astype(np.int64)


def span(times: Micros) -> Window:
    first, last = instant(times.min()).date(), instant(times.max()).date()
    return Window(midnight(first), midnight(last) + timedelta(days=1))


@pytest.mark.parametrize(
    ("ticker", "sessions", "missing", "reason"),
    [
        ("VNINDEX", 2658, 0, "the index defines the sessions"),
        ("VIC", 2658, 0, "traded throughout"),
        ("TCB", 1808, 0, "listed in 2018: judged from its first bar"),
        ("ACB", 2658, 5, "between delisting from HNX and listing on HOSE"),
        ("MPC", 2658, 639, "delisted in 2015, on UPCOM since 2017"),
    ],
)
def test_daily_sessions_missing(
    shared_data: Path, ticker: str, sessions: int, missing: int, reason: str
) -> None:
    times = times_of_file(shared_data / "csv/market_data" / ticker / "1D.csv")
    found = coverage(get_market("vn"), Interval.D1, span(times), times)
    assert (found.judged, len(found.missing)) == (sessions, missing), reason
    assert found.present == len(times), reason


def test_acb_misses_the_sessions_of_its_move_between_exchanges(shared_data: Path) -> None:
    times = times_of_file(shared_data / "csv/market_data/ACB/1D.csv")
    missing = coverage(get_market("vn"), Interval.D1, span(times), times).missing
    assert [f"{instant(time):%Y-%m-%d}" for time in missing] == [
        *("2020-12-02", "2020-12-03", "2020-12-04"),
        *("2020-12-07", "2020-12-08"),
    ]


def test_bitcoin_misses_the_days_its_only_exchange_was_closed(shared_data: Path) -> None:
    times = times_of_file(shared_data / "csv/crypto_data/BTC/1D.csv")
    found = coverage(get_market("crypto"), Interval.D1, span(times), times)
    assert found.judged == 5604
    assert [f"{instant(time):%Y-%m-%d}" for time in found.missing] == [
        f"2011-06-{day}" for day in range(20, 26)
    ]


@pytest.mark.parametrize("interval", list(FILES))
def test_only_one_real_bar_lies_outside_sessions_and_none_off_the_grid(
    shared_data: Path, interval: str
) -> None:
    market, outside = get_market("vn"), []
    paths = sorted((shared_data / "csv/market_data").glob(f"*/{FILES[interval]}"))
    for path in paths:
        times = times_of_file(path)
        assert on_grid(market, Interval(interval), times).all(), path
        strays = times[~in_session(market, Interval(interval), times)]
        outside += [(path.parent.name, instant(time)) for time in strays]
    assert len(paths) >= 4
    assert outside == ([("VRG", utc(2024, 5, 23, 1))] if interval == "1h" else [])


@pytest.mark.parametrize(
    ("ticker", "interval", "judged", "missing", "least", "reason"),
    [
        ("VIC", "1h", 483, 0, 0.85, "until 2025-01-17 the first hour is inside 03:00"),
        ("VRG", "1h", 483, 4, 0.83, "thinly traded: four sessions without any deal"),
        ("VIC", "1m", 55, 0, 0.98, "a few minutes without a deal"),
        ("VNINDEX", "1m", 55, 0, 1.0, "an index has every minute"),
    ],
)
def test_intraday_coverage(
    shared_data: Path, ticker: str, interval: str, judged: int, missing: int, least: float, reason: str
) -> None:
    times = times_of_file(shared_data / "csv/market_data" / ticker / FILES[interval])
    found = coverage(get_market("vn"), Interval(interval), span(times), times)
    assert (found.judged, len(found.missing)) == (judged, missing), reason
    assert found.ratio >= least, reason


FIRST_HOUR_LACKS_UNTIL = utc(2025, 1, 18)
"""Until then the vendor of the files put the deals of 09:00–10:00 into the bar of 10:00 (03:00 UTC)."""


@pytest.mark.parametrize(
    ("ticker", "interval", "stray_marks", "stray_count", "reason"),
    [
        ("VNINDEX", "1h", set(), 0, "an index has every hour"),
        ("VIC", "1h", {"05:00"}, 1, "one delayed print in the lunch break"),
        (
            "VNINDEX",
            "1m",
            {"04:30", "07:30", "07:45"},
            165,
            "each session: the end of the morning, the end of continuous trading, the closing match",
        ),
    ],
)
def test_every_difference_from_the_expected_openings_is_known(
    shared_data: Path, ticker: str, interval: str, stray_marks: set[str], stray_count: int, reason: str
) -> None:
    times = np.sort(times_of_file(shared_data / "csv/market_data" / ticker / FILES[interval]))
    expected = expected_times(get_market("vn"), Interval(interval), span(times))
    lacking = [instant(time) for time in np.setdiff1d(expected, times)]
    strays = [f"{instant(time):%H:%M}" for time in np.setdiff1d(times, expected)]
    first_hours = [
        t for t in map(instant, expected) if f"{t:%H:%M}" == "02:00" and t < FIRST_HOUR_LACKS_UNTIL
    ]
    assert lacking == (first_hours if interval == "1h" else []), "the vendor's first hour, and nothing else"
    assert (set(strays), len(strays)) == (stray_marks, stray_count), reason


@pytest.mark.parametrize("interval", ["1d", "1h", "1m"])
def test_stocks_have_bars_in_the_sessions_of_the_index_only(shared_data: Path, interval: str) -> None:
    market = get_market("vn")

    def sessions_in(path: Path) -> set[int]:
        found = sessions_of(market, Interval(interval), times_of_file(path))
        return set(found.tolist()) - {NO_SESSION}

    paths = sorted((shared_data / "csv/market_data").glob(f"*/{FILES[interval]}"))
    of_index = sessions_in(shared_data / "csv/market_data/VNINDEX" / FILES[interval])
    assert len(paths) >= 4
    assert {path.parent.name for path in paths if sessions_in(path) - of_index} == set()
