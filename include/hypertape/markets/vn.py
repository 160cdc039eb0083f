"""Vietnamese stocks, funds and indices: HOSE, HNX and UPCOM.

Price bands around the reference price: HOSE ±7 %, HNX ±10 %, UPCOM ±15 %; on a ticker's first session, or its first
after 25 idle ones, ±20 %, ±30 % and ±40 % (https://hsc.com.vn/en/transaction-regulations, one page per exchange).
The ticker file does not say where a ticker is listed, and many moved between exchanges (ACB left HNX in December
2020), so one limit stands for all three: UPCOM's, and a little more because sources round adjusted prices. A first
session beyond it is reported, as it should be: somebody has to look.

Plausible prices: the cheapest shares of UPCOM are quoted at a few hundred VND, the dearest at 1.5 million (and adjusted
histories are cheaper than what was paid); files of the documents have thousands, where most stocks are below 250. The
smallest index is UPCOM's, about 100 points; a foreign index in the list may have tens of thousands.

Groups: 27 sectors of stocks (codes are Vietnamese without marks), INDEX and ETF.
"""

from datetime import date

from hypertape.model import Interval, Market

MARKET = Market(
    code="vn",
    table="market_data",
    title="Vietnamese stocks",
    timezone="Asia/Ho_Chi_Minh",
    calendar="HOSE",
    price_unit="VND",
    sources=("vci", "yahoo"),
    history_start={
        Interval.D1: date(2015, 1, 5),
        Interval.H1: date(2023, 9, 1),
        Interval.M1: date(2023, 9, 1),
    },
    # UTC; the exchanges trade 02:00–08:00. A bar is loaded when it is final, the last one after the close.
    schedule={Interval.D1: "30 8 * * 1-5", Interval.H1: "5 3-9 * * 1-5", Interval.M1: "*/15 2-8 * * 1-5"},
    daily_move_limit=0.16,
    suffixes={"yahoo": ".VN"},
    symbols={
        "vci": {"HNXINDEX": "HNXIndex", "UPCOMINDEX": "HNXUpcomIndex"},
        "yahoo": {"VNINDEX": "^VNINDEX.VN"},
    },
    file_scale=1000.0,
    plausible_prices={"stock": (250.0, 5e6), "etf": (250.0, 5e6), "index": (10.0, 2e5)},
    modes=("stock",),
    is_usual=True,
)
