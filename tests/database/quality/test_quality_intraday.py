"""Rules over hours and minutes, days against them, and freshness in session time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
import quality_lab as lab
from quality_lab import (
    CRYPTO,
    D1,
    H1,
    M1,
    ON,
    PRICES,
    US,
    VN,
    Connection,
    Series,
    edited,
    failed,
    lone,
    scaled,
    without,
)

from hypertape.frame import Bars, micros
from hypertape.model import Interval, Window, utc

Plant = Callable[[Connection, Series], None]


# --- intraday


def test_a_session_without_any_hour_is_found_and_coverage_is_told(
    quality_warehouse: str, shared: Connection
) -> None:
    series = lab.clean(VN, H1)
    dates = series["AAA"].time.astype("datetime64[us]").astype("datetime64[D]")
    gone = np.flatnonzero(dates == np.datetime64("2024-01-17"))
    lab.store(shared, VN, H1, {**series, "AAA": edited(series["AAA"], without(*gone))})

    results = lab.check(quality_warehouse, shared, VN, H1)

    assert failed(results) == {"sessions_covered": [("AAA", "2024-01-17T02:00:00")]}
    details = results["sessions_covered"].details
    assert details["grid"] - details["bars"] == len(gone) == 5


def test_a_session_with_one_bar_left_is_covered(quality_warehouse: str, shared: Connection) -> None:
    series = lab.clean(VN, H1)
    dates = series["AAA"].time.astype("datetime64[us]").astype("datetime64[D]")
    gone = np.flatnonzero(dates == np.datetime64("2024-01-17"))[1:]
    lab.store(shared, VN, H1, {**series, "AAA": edited(series["AAA"], without(*gone))})

    assert failed(lab.check(quality_warehouse, shared, VN, H1)) == {}


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (
            utc(2024, 1, 15, 13),
            {"time_in_session": [("BAD", "2024-01-15T13:00:00")]},
        ),  # hours after the close
        (utc(2024, 1, 13, 3), {"time_in_session": [("BAD", "2024-01-13T03:00:00")]}),  # a Saturday
        (
            utc(2024, 1, 15, 1),
            {"time_in_session": [("BAD", "2024-01-15T01:00:00")]},
        ),  # ends as the session opens
        (utc(2024, 1, 15, 5), {}),  # the lunch break, where delayed prints are stamped
        (utc(2024, 1, 15, 8), {}),  # opens at the very close: the closing match
    ],
)
def test_hours_belong_to_sessions(
    quality_warehouse: str, shared: Connection, time: datetime, expected: dict[str, Any]
) -> None:
    lab.store(shared, VN, H1, lab.clean(VN, H1))
    lab.add(shared, VN, H1, [lone(time)])

    assert failed(lab.check(quality_warehouse, shared, VN, H1)) == expected


@pytest.mark.parametrize(
    ("minute", "expected"),
    [(30, {}), (0, {"time_on_grid": [("BAD", "2024-01-16T16:00:00")]})],
    ids=("half past", "full"),
)
def test_the_grid_of_hours_is_the_markets_own(
    quality_warehouse: str, shared: Connection, minute: int, expected: dict[str, Any]
) -> None:
    lab.store(shared, US, H1, {})
    lab.add(shared, US, H1, [lone(utc(2024, 1, 16, 16, minute))])

    assert failed(lab.check(quality_warehouse, shared, US, H1)) == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [(2, {"close_jump": [("AAA", "2024-01-25T04:00:00")]}), (0, {})],
    ids=("inside a session", "from one session to the next"),
)
def test_a_session_may_open_further_away_than_it_moves(
    quality_warehouse: str, shared: Connection, place: int, expected: dict[str, Any]
) -> None:
    bars = lab.clean(VN, H1)["AAA"]
    start = int(np.searchsorted(bars.time, micros(utc(2024, 1, 25)))) + place
    lab.store(shared, VN, H1, {"AAA": edited(bars, scaled(1.14, start, *PRICES))})

    assert failed(lab.check(quality_warehouse, shared, VN, H1)) == expected


def _hours_of(days: Bars, place: int, **factors: float) -> Bars:
    """The hours of one day whose bar is the sum of them, then altered by `factors`."""
    opens = days.time[place] + np.array([2, 3, 4, 6, 7], np.int64) * 3_600_000_000
    values = {name: np.full(5, getattr(days, name)[place]) for name in ("open", "high", "low", "close")}
    values |= {name: values[name] * factor for name, factor in factors.items()}
    return Bars(opens, *values.values(), np.arange(100.0, 105.0), values["close"])


@pytest.mark.parametrize(
    ("factors", "finds"),
    [({}, False), ({"high": 1.004}, False), ({"high": 1.02}, True), ({"low": 0.98}, True)],
    ids=("equal", "rounded differently", "an hour above its day", "an hour below its day"),
)
@pytest.mark.parametrize("interval", [D1, H1])
def test_a_day_holds_its_hours_seen_from_either_suite(
    quality_warehouse: str, shared: Connection, interval: Interval, factors: dict[str, float], finds: bool
) -> None:
    days = lab.clean(VN, D1)["AAA"]
    place = int(np.searchsorted(days.time, micros(utc(2024, 1, 15))))
    lab.store(shared, VN, D1, {"AAA": days})
    lab.store(shared, VN, H1, {"AAA": _hours_of(days, place, **factors)})
    window = Window(utc(2024, 1, 8), utc(2024, 1, 16))

    found = failed(lab.check(quality_warehouse, shared, VN, interval, window=window, now=utc(2024, 1, 16)))

    assert found.get("day_holds_1h") == (ON if finds else None)


def test_a_day_that_ends_elsewhere_than_its_minutes_is_found(
    quality_warehouse: str, shared: Connection
) -> None:
    days = lab.clean(CRYPTO, D1)["AAA"]
    minutes = lab.clean(CRYPTO, M1)["AAA"]
    lab.store(shared, CRYPTO, M1, {"AAA": edited(minutes, scaled(0.5, 0, "open", "high", "low", "close"))})
    lab.store(shared, CRYPTO, D1, {"AAA": days})

    found = failed(lab.check(quality_warehouse, shared, CRYPTO, D1))

    assert found == {"day_holds_1m": [("AAA", "2024-01-08"), ("AAA", "2024-01-09"), ("AAA", "2024-01-10")]}


# --- time


@pytest.mark.parametrize(
    ("now", "behind"),
    [
        (utc(2024, 2, 3, 12), 0),  # Saturday after Friday's bar
        (utc(2024, 2, 4, 23), 0),  # Sunday
        (utc(2024, 2, 5, 20), 0),  # Monday, the session is still open
        (utc(2024, 2, 5, 22), 1),  # Monday evening
        (utc(2024, 2, 6, 22), 2),
        (utc(2024, 2, 7, 22), 3),
    ],
)
def test_freshness_counts_closed_sessions_only(
    quality_warehouse: str, shared: Connection, now: datetime, behind: int
) -> None:
    lab.store(shared, US, D1, lab.clean(US, D1, ("AAA",)))

    results = lab.check(
        quality_warehouse, shared, US, D1, now=now, window=Window(utc(2024, 1, 2), utc(2024, 2, 9))
    )

    assert results["sessions_after_last"].unexpected == behind
    assert results["fresh"].status == ("failed" if behind > US.freshness_sessions else "passed")


def test_an_old_window_is_not_judged_by_today(quality_warehouse: str, shared: Connection) -> None:
    lab.store(shared, US, D1, lab.clean(US, D1, ("AAA",)))

    found = lab.check(
        quality_warehouse,
        shared,
        US,
        D1,
        now=utc(2026, 1, 5),
        window=Window(utc(2023, 11, 1), utc(2023, 12, 1)),
    )

    assert failed(found) == {}
