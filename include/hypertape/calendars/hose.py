"""HOSE: when the Vietnamese exchanges trade. Rules only, no pandas: asking for sessions stays cheap.

`exchange.py` reads these rules directly; `hose_calendar.py` makes a proper `exchange_calendars` calendar of
them, and a test holds the two to each other.

Hours (Asia/Ho_Chi_Minh, UTC+7 without daylight saving): Monday to Friday 09:00–11:30 and 13:00–15:00, the
same on HOSE, HNX and UPCOM. On HOSE the first 15 minutes collect orders for one opening match, continuous
trading ends at 14:30, the closing match is at 14:45, and put-through deals run to 15:00. HNX and UPCOM trade
continuously from 09:00. Sources: bsc.com.vn/en/trading-session-on-the-market (all three),
hsc.com.vn/en/transaction-regulations/12-hnx-trading-regulations.html (HNX, and the rest at lunch).

Holidays: the exchanges close on the public holidays of the Labour Code (2019, article 112) and on the working
days the government swaps for a Saturday, on which they do not trade either. The `holidays` package carries
both.

How far this can be trusted:

- 2015-01-05 to 2025-08-25: every session of VNINDEX, no more and no fewer (a test reads the real file).
- 2026: the twelve days HOSE announced (cafef.vn, 2025-12-09), and 24 November, the Vietnam Culture Day that
  became a public holiday afterwards and that no announcement seen so far confirms for the exchanges.
- 2027 and later: the lunar feasts are computed. Which side of 2 September is free, how long Tết lasts and
  which working days are swapped is decided each autumn; upgrade `holidays` then.
- Before 2015: the holidays are by rule and unchecked, and the hours were shorter than these.

Exceptional closures: HOSE alone stood still on 2018-01-23 and 2018-01-24 after its matching system failed.
HNX and UPCOM traded, and vendors publish bars without volume for HOSE tickers: both days are sessions here.
"""

from __future__ import annotations

from datetime import date, time

TIMEZONE = "Asia/Ho_Chi_Minh"
OPENS = time(9, 0)
BREAK_STARTS = time(11, 30)
BREAK_ENDS = time(13, 0)
CLOSES = time(15, 0)

OPENING_MATCH_MINUTES = 15
"""Minutes after the opening in which HOSE only collects orders."""

CLOSING_MATCH_MINUTES = 30
"""Minutes before the close without continuous trading on HOSE."""

FIRST_SESSION = date(2000, 7, 28)
UNKNOWN_FROM = date(2100, 1, 1)
"""The lunar calendar of the `holidays` package ends before this day."""


def closures(first_year: int, last_year: int) -> list[date]:
    """The dates the exchanges are closed as holidays, weekends among them or not; both years included."""
    import holidays  # noqa: PLC0415 (0.2 s)

    return sorted(holidays.country_holidays("VN", years=range(first_year, last_year + 1)))
