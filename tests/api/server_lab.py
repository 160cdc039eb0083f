"""A warehouse wide enough to keep `hypertape serve` busy."""

from __future__ import annotations

import numpy as np
from api_lab import D1, NOW, VN

from hypertape.frame import bar_frame, micros
from hypertape.model import Window, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.loading.load import LoadRequest, load_bars


def fill_wide(dsn: str, tickers: int, bars: int) -> None:
    """Load so many days of so many tickers."""
    time = micros(utc(2023)) + np.arange(bars) * 86_400_000_000
    values = np.tile(1000 + np.arange(bars) / 100, tickers)
    names = np.repeat([f"T{k:05}" for k in range(tickers)], bars)
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), values)
    request = LoadRequest(VN, D1, "lab", "csv_tree", Window(utc(1900), utc(2100)), NOW)
    with connect(dsn) as connection:
        load_bars(connection, bar_frame(names, np.tile(time, tickers), columns), request)
