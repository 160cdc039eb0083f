"""Vietnamese stocks and indices: HOSE, HNX and UPCOM."""

from datetime import date

from hypertape.model import Interval, Market

MARKET = Market(
    code="vn",
    table="market_data",
    title="Vietnamese stocks",
    timezone="Asia/Ho_Chi_Minh",
    calendar="HOSE",
    price_unit="VND",
    sources=("yahoo",),
    history_start={
        Interval.D1: date(2015, 1, 5),
        Interval.H1: date(2023, 9, 1),
        Interval.M1: date(2023, 9, 1),
    },
    # after the close at 15:00 local = 08:00 UTC; intraday every hour and every quarter of an hour
    schedule={Interval.D1: "30 8 * * 1-5", Interval.H1: "5 * * * *", Interval.M1: "*/15 * * * *"},
    daily_move_limit=0.16,  # UPCOM's band is ±15 %, HNX ±10 %, HOSE ±7 %
    yahoo_suffix=".VN",
    file_scale=1000.0,
)
