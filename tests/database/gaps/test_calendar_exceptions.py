"""A day that a project closes is no session any more, and half a day closes earlier, where SQL looks for sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time

from hypertape.markets import get_market
from hypertape.model import SessionException, Window, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import register_calendar

WEEK = Window(utc(2024, 1, 8), utc(2024, 1, 13))
SESSIONS = "select session, closes_at from trading_session where market = %s order by session"


def test_sessions_follow_the_exceptions_of_their_market(warehouse: str) -> None:
    vn, us = get_market("vn"), get_market("us")
    exceptions = (
        SessionException(date(2024, 1, 10), None, "a storm"),
        SessionException(date(2024, 1, 11), (time(9), time(11)), "half a day"),
    )
    with connect(warehouse) as connection:
        for market in (vn, us, replace(vn, exceptions=exceptions)):
            register_calendar(connection, market, WEEK, utc(2024, 2, 1))
        found = dict(connection.execute(SESSIONS, (vn.code,)).fetchall())
        others = dict(connection.execute(SESSIONS, (us.code,)).fetchall())
        assert date(2024, 1, 10) not in found
        assert date(2024, 1, 10) in others
        assert {date(2024, 1, 9), date(2024, 1, 11), date(2024, 1, 12)} <= set(found)
        assert found[date(2024, 1, 11)] == utc(2024, 1, 11, 4)
        register_calendar(connection, vn, WEEK, utc(2024, 2, 1))
        again = dict(connection.execute(SESSIONS, (vn.code,)).fetchall())
    assert date(2024, 1, 10) in again
    assert again[date(2024, 1, 11)] == utc(2024, 1, 11, 8)
