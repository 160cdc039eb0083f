"""US stocks, funds and indices, in Yahoo's spelling (`BRK-B`, `^GSPC`).

Groups: DOW_30 has all thirty members as of the index's change of 2024-11-08 (NVDA and SHW for INTC and DOW). A ticker
has one group, so SP_100 and NASDAQ_100 list the members that are in no group before them; both are selections of the
lasting members, not the exact index of any day.

A US stock has no daily limit; the halts at -7, -13 and -20 % are the market's. At 40 % a two-for-one split that no
source reported (-50 %) is still seen, and a large company rarely moves as far. Plausible prices are wide: a share costs
up to a million dollars, many splits make early prices fractions of a cent, and reverse splits make them millions.
"""

from datetime import date, timedelta

from hypertape.model import Interval, Market

MARKET = Market(
    code="us",
    table="us_data",
    title="US stocks",
    timezone="America/New_York",
    calendar="XNYS",
    price_unit="USD",
    sources=("yahoo",),
    history_start={
        Interval.D1: date(1990, 1, 2),
        Interval.H1: date(2023, 9, 1),
        Interval.M1: date(2023, 9, 1),
    },
    # UTC; New York trades 13:30–20:00 in summer and 14:30–21:00 in winter, and hourly bars end at half past.
    schedule={
        Interval.D1: "30 21 * * 1-5",
        Interval.H1: "35 14-21 * * 1-5",
        Interval.M1: "*/15 13-21 * * 1-5",
    },
    daily_move_limit=0.40,
    hour_mark=timedelta(minutes=30),
    plausible_prices={"stock": (1e-5, 1e8), "etf": (1e-3, 1e6), "index": (1e-3, 1e6)},
    modes=("yahoo",),
)
