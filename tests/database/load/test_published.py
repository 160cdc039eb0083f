"""What is published of a series: the bars and averages it had when its checks passed, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from lab import LONG_AGO, compress_long_ago, instant, new_ticker, put, query, value, walk
from test_as_of import random_load

from hypertape.queries import query as of_file
from hypertape.queries import sql_directory
from hypertape.warehouse.connect import connect


def publish(connection: Any, tickers: Iterable[str], run: str = "publish") -> None:
    """Publish all that is stored of some series."""
    instant = value(connection, "select known_now()")
    connection.execute(
        of_file("publish_series"),
        {"market": "crypto", "interval": "1d", "tickers": list(tickers), "run_id": run, "instant": instant},
    )


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


def test_the_newest_bars_are_found_from_the_end(common: Any) -> None:
    """What tells stored from former bars stands outside of the view's union; inside it a whole series would be read."""
    ticker = new_ticker("NEW")
    put(common, {ticker: walk(3_000)})
    publish(common, [ticker])
    common.execute("analyze bars.crypto_data_1d")
    newest = f"select * from published.crypto_data_1d where ticker = '{ticker}' order by time desc limit 100"
    ((plan,),) = query(common, f"explain (analyze, format json, timing off) {newest}")
    assert rows_read(plan[0]["Plan"]) < 500


def rows_read(plan: dict[str, Any]) -> float:
    """Rows that the scans of bars below a node gave."""
    below = sum(rows_read(each) for each in plan.get("Plans", []))
    scanned = "Scan" in plan["Node Type"] and "crypto_data_1d" in plan.get("Index Name", "")
    return below + (plan["Actual Rows"] * plan["Actual Loops"] if scanned else 0)


@pytest.mark.parametrize(
    "relation", ["crypto_data_1d", "crypto_data", "published.crypto_data_1d", "published.crypto_data"]
)
def test_compressed_bars_are_read_in_order(common: Any, relation: str) -> None:
    """TimescaleDB 2.29 on PostgreSQL 18 cannot order a compressed part of a union by itself."""
    tickers = [new_ticker("OR"), new_ticker("OR")]
    bars = walk(400, start=LONG_AGO)
    put(common, dict.fromkeys(tickers, bars))
    publish(common, tickers)
    compress_long_ago(common, "bars.crypto_data_1d")
    expected = [(ticker, instant(int(at))) for ticker in tickers for at in bars.time]
    read = f"select ticker, time from {relation} where ticker = any(%s) order by"
    assert query(common, f"{read} ticker, time", tickers) == expected
    assert query(common, f"{read} ticker desc, time desc limit 500", tickers) == expected[:-501:-1]


def test_what_was_stored_before_the_upgrade_is_published(connection: Any) -> None:
    put(connection, {"AAA": walk(100)})
    connection.execute("truncate published, published_session")
    migration = (sql_directory() / "migrations" / "0023_published.sql").read_text()
    connection.execute(migration[migration.index("insert into published (") :])
    assert published(connection, ["AAA"]) == final(connection, ["AAA"])
    assert value(connection, "select run_id from published") == "upgrade"
