"""The HOSE calendar against the exchange: an answer file of its closures, the real VNINDEX, and its own twin."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from hypertape.calendars import hose, sessions
from hypertape.calendars.exchange import days
from hypertape.errors import BadInput
from hypertape.markets import get_market
from hypertape.model import utc

ANSWERS = Path(__file__).parent / "answers" / "hose_closures.csv"
"""Weekdays without a session. To 2025: the weekdays VNINDEX has no bar on. 2026: the exchange's announcement."""


def closures() -> set[date]:
    with ANSWERS.open(encoding="utf-8", newline="") as lines:
        return {date.fromisoformat(row["date"]) for row in csv.DictReader(lines)}


def weekdays(start: date, end: date) -> list[date]:
    every = (start + timedelta(days=n) for n in range((end - start).days))
    return [day for day in every if day.weekday() < 5]


def session_dates(start: date, end: date) -> list[date]:
    return [session.date for session in sessions(get_market("vn"), start, end)]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(date(2015, 1, 5), date(2025, 8, 26), id="all that VNINDEX proves"),
        pytest.param(date(2026, 1, 1), date(2026, 10, 1), id="as announced for 2026"),
    ],
)
def test_closed_on_exactly_the_weekdays_of_the_answer_file(start: date, end: date) -> None:
    assert session_dates(start, end) == [day for day in weekdays(start, end) if day not in closures()]


@pytest.mark.parametrize(
    ("day", "is_session", "reason"),
    [
        ("2015-01-05", True, "the first session of the history"),
        ("2016-02-05", True, "the last one before Tết 2016"),
        ("2016-02-08", False, "Tết 2016"),
        ("2016-02-12", False, "Tết 2016 ends on the Friday"),
        ("2016-02-15", True, "the first one after Tết 2016"),
        ("2017-09-04", False, "2 September on a Saturday, observed on Monday"),
        ("2018-01-23", True, "HOSE stood still, HNX and UPCOM traded"),
        ("2018-12-31", False, "swapped for Saturday 2019-01-05"),
        ("2019-01-05", False, "the Saturday worked for it: no trading"),
        ("2019-04-29", False, "swapped for Saturday 2019-05-04"),
        ("2021-02-10", False, "the eve of Tết 2021 begins the closure"),
        ("2021-02-17", True, "trading again after Tết 2021"),
        ("2021-09-03", False, "since 2021 National Day takes two days"),
        ("2024-04-18", False, "Hung Kings, 10th day of the 3rd lunar month"),
        ("2024-04-29", False, "bridging day, swapped for Saturday 2024-05-04"),
        ("2024-05-02", True, "no bridging day after 1 May 2024"),
        ("2025-01-24", True, "the last one before Tết 2025"),
        ("2025-02-03", True, "the first one after Tết 2025"),
        ("2025-05-02", False, "bridging day, swapped for Saturday 2025-04-26"),
        ("2026-08-31", False, "bridging day, swapped for Saturday 2026-08-22"),
    ],
)
def test_known_days(day: str, is_session: bool, reason: str) -> None:
    wanted = date.fromisoformat(day)
    assert (session_dates(wanted, wanted + timedelta(days=1)) == [wanted]) is is_session, reason


def test_every_vnindex_bar_is_a_session_and_every_session_a_bar(shared_data: Path) -> None:
    with (shared_data / "csv/market_data/VNINDEX/1D.csv").open(encoding="utf-8", newline="") as lines:
        traded = [date.fromisoformat(row["time"]) for row in csv.DictReader(lines)]
    assert len(traded) == 2658
    assert session_dates(traded[0], traded[-1] + timedelta(days=1)) == traded


def test_a_session_has_the_exchanges_hours() -> None:
    (session,) = sessions(get_market("vn"), date(2025, 8, 25), date(2025, 8, 26))
    assert session.date == date(2025, 8, 25)
    assert (session.opens, session.closes) == (utc(2025, 8, 25, 2), utc(2025, 8, 25, 8))
    assert (session.break_starts, session.break_ends) == (utc(2025, 8, 25, 4, 30), utc(2025, 8, 25, 6))


def test_the_exchange_calendars_class_has_the_same_schedule() -> None:
    from hypertape.calendars.hose_calendar import HOSEExchangeCalendar

    schedule = HOSEExchangeCalendar(start="2000-07-28", end="2029-12-31").schedule
    rules = days("HOSE", date(2000, 7, 28), date(2030, 1, 1))
    for column, name in (
        (rules.opens, "open"),
        (rules.break_starts, "break_start"),
        (rules.break_ends, "break_end"),
        (rules.closes, "close"),
    ):
        theirs = schedule[name].dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
        np.testing.assert_array_equal(column, theirs)


def test_the_exchange_calendars_class_answers_as_any_other() -> None:
    from hypertape.calendars.hose_calendar import HOSEExchangeCalendar

    calendar = HOSEExchangeCalendar(start="2025-01-01", end="2025-12-31")
    assert not calendar.is_session("2025-04-30")
    assert calendar.is_open_on_minute("2025-08-25 04:29", ignore_breaks=False)
    assert not calendar.is_open_on_minute("2025-08-25 05:00", ignore_breaks=False)
    assert HOSEExchangeCalendar.bound_min().date() == hose.FIRST_SESSION


def test_nothing_is_claimed_outside_what_is_known() -> None:
    assert session_dates(date(1999, 1, 1), date(2000, 7, 28)) == []
    assert session_dates(date(2099, 12, 25), date(2100, 1, 1))
    with pytest.raises(BadInput, match="HOSE is not known on 2101-02-01"):
        session_dates(date(2101, 1, 1), date(2101, 2, 1))
