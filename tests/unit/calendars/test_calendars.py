"""What a market's hours mean for bars: which must exist, which may, and when one is final."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertape import calendars
from hypertape.calendars import NO_SESSION
from hypertape.calendars.exchange import open_time
from hypertape.errors import BadInput
from hypertape.frame import Micros, instant, micros
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, Window, utc

MARKETS = sorted(all_markets())
STORED = (Interval.D1, Interval.H1, Interval.M1)
MONDAY = (2025, 8, 25)


def at(*instants: datetime) -> Micros:
    return np.array([micros(moment) for moment in instants], np.int64)


def clock(times: Micros) -> list[str]:
    return [f"{instant(time):%H:%M}" for time in times]


@pytest.mark.parametrize(
    ("code", "moment", "is_open", "reason"),
    [
        ("vn", utc(*MONDAY, 1, 59), False, "before the opening"),
        ("vn", utc(*MONDAY, 2, 0), True, "the opening belongs to the session"),
        ("vn", utc(*MONDAY, 4, 30), False, "lunch begins"),
        ("vn", utc(*MONDAY, 6, 0), True, "lunch ends"),
        ("vn", utc(*MONDAY, 8, 0), False, "the close does not belong to it"),
        ("vn", utc(2025, 8, 24, 3), False, "Sunday"),
        ("vn", utc(2025, 9, 2, 3), False, "National Day"),
        ("us", utc(2025, 11, 28, 17, 59), True, "before an early close"),
        ("us", utc(2025, 11, 28, 18, 0), False, "after an early close"),
        ("us", utc(2025, 3, 7, 14, 0), False, "14:00 UTC is before the opening in winter"),
        ("us", utc(2025, 3, 10, 14, 0), True, "and after it in summer"),
        ("crypto", utc(2025, 8, 24, 0, 0), True, "midnight on a Sunday"),
    ],
)
def test_is_open(code: str, moment: datetime, is_open: bool, reason: str) -> None:
    assert calendars.is_open(get_market(code), moment) is is_open, reason


@pytest.mark.parametrize(
    ("code", "interval", "day", "first", "last", "count", "reason"),
    [
        ("vn", "1d", MONDAY, "00:00", "00:00", 1, "a daily bar sits at midnight"),
        ("vn", "1h", MONDAY, "02:00", "07:00", 5, "02 03 04 06 07: 05:00 is lunch"),
        ("vn", "1m", MONDAY, "02:15", "07:29", 225, "from the opening match to the closing auction"),
        ("vn", "30m", MONDAY, "02:00", "07:30", 9, "five in the morning, four in the afternoon"),
        ("us", "1h", MONDAY, "13:30", "19:30", 7, "summer, hours counted from half past"),
        ("us", "1m", MONDAY, "13:30", "19:59", 390, "six and a half hours"),
        ("us", "1h", (2025, 11, 28), "14:30", "17:30", 4, "early close at 18:00"),
        ("us", "1m", (2025, 11, 28), "14:30", "17:59", 210, "three and a half hours"),
        ("us", "5m", MONDAY, "13:30", "19:55", 78, "any width below a day"),
        ("crypto", "1h", (2025, 8, 24), "00:00", "23:00", 24, "Sundays too"),
        ("crypto", "1m", (2025, 8, 24), "00:00", "23:59", 1440, "Sundays too"),
        ("vn", "1h", (2025, 9, 2), None, None, 0, "a holiday"),
    ],
)
def test_expected_times_of_a_day(
    code: str, interval: str, day: tuple[int, int, int], first: str, last: str, count: int, reason: str
) -> None:
    window = Window(utc(*day), utc(*day) + timedelta(days=1))
    found = clock(calendars.expected_times(get_market(code), Interval(interval), window))
    assert (len(found), found[0] if found else None, found[-1] if found else None) == (count, first, last), (
        reason
    )


def test_lunch_takes_no_expected_minute() -> None:
    window = Window(utc(*MONDAY, 4, 28), utc(*MONDAY, 6, 2))
    found = calendars.expected_times(get_market("vn"), Interval.M1, window)
    assert clock(found) == ["04:28", "04:29", "06:00", "06:01"]


def test_an_hour_on_both_sides_of_a_break_is_expected_once() -> None:
    from dataclasses import replace

    tokyo = replace(get_market("us"), calendar="XTKS", hour_mark=timedelta(0))
    window = Window(utc(*MONDAY), utc(*MONDAY, 12))
    assert clock(calendars.expected_times(tokyo, Interval.H1, window)) == [
        *("00:00", "01:00", "02:00"),
        *("03:00", "04:00", "05:00", "06:00"),
    ]


@pytest.mark.parametrize("interval", [Interval.W1, Interval.W2, Interval.MO1])
def test_weeks_and_months_have_no_expected_times(interval: Interval) -> None:
    with pytest.raises(BadInput):
        calendars.expected_times(get_market("vn"), interval, Window(utc(2025), utc(2026)))


@pytest.mark.parametrize(
    ("code", "interval", "moment", "may", "reason"),
    [
        ("vn", "1d", utc(*MONDAY), True, "midnight"),
        ("vn", "1d", utc(*MONDAY, 2), False, "a daily bar left at its opening"),
        ("vn", "1d", utc(2025, 8, 24, 17), False, "a daily bar left at midnight in Vietnam"),
        ("vn", "1h", utc(*MONDAY, 2), True, "the full hour"),
        ("vn", "1h", utc(*MONDAY, 2, 15), False, "a quarter past"),
        ("us", "1h", utc(*MONDAY, 13, 30), True, "half past, as the exchange opens"),
        ("us", "1h", utc(*MONDAY, 14), False, "the full hour is not a mark in New York"),
        ("us", "30m", utc(*MONDAY, 14), True, "narrower bars keep the clock's marks"),
        ("crypto", "1m", utc(*MONDAY, 14, 7), True, "the full minute"),
        ("crypto", "1m", utc(*MONDAY, 14, 7) + timedelta(seconds=1), False, "a second past it"),
        ("crypto", "1d", utc(1969, 12, 31), True, "before 1970 too"),
    ],
)
def test_on_grid(code: str, interval: str, moment: datetime, may: bool, reason: str) -> None:
    assert calendars.on_grid(get_market(code), Interval(interval), at(moment)).tolist() == [may], reason


@pytest.mark.parametrize(
    ("code", "interval", "moment", "belongs", "reason"),
    [
        ("vn", "1d", utc(*MONDAY), True, "a session's date"),
        ("vn", "1d", utc(2025, 8, 24), False, "Sunday"),
        ("vn", "1d", utc(2025, 9, 2), False, "National Day"),
        ("vn", "1d", utc(1999, 3, 1), False, "before the exchange existed"),
        ("vn", "1h", utc(*MONDAY, 1), False, "ends when trading opens"),
        ("vn", "1h", utc(*MONDAY, 5), True, "lunch: vendors stamp delayed prints there"),
        ("vn", "1h", utc(*MONDAY, 8), True, "the last deals are stamped 15:00:00"),
        ("vn", "1h", utc(*MONDAY, 9), False, "an hour after the close"),
        ("vn", "1m", utc(*MONDAY, 8, 0), True, "the minute of the close"),
        ("vn", "1m", utc(*MONDAY, 8, 1), False, "the minute after it"),
        ("us", "1m", utc(2025, 11, 28, 18, 30), False, "after an early close"),
        ("us", "1d", utc(2025, 1, 9), False, "a day of mourning"),
        ("crypto", "1h", utc(2025, 8, 24, 5), True, "always"),
    ],
)
def test_in_session(code: str, interval: str, moment: datetime, belongs: bool, reason: str) -> None:
    market, times = get_market(code), at(moment)
    assert calendars.in_session(market, Interval(interval), times).tolist() == [belongs], reason
    day = at(utc(moment.year, moment.month, moment.day))[0]
    assert calendars.sessions_of(market, Interval(interval), times).tolist() == [
        day if belongs else NO_SESSION
    ]


@pytest.mark.parametrize(
    ("code", "interval", "opening", "end", "reason"),
    [
        ("vn", "1d", utc(*MONDAY), utc(*MONDAY, 8), "15:00 in Vietnam"),
        ("vn", "1d", utc(2025, 8, 24), utc(2025, 8, 25), "no session: a day later"),
        ("vn", "1d", utc(1999, 3, 1), utc(1999, 3, 2), "before the exchange existed: a day later"),
        ("us", "1d", utc(2025, 11, 28), utc(2025, 11, 28, 18), "the early close"),
        ("crypto", "1d", utc(*MONDAY), utc(2025, 8, 26), "a UTC day"),
        ("vn", "1h", utc(*MONDAY, 4), utc(*MONDAY, 5), "an hour, lunch or not"),
        ("crypto", "1m", utc(*MONDAY, 23, 59), utc(2025, 8, 26), "a minute"),
        ("vn", "1w", utc(*MONDAY), utc(2025, 9, 1), "a week"),
        ("vn", "1mo", utc(2024, 2, 1), utc(2024, 3, 1), "a leap February"),
    ],
)
def test_bar_end(code: str, interval: str, opening: datetime, end: datetime, reason: str) -> None:
    assert calendars.bar_end(get_market(code), Interval(interval), opening) == end, reason


def test_bar_ends_keep_order_and_repeats() -> None:
    times = at(utc(2025, 8, 26), utc(*MONDAY), utc(2025, 8, 26))
    ends = calendars.bar_ends(get_market("vn"), Interval.D1, times)
    assert ends.tolist() == at(utc(2025, 8, 26, 8), utc(*MONDAY, 8), utc(2025, 8, 26, 8)).tolist()


@pytest.mark.parametrize(
    ("code", "interval", "now", "first", "reason"),
    [
        ("vn", "1d", utc(*MONDAY, 7, 59), utc(*MONDAY), "the session runs"),
        ("vn", "1d", utc(*MONDAY, 8), utc(2025, 8, 26), "it has closed"),
        ("vn", "1d", utc(2025, 8, 29, 9), utc(2025, 9, 3), "the weekend and National Day follow"),
        ("vn", "1h", utc(*MONDAY, 3, 20), utc(*MONDAY, 3), "the hour runs"),
        ("us", "1h", utc(*MONDAY, 14, 20), utc(*MONDAY, 13, 30), "the hour from half past runs"),
        ("crypto", "1d", utc(*MONDAY), utc(*MONDAY), "the day has just begun"),
        ("crypto", "1m", utc(*MONDAY, 3, 20), utc(*MONDAY, 3, 20), "the minute has just begun"),
    ],
)
def test_provisional_from(code: str, interval: str, now: datetime, first: datetime, reason: str) -> None:
    assert calendars.provisional_from(get_market(code), Interval(interval), now) == first, reason


@pytest.mark.parametrize(
    ("code", "now", "day", "reason"),
    [
        ("vn", utc(*MONDAY, 7, 59), date(2025, 8, 22), "Monday still trades"),
        ("vn", utc(*MONDAY, 8), date(2025, 8, 25), "Monday has closed"),
        ("vn", utc(2025, 2, 2, 12), date(2025, 1, 24), "nine days of Tết"),
        ("us", utc(2025, 11, 28, 18), date(2025, 11, 28), "early close"),
        ("crypto", utc(*MONDAY), date(2025, 8, 24), "the day before"),
    ],
)
def test_last_closed_session(code: str, now: datetime, day: date, reason: str) -> None:
    session = calendars.last_closed_session(get_market(code), now)
    assert session is not None, reason
    assert session.date == day, reason


def test_before_the_first_session_ever_none_has_closed() -> None:
    assert calendars.last_closed_session(get_market("vn"), utc(2000, 7, 28, 2)) is None


@pytest.mark.parametrize(
    ("code", "newest", "now", "lag", "reason"),
    [
        ("vn", utc(2025, 8, 22), utc(2025, 8, 24, 12), 0, "a weekend is no delay"),
        ("vn", utc(2025, 8, 22), utc(*MONDAY, 7), 0, "Monday still trades"),
        ("vn", utc(2025, 8, 22), utc(*MONDAY, 8), 1, "Monday's bar is due"),
        ("vn", utc(2025, 8, 22, 7, 45), utc(*MONDAY, 8), 1, "the same for minutes"),
        ("vn", utc(2025, 1, 24), utc(2025, 2, 3, 7), 0, "Tết is no delay"),
        ("vn", utc(2025, 1, 24), utc(2025, 2, 4, 9), 2, "two sessions after Tết"),
        ("us", utc(2025, 7, 2), utc(2025, 7, 6), 1, "the short session of 3 July counts"),
        ("crypto", utc(2025, 8, 20), utc(2025, 8, 23), 2, "the 21st and the 22nd"),
        ("vn", utc(*MONDAY), utc(2025, 8, 1), 0, "a bar newer than now"),
    ],
)
def test_session_lag(code: str, newest: datetime, now: datetime, lag: int, reason: str) -> None:
    assert calendars.session_lag(get_market(code), newest, now) == lag, reason


@pytest.mark.parametrize(
    ("moment", "day", "reason"),
    [
        (utc(*MONDAY, 5), date(2025, 8, 25), "lunch is inside"),
        (utc(*MONDAY, 8), date(2025, 8, 25), "the close is inside"),
        (utc(*MONDAY, 8, 1), None, "a minute later is not"),
        (utc(*MONDAY, 1), None, "nor before the opening"),
    ],
)
def test_session_of(moment: datetime, day: date | None, reason: str) -> None:
    session = calendars.session_of(get_market("vn"), moment)
    assert (session.date if session else None) == day, reason


@pytest.mark.parametrize(
    ("calendar", "window", "hours", "reason"),
    [
        ("24/7", Window(utc(2026, 1, 5), utc(2026, 1, 12)), 168, "always"),
        ("XNYS", Window(utc(2026, 1, 5), utc(2026, 1, 12)), 5 * 6.5, "five sessions"),
        ("XNYS", Window(utc(2026, 1, 10), utc(2026, 1, 11)), 0, "a Saturday"),
        ("HOSE", Window(utc(2026, 1, 5), utc(2026, 1, 6)), 4.5, "the lunch break is closed"),
        (
            "HOSE",
            Window(utc(2026, 1, 5, 4), utc(2026, 1, 5, 6, 15)),
            0.75,
            "half an hour before it, a quarter after",
        ),
        ("24/7", Window(utc(2026, 1, 5, 4), utc(2026, 1, 5, 4)), 0, "nothing"),
    ],
)
def test_open_time(calendar: str, window: Window, hours: float, reason: str) -> None:
    assert open_time(calendar, window) == timedelta(hours=hours), reason


def test_midnight_belongs_to_the_crypto_day_it_begins() -> None:
    session = calendars.session_of(get_market("crypto"), utc(*MONDAY))
    assert session is not None
    assert session.date == date(*MONDAY)


def test_coverage_of_daily_bars_names_the_missing_dates() -> None:
    week = Window(utc(2025, 8, 25), utc(2025, 9, 1))
    there = at(utc(2025, 8, 25), utc(2025, 8, 27), utc(2025, 8, 29), utc(2025, 8, 30), utc(2025, 8, 22))
    found = calendars.coverage(get_market("vn"), Interval.D1, week, there)
    assert (found.judged, found.expected, found.present, found.ratio) == (5, 5, 3, 0.6)
    assert found.missing.tolist() == at(utc(2025, 8, 26), utc(2025, 8, 28)).tolist()
    assert not found.is_complete


def test_coverage_of_minutes_asks_for_one_bar_a_session() -> None:
    week = Window(utc(2025, 8, 25), utc(2025, 9, 1))
    thin = at(*(utc(2025, 8, day, 3, 17) for day in range(25, 29)), utc(2025, 8, 29, 7, 45))
    found = calendars.coverage(get_market("vn"), Interval.M1, week, thin)
    assert found.is_complete
    assert (found.judged, found.expected, found.present) == (5, 5 * 225, 4)
    found = calendars.coverage(get_market("vn"), Interval.M1, week, thin[1:])
    assert found.missing.tolist() == at(utc(2025, 8, 25)).tolist()


def test_coverage_does_not_judge_a_session_cut_by_the_window() -> None:
    morning = Window(utc(2025, 8, 22), utc(*MONDAY, 4))
    found = calendars.coverage(get_market("vn"), Interval.M1, morning, at(utc(2025, 8, 22, 3)))
    assert (found.judged, found.is_complete) == (1, True)
    assert found.expected == 225 + 105


def test_coverage_of_a_closed_week_is_complete() -> None:
    tet = Window(utc(2025, 1, 27), utc(2025, 2, 1))
    found = calendars.coverage(get_market("vn"), Interval.D1, tet, np.empty(0, np.int64))
    assert (found.judged, found.is_complete, found.ratio) == (0, True, 1.0)


def test_no_times_give_no_answers() -> None:
    empty = np.empty(0, np.int64)
    for interval in STORED:
        assert len(calendars.bar_ends(get_market("vn"), interval, empty)) == 0
        assert len(calendars.in_session(get_market("vn"), interval, empty)) == 0
        assert len(calendars.on_grid(get_market("vn"), interval, empty)) == 0


MINUTES = st.integers(0, 20 * 1440).map(lambda n: utc(2025, 10, 20) + timedelta(minutes=n))


@given(
    code=st.sampled_from(MARKETS),
    interval=st.sampled_from(STORED),
    cuts=st.lists(MINUTES, min_size=3, max_size=3),
)
def test_expected_times_of_a_cut_window_are_those_of_the_window(
    code: str, interval: Interval, cuts: list[datetime]
) -> None:
    start, middle, end = sorted(cuts)
    market = get_market(code)
    parts = [
        calendars.expected_times(market, interval, Window(*pair)) for pair in ((start, middle), (middle, end))
    ]
    np.testing.assert_array_equal(
        np.concatenate(parts), calendars.expected_times(market, interval, Window(start, end))
    )


@given(code=st.sampled_from(MARKETS), interval=st.sampled_from(STORED), start=MINUTES)
def test_every_expected_bar_may_exist_and_ends_after_it_opens(
    code: str, interval: Interval, start: datetime
) -> None:
    market, window = get_market(code), Window(start, start + timedelta(days=5))
    times = calendars.expected_times(market, interval, window)
    assert (np.diff(times) > 0).all()
    assert calendars.on_grid(market, interval, times).all()
    assert calendars.in_session(market, interval, times).all()
    assert (calendars.bar_ends(market, interval, times) > times).all()
    assert calendars.coverage(market, interval, window, times).ratio == 1.0


@given(code=st.sampled_from(MARKETS), interval=st.sampled_from(STORED), now=MINUTES)
def test_bars_before_the_provisional_one_are_final_and_no_others(
    code: str, interval: Interval, now: datetime
) -> None:
    market = get_market(code)
    around = Window(now - timedelta(days=7), now + timedelta(days=7))
    times = calendars.expected_times(market, interval, around)
    final = calendars.bar_ends(market, interval, times) <= micros(now)
    before = times < micros(calendars.provisional_from(market, interval, now))
    np.testing.assert_array_equal(final, before)
