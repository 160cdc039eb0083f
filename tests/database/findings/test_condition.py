"""The condition of each session of a ticker, in four words, with reasons."""

from __future__ import annotations

from datetime import date

from lab import D1, VN, Connection, new_ticker, put, scaled, walk

from hypertape.calendars import expected_times
from hypertape.frame import Bars
from hypertape.model import Window, utc
from hypertape.warehouse.condition import AVAILABLE, DEGRADED, MISSING, PENDING, conditions

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
