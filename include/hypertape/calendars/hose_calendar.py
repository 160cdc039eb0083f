"""The rules of `hose` as an `exchange_calendars` calendar. It imports pandas: import it only where needed."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pandas as pd
from exchange_calendars import ExchangeCalendar

from hypertape.calendars import hose


class HOSEExchangeCalendar(ExchangeCalendar):  # type: ignore[misc]
    """Ho Chi Minh City Stock Exchange, with HNX and UPCOM; hours and sources are in `hose`.

    `HOSEExchangeCalendar(start="2015-01-01", end="2027-12-31")` has every method of the library;
    `exchange_calendars.register_calendar_type("HOSE", HOSEExchangeCalendar)` makes it known there by name.
    """

    name = "HOSE"
    tz = ZoneInfo(hose.TIMEZONE)
    open_times = ((None, hose.OPENS),)
    break_start_times = ((None, hose.BREAK_STARTS),)
    break_end_times = ((None, hose.BREAK_ENDS),)
    close_times = ((None, hose.CLOSES),)

    @classmethod
    def bound_min(cls) -> pd.Timestamp:
        """The first session ever."""
        return pd.Timestamp(hose.FIRST_SESSION)

    @classmethod
    def bound_max(cls) -> pd.Timestamp:
        """The last day the lunar calendar is known for."""
        return pd.Timestamp(hose.UNKNOWN_FROM) - pd.Timedelta(days=1)

    @property
    def adhoc_holidays(self) -> list[pd.Timestamp]:
        """Every closure: the swapped days and the lunar feasts have no yearly rule pandas could state."""
        return [
            pd.Timestamp(day) for day in hose.closures(hose.FIRST_SESSION.year, hose.UNKNOWN_FROM.year - 1)
        ]
