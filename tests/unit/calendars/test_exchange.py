"""Calendars by name: New York with its exceptions, always open, and what loading them costs."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from hypertape.calendars import sessions
from hypertape.calendars.exchange import days
from hypertape.errors import BadInput
from hypertape.markets import get_market
from hypertape.model import utc


@pytest.mark.parametrize(
    ("day", "opens", "closes", "reason"),
    [
        ("2025-03-07", (14, 30), (21, 0), "winter time, the Friday before the change"),
        ("2025-03-10", (13, 30), (20, 0), "summer time, the Monday after it"),
        ("2025-07-03", (13, 30), (17, 0), "early close before Independence Day"),
        ("2025-11-28", (14, 30), (18, 0), "early close after Thanksgiving"),
        ("2025-12-24", (14, 30), (18, 0), "early close on Christmas Eve"),
    ],
)
def test_new_york_hours(day: str, opens: tuple[int, int], closes: tuple[int, int], reason: str) -> None:
    wanted = date.fromisoformat(day)
    (session,) = sessions(get_market("us"), wanted, wanted + timedelta(days=1))
    midnight = (wanted.year, wanted.month, wanted.day)
    assert (session.opens, session.closes) == (utc(*midnight, *opens), utc(*midnight, *closes)), reason
    assert session.break_starts is None, reason


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        ("2001-09-11", "closed by the attacks"),
        ("2012-10-29", "hurricane Sandy"),
        ("2025-01-09", "mourning for President Carter"),
        ("2025-04-18", "Good Friday"),
        ("2022-06-20", "Juneteenth, observed on Monday"),
        ("2025-08-23", "a Saturday"),
    ],
)
def test_new_york_closures(day: str, reason: str) -> None:
    closed = date.fromisoformat(day)
    assert sessions(get_market("us"), closed, closed + timedelta(days=1)) == (), reason


def test_new_york_reaches_back_to_its_history_and_years_ahead() -> None:
    assert sessions(get_market("us"), date(1990, 1, 1), date(1990, 1, 3))[0].date == date(1990, 1, 2)
    assert len(sessions(get_market("us"), date(2028, 1, 1), date(2029, 1, 1))) > 245


def test_crypto_trades_every_utc_day_from_the_first_bitcoin_bar() -> None:
    found = sessions(get_market("crypto"), date(2010, 7, 17), date(2026, 7, 17))
    assert len(found) == (date(2026, 7, 17) - date(2010, 7, 17)).days
    assert (found[0].opens, found[0].closes) == (utc(2010, 7, 17), utc(2010, 7, 18))
    assert all(session.break_starts is None for session in found)


@pytest.mark.parametrize("calendar", ["24/7", "HOSE", "XNYS"])
def test_a_span_asked_in_parts_equals_the_span(calendar: str) -> None:
    whole = days(calendar, date(2008, 1, 1), date(2026, 1, 1))
    cuts = [date(2008, 1, 1), date(2009, 12, 31), date(2010, 1, 1), date(2019, 6, 15), date(2026, 1, 1)]
    parts = [days(calendar, *cut) for cut in pairwise(cuts)]
    for name in ("dates", "opens", "break_starts", "break_ends", "closes"):
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate([getattr(p, name) for p in parts]))
    assert len(days(calendar, date(2026, 1, 1), date(2026, 1, 1))) == 0


@pytest.mark.parametrize("calendar", ["24/7", "HOSE", "XNYS", "XTKS"])
def test_instants_of_a_session_are_in_order(calendar: str) -> None:
    found = days(calendar, date(2015, 1, 1), date(2026, 1, 1))
    assert (found.opens < found.break_starts).all()
    assert (found.break_starts <= found.break_ends).all()
    assert (found.break_ends <= found.closes).all()
    assert (found.closes[:-1] <= found.opens[1:]).all()


def test_an_unknown_calendar_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="There is no calendar 'NOWHERE'"):
        days("NOWHERE", date(2025, 1, 1), date(2025, 2, 1))


def test_a_calendar_that_ends_serves_its_last_decade_and_says_where_it_ends() -> None:
    import exchange_calendars

    last = type(exchange_calendars.get_calendar("XSHG")).bound_max().date()
    assert len(days("XSHG", last - timedelta(days=30), last + timedelta(days=1))) > 15
    with pytest.raises(BadInput, match=f"XSHG is not known on .* Ask up to {last + timedelta(days=1)}"):
        days("XSHG", last, last + timedelta(days=2))


def test_before_a_calendar_begins_there_are_no_sessions() -> None:
    import exchange_calendars

    first = type(exchange_calendars.get_calendar("XSHG")).bound_min().date()
    assert len(days("XSHG", date(1901, 1, 1), date(1901, 6, 1))) == 0
    assert len(days("XSHG", first, first + timedelta(days=30))) > 15


@pytest.mark.parametrize("code", ["vn", "crypto"])
def test_asking_vietnam_or_crypto_imports_no_pandas(code: str) -> None:
    program = (
        "import sys, datetime; from hypertape.calendars import sessions; from hypertape.markets import get_market;"
        f"found = sessions(get_market({code!r}), datetime.date(2015, 1, 5), datetime.date(2026, 1, 1));"
        "assert len(found) > 2700; sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
