"""The answer to a question of /tickers as pandas computes it from the bars that were loaded, for comparison."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from api_lab import D1, H1, M1, Frames

from hypertape.model import Interval

BASES: dict[str, Interval] = {
    "1D": D1, "1W": D1, "2W": D1, "1M": D1, "1H": H1, "4h": H1, "1m": M1, "5m": M1, "15m": M1, "30m": M1,
}  # fmt: skip
DAILY = ("1D", "1W", "2W", "1M")
LENGTHS = (10, 20, 50, 100, 200)
MARKETS = {"vn": ["vn"], "stock": ["vn"], "crypto": ["crypto"], "us": ["us"], "all": ["vn", "crypto", "us"]}
PRICES = ["open", "high", "low", "close", "volume"]


def answer(frames: Frames, asked: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What /tickers should answer, JSON as Python sees it."""
    interval = asked.get("interval", "1D")
    markets = MARKETS[asked.get("mode", "vn")]
    found: dict[str, list[dict[str, Any]]] = {}
    for market in markets:
        for ticker in sorted(t for m, i, t in frames if m == market and i is BASES[interval]):
            if asked.get("symbol") and ticker not in asked["symbol"]:
                continue
            name = ticker if ticker not in found or len(markets) == 1 else f"{market}:{ticker}"
            bars = chosen(followed(rolled(frames[market, BASES[interval], ticker], interval), asked), asked)
            found[name] = rows(bars, name, market, ticker, interval, asked)
    return {name: listed for name, listed in found.items() if listed}


def rolled(bars: pd.DataFrame, interval: str) -> pd.DataFrame:
    """Bars of a wider interval."""
    if interval in ("1D", "1H", "1m"):
        return bars[PRICES]
    times = bars.index
    if interval == "1M":
        opening = times.to_period("M").to_timestamp()
    elif interval in ("1W", "2W"):
        step = pd.Timedelta(weeks=int(interval[0]))
        opening = pd.DatetimeIndex(
            [pd.Timestamp(2000, 1, 3) + (t - pd.Timestamp(2000, 1, 3)) // step * step for t in times]
        )
    else:
        opening = times.floor(interval.replace("m", "min"))
    grouped = bars.groupby(opening)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return grouped.agg(how)[PRICES]


def followed(bars: pd.DataFrame, asked: Mapping[str, Any]) -> pd.DataFrame:
    """The bars with all indicators, as one would write them in pandas."""
    bars = bars.copy()
    close, volume = bars["close"], bars["volume"]
    for n in LENGTHS:
        bars[f"ma{n}"] = close.rolling(n).mean()
        bars[f"ma{n}_score"] = (close - bars[f"ma{n}"]) / bars[f"ma{n}"] * 100
    before, volume_before = close.shift(1), volume.shift(1)
    bars["close_changed"] = ((close - before) / before * 100).where(before > 0)
    bars["volume_changed"] = ((volume - volume_before) / volume_before * 100).where(volume_before > 0)
    bars["total_money_changed"] = (close - before) * volume
    for n in asked.get("ema", ()):
        bars[f"ema{n}"] = ema(close, n)
    if asked.get("ma") is False:
        bars = bars[[name for name in bars.columns if not name.startswith("ma")]]
    return bars


def ema(close: pd.Series, n: int) -> list[float]:
    """The recursion, seeded with the mean of the first n."""
    values = [np.nan] * len(close)
    if len(close) >= n:
        values[n - 1] = float(close.iloc[:n].mean())
        for position in range(n, len(close)):
            values[position] = values[position - 1] + 2 / (n + 1) * (
                close.iloc[position] - values[position - 1]
            )
    return values


def chosen(bars: pd.DataFrame, asked: Mapping[str, Any]) -> pd.DataFrame:
    """The bars inside the window, the oldest or newest of them."""
    start, end, limit = asked.get("start_date"), asked.get("end_date"), asked.get("limit")
    if start is not None:
        bars = bars[bars.index >= pd.Timestamp(start)]
    if end is not None:
        whole_day = isinstance(end, date) and not isinstance(end, datetime)
        bars = bars[
            bars.index < pd.Timestamp(end) + (timedelta(days=1) if whole_day else timedelta(microseconds=1))
        ]
    if start is not None:
        return bars if limit is None else bars.head(limit)
    return bars.tail(252 if limit is None else limit)


def rows(
    bars: pd.DataFrame, name: str, market: str, ticker: str, interval: str, asked: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The bars as the records of the answer."""
    factor = 1000 if asked.get("legacy") and market == "vn" and ticker != "VNINDEX" else 1
    text = "%Y-%m-%d" if interval in DAILY else "%Y-%m-%dT%H:%M:%S"
    listed = []
    for time, row in bars.iterrows():
        record = {"time": time.strftime(text), "symbol": name}
        for column, value in row.items():
            money = column in PRICES[:4] or column == "total_money_changed"
            money |= column.startswith(("ma", "ema")) and not column.endswith("_score")
            if not np.isnan(value):
                record[column] = value / factor if money else value
        listed.append(record)
    return listed
