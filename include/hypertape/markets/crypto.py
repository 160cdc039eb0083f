"""Crypto currencies in US dollars, traded around the clock; a session is a UTC day.

Yahoo leaves the bare name to the first coin that took it and numbers the later ones, so that `SUI-USD` is not Sui but
Salmonation and `UNI-USD` is UNICORN Token: such coins are listed with Yahoo's own symbol below.

The largest daily changes of Bitcoin itself are +80 % in its first week and -57 % on a single venue in 2014; since 2015
it has stayed within 40 %, and smaller coins rarely leave 60 %. Prices reach from millionths of a dollar to a hundred
thousand; only what is far beyond is taken for another unit.
"""

from datetime import date

from hypertape.model import Interval, Market

MARKET = Market(
    code="crypto",
    table="crypto_data",
    title="Crypto currencies",
    timezone="UTC",
    calendar="24/7",
    price_unit="USD",
    sources=("ccxt", "yahoo"),
    history_start={
        Interval.D1: date(2010, 7, 17),
        Interval.H1: date(2023, 9, 1),
        Interval.M1: date(2023, 9, 1),
    },
    schedule={Interval.D1: "10 0 * * *", Interval.H1: "5 * * * *", Interval.M1: "*/15 * * * *"},
    daily_move_limit=0.60,
    suffixes={"yahoo": "-USD"},
    symbols={
        "yahoo": {
            "APT": "APT21794-USD",
            "ARB": "ARB11841-USD",
            "COMP": "COMP5692-USD",
            "GRT": "GRT6719-USD",
            "HYPE": "HYPE32196-USD",
            "IMX": "IMX10603-USD",
            "JUP": "JUP29210-USD",
            "MNT": "MNT27075-USD",
            "PEPE": "PEPE24478-USD",
            "POL": "POL28321-USD",
            "STRK": "STRK22691-USD",
            "STX": "STX4847-USD",
            "SUI": "SUI20947-USD",
            "TAO": "TAO22974-USD",
            "TON": "TON11419-USD",
            "UNI": "UNI7083-USD",
        },
    },
    plausible_prices={"crypto": (1e-12, 1e8)},
    modes=("cryptos",),
)
