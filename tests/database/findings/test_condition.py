"""The condition of each session of a ticker, in four words, with reasons."""

from __future__ import annotations

from datetime import date

import pytest
from lab import D1, VN, Connection, new_ticker, put, scaled, walk

from hypertape.calendars import expected_times
from hypertape.frame import Bars
from hypertape.model import CRITICAL, Window, utc
from hypertape.quality.results import FAILED, QualityResult, record
from hypertape.warehouse.condition import AVAILABLE, DEGRADED, MISSING, PENDING, conditions
from hypertape.warehouse.findings import Look, look

NOW = utc(2024, 4, 1, 12)
"""A Monday evening in Ho Chi Minh City."""


def test_sessions_are_told_in_four_words(connection: Connection) -> None:
    ticker = new_ticker("CND")
    times = expected_times(VN, D1, Window(utc(2024, 3, 1), utc(2024, 3, 28)))  # up to Wednesday
    bars = scaled(walk(len(times)), 1.0)
    held = Bars(times, bars.open, bars.high, bars.low, bars.close, bars.volume + 1, bars.adjusted_close)
    put(connection, {ticker: held}, VN, now=NOW)
    place = (VN.code, "1d", ticker)
    connection.execute(
        "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run) "
        "values (%s, %s, %s, '2024-03-21', '2024-03-22', 1, 'provider empty', 'r')",
        place,
    )
    connection.execute(
        "insert into bar_flag (market, interval, ticker, time, rule, value, load_id) "
        "values (%s, %s, %s, '2024-03-22', 'ohlc_order', '', 1)",
        place,
    )
    found = conditions(connection, VN, D1, date(2024, 3, 20), date(2024, 4, 2), now=NOW, tickers=[ticker])
    assert [(each.session.day, each.condition) for each in found] == [
        (20, AVAILABLE),
        (21, MISSING),
        (22, DEGRADED),
        (25, AVAILABLE),
        (26, AVAILABLE),
        (27, AVAILABLE),
        (28, MISSING),
        (29, PENDING),
        (1, PENDING),
    ]
    reasons = {each.session.day: each.reasons for each in found}
    assert reasons[21] == ("provider empty",)
    assert reasons[22] == ("flagged: ohlc_order",)
    assert reasons[28] == ("after the ticker's last bar",)
    early = conditions(connection, VN, D1, date(2024, 2, 28), date(2024, 2, 28), now=NOW, tickers=[ticker])
    assert [(each.condition, each.reasons) for each in early] == [
        (MISSING, ("before the ticker's first bar",))
    ]


@pytest.mark.parametrize(
    ("unexpected", "degraded"),
    [(1, [20]), (300, [20, 21])],  # more than the keys that are kept: whichever session of the window
)
def test_a_critical_check_degrades_the_sessions_it_found_fault_with(
    connection: Connection, unexpected: int, degraded: list[int]
) -> None:
    ticker, other = new_ticker("CND"), new_ticker("CND")
    times = expected_times(VN, D1, Window(utc(2024, 3, 18), utc(2024, 3, 30)))
    bars = scaled(walk(len(times)), 1.0)
    held = Bars(times, bars.open, bars.high, bars.low, bars.close, bars.volume + 1, bars.adjusted_close)
    put(connection, {ticker: held, other: held}, VN, now=NOW)
    found = QualityResult(
        "run", "vn", "1d", "market_data_1d", "high_not_below_low", "low ≤ high", CRITICAL, FAILED,
        Window(utc(2024, 3, 20), utc(2024, 3, 22)), evaluated=300, unexpected=unexpected,
        sample=({"ticker": ticker, "time": "2024-03-20"},), details={"tickers": [ticker]},
    )  # fmt: skip
    record(connection, [found])
    look(connection, Look(NOW, "watch"))
    start, end = date(2024, 3, 19), date(2024, 3, 22)
    told = conditions(connection, VN, D1, start, end, now=NOW, tickers=[ticker, other])
    wrong = [each for each in told if each.condition == DEGRADED]
    assert [(each.ticker, each.session.day) for each in wrong] == [(ticker, day) for day in degraded]
    assert "high_not_below_low" in wrong[0].reasons[0]
