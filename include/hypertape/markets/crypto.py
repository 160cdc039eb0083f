"""Crypto currencies in US dollars, traded around the clock."""

from datetime import date

from hypertape.model import Interval, Market

MARKET = Market(
    code="crypto",
    table="crypto_data",
    title="Crypto currencies",
    timezone="UTC",
    calendar="24/7",
    price_unit="USD",
    sources=("yahoo",),
    history_start={
        Interval.D1: date(2010, 7, 17),
        Interval.H1: date(2023, 9, 1),
        Interval.M1: date(2023, 9, 1),
    },
    schedule={Interval.D1: "10 0 * * *", Interval.H1: "5 * * * *", Interval.M1: "*/15 * * * *"},
    daily_move_limit=0.60,
    yahoo_suffix="-USD",
)
