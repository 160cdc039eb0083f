"""What the API's tests share: a warehouse with a few awkward series, an app that lets everybody in, and pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from fastapi import FastAPI
from starlette.testclient import TestClient

from hypertape.api import Access, create_app
from hypertape.frame import bar_frame, micros
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, utc
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import register_symbols
from hypertape.warehouse.loading.load import LoadRequest, load_bars
from hypertape.warehouse.rollups import refresh_pending

VN, CRYPTO, US = (get_market(code) for code in ("vn", "crypto", "us"))
D1, H1, M1 = Interval.D1, Interval.H1, Interval.M1
NOW = datetime.now(UTC) + timedelta(days=1)
"""Loads are stamped by the server's clock, so that the tests' instant lies just after it, whenever they run."""

DAYS = [day for day in pd.date_range("2023-01-02", "2024-03-29", freq="D") if day.weekday() < 5]
HOURS = [day + pd.Timedelta(hours=hour) for day in DAYS[-130:] for hour in (2, 3, 4, 6, 7)]
MINUTES = [
    day + pd.Timedelta(hours=2, minutes=minute) for day in DAYS[-12:] for minute in range(150) if minute % 7
]

Frames = dict[tuple[str, Interval, str], pd.DataFrame]


def walk(times: list[Any], seed: int) -> pd.DataFrame:
    """A random walk of prices in hundredths, with volumes of which some are zero."""
    random = np.random.default_rng(seed)
    close = np.round(
        20_000 + 50 * random.integers(-9, 10, len(times)).cumsum() + random.random(len(times)), 2
    )
    opened = np.round(close + random.integers(-30, 31, len(times)), 2)
    high, low = (
        np.maximum(opened, close) + random.integers(0, 9),
        np.minimum(opened, close) - random.integers(0, 9),
    )
    volume = random.integers(0, 5, len(times)) * 100.0
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(times, name="time"))


def series() -> Frames:
    """Every stored series of the tests: long and short ones, one bar, one ticker in two markets, an index."""
    made: Frames = {
        ("vn", D1, "VCB"): walk(DAYS, 1),
        ("vn", D1, "FPT"): walk([day for k, day in enumerate(DAYS) if k % 5], 2),
        ("vn", D1, "VNINDEX"): walk(DAYS, 3),
        ("vn", D1, "NEW"): walk(DAYS[-3:], 4),
        ("vn", D1, "ONE"): walk(DAYS[-1:], 5),
        ("vn", D1, "VNM"): walk(DAYS[:40], 6),
        ("us", D1, "VNM"): walk(DAYS[10:60], 7),
        ("crypto", D1, "BTC"): walk(list(pd.date_range("2023-06-01", "2024-03-29", freq="D")), 8),
    }
    for ticker, seed in (("VCB", 11), ("FPT", 12)):
        made["vn", H1, ticker] = walk(HOURS[seed - 11 :], seed)
        made["vn", M1, ticker] = walk(MINUTES[3 * (seed - 11) :], seed + 10)
    return made


def fill(dsn: str, frames: Frames) -> None:
    """Load the series and refresh their rollups."""
    by_relation: dict[tuple[str, Interval], dict[str, pd.DataFrame]] = {}
    for (market, interval, ticker), frame in frames.items():
        by_relation.setdefault((market, interval), {})[ticker] = frame
    for (code, interval), tickers in by_relation.items():
        put(dsn, get_market(code), interval, tickers)


def put(
    dsn: str, market: Market, interval: Interval, frames: Mapping[str, pd.DataFrame], *, refresh: bool = True
) -> None:
    """Load some series of one relation."""
    request = LoadRequest(market, interval, "lab", "csv_tree", Window(utc(1900), utc(2100)), NOW)
    with connect(dsn) as connection:
        load_bars(connection, arrow(frames), request)
        register_symbols(connection, market, sorted(frames))
    if refresh:
        refresh_pending(dsn, market, interval)


def arrow(frames: Mapping[str, pd.DataFrame]) -> pa.Table:
    """The normalised frame of some series."""
    tables = []
    for ticker, frame in sorted(frames.items()):
        times = np.array([micros(t.to_pydatetime().replace(tzinfo=UTC)) for t in frame.index], np.int64)
        tables.append(bar_frame(ticker, times, {name: frame[name].to_numpy() for name in frame.columns}))
    return pa.concat_tables(tables)


def let_in(access: Access) -> Callable[[], None]:
    """An authorize that admits everybody."""

    def admitted() -> None:
        return None

    return admitted


def open_app(dsn: str, settings: Settings | None = None) -> FastAPI:
    """An app on a warehouse without any login."""
    return create_app(settings or Settings(), authorize=let_in, clock=lambda: NOW, dsn=lambda: dsn)


@contextmanager
def client_of(app: FastAPI) -> Iterator[TestClient]:
    """A client whose requests run through the whole app; errors become answers, as on a server."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
