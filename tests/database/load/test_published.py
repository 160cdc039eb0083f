"""What is published of a series: the bars and averages it had when its checks passed, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from lab import new_ticker, query, value
from test_as_of import random_load

from hypertape.markets import get_market
from hypertape.warehouse.connect import connect

CRYPTO = get_market("crypto")
RELATIONS = ("crypto_data_1d", "crypto_data_1w", "crypto_data_2w", "crypto_data_1mo")


def publish(connection: Any, tickers: Iterable[str], run: str = "publish") -> None:
    """Publish all that is stored of some series."""
    instant = value(connection, "select known_now()")
    connection.execute(
        hyper_query("publish_series"),
        {"market": "crypto", "interval": "1d", "tickers": list(tickers), "run_id": run, "instant": instant},
    )


def hyper_query(name: str) -> Any:
    from hypertape.queries import query as of_file

    return of_file(name)


def final(connection: Any, tickers: list[str], columns: str = "*") -> list[tuple[Any, ...]]:
    """What public has of some series, without the bars that are still open."""
    return query(
        connection,
        f"select {columns} from crypto_data_1d as bar where ticker = any(%s) and not exists (select from series where "
        "market = 'crypto' and interval = '1d' and series.ticker = bar.ticker and provisional_time = bar.time) "
        "order by ticker, time",
        tickers,
    )


def published(connection: Any, tickers: list[str], relation: str = "crypto_data_1d") -> list[tuple[Any, ...]]:
    return query(
        connection,
        f"select * from published.{relation} where ticker = any(%s) order by ticker, time",
        tickers,
    )


def test_a_hundred_random_loads_and_publications(common_warehouse):
    """Whatever is loaded, readers keep what they had at the last publication of each series, averages included."""
    random = np.random.default_rng(7)
    tickers = [f"{new_ticker('PU')}{seed}" for seed in range(4)]
    held = {ticker: [] for ticker in tickers}
    with connect(common_warehouse, autocommit=True) as connection:
        behind = 0
        for number in range(100):
            random_load(connection, tickers, random, f"published {number}")
            chosen = [ticker for ticker in tickers if random.random() < 0.3]
            publish(connection, chosen)
            held |= {ticker: final(connection, [ticker]) for ticker in chosen}
            expected = [row for ticker in tickers for row in held[ticker]]
            assert published(connection, tickers) == expected, number
            behind += expected != final(connection, tickers)
        assert behind > 50
