"""US stocks, indices and funds."""

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
    # after the close at 16:00 New York, in summer and winter time
    schedule={Interval.D1: "30 21 * * 1-5", Interval.H1: "5 * * * *", Interval.M1: "*/15 * * * *"},
    daily_move_limit=0.50,
    hour_mark=timedelta(minutes=30),  # the exchange opens at 09:30, and so do the hours counted from there
)
