"""What the quality tests share: clean series on real calendars, stored with their indicators, and suites over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from hypertape import calendars, indicators
from hypertape.frame import VALUE_COLUMNS, Bars, instant
from hypertape.markets import get_market
from hypertape.model import STORED_INDICATOR_COLUMNS, Interval, Market, Window, utc
from hypertape.quality.results import FAILED, QualityResult
from hypertape.quality.run import validate
from hypertape.warehouse.ledger import register_calendar

Connection = psycopg.Connection[Any]
Series = dict[str, Bars]

VN, CRYPTO, US = (get_market(code) for code in ("vn", "crypto", "us"))
D1, H1, M1 = Interval.D1, Interval.H1, Interval.M1

MONDAY = utc(2024, 1, 15)
KEY = ("BAD", "2024-01-15")
ON = [("AAA", "2024-01-15")]
PRICES = ("open", "high", "low", "close", "adjusted_close")

COLUMNS = ("ticker", "time", *VALUE_COLUMNS, *STORED_INDICATOR_COLUMNS, "load_id")

# (market, interval): history before the window, the window, and when the check runs. Each now is at rest: the window of
# vn ends inside the closure of Tet, and that of us on a Sunday.
SPANS: dict[tuple[str, Interval], tuple[datetime, Window, datetime]] = {
    ("vn", D1): (utc(2023, 1, 1), Window(utc(2023, 10, 1), utc(2024, 2, 14)), utc(2024, 2, 13, 9)),
    ("crypto", D1): (utc(2023, 1, 1), Window(utc(2023, 10, 1), utc(2024, 2, 1)), utc(2024, 2, 1, 0, 10)),
    ("us", D1): (utc(2023, 1, 1), Window(utc(2023, 10, 1), utc(2024, 2, 5)), utc(2024, 2, 4, 12)),
    ("vn", H1): (utc(2023, 12, 1), Window(utc(2024, 1, 8), utc(2024, 2, 1)), utc(2024, 2, 1)),
    ("us", H1): (utc(2023, 12, 1), Window(utc(2024, 1, 8), utc(2024, 2, 1)), utc(2024, 2, 1)),
    ("crypto", M1): (utc(2024, 1, 8), Window(utc(2024, 1, 9), utc(2024, 1, 11)), utc(2024, 1, 11)),
}


def clean(market: Market, interval: Interval, tickers: Sequence[str] = ("AAA", "BBB")) -> Series:
    """Series with every bar of the calendar and nothing that a rule would find."""
    history, window, _ = SPANS[market.code, interval]
    times = calendars.expected_times(market, interval, Window(history, window.end))
    return {ticker: _walk(times, seed) for seed, ticker in enumerate(tickers)}


def _walk(times: Any, seed: int) -> Bars:
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.002, len(times))))
    opened = close * random.uniform(0.999, 1.001, len(times))
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    return Bars(times, opened, high, low, close, random.uniform(500.0, 1500.0, len(times)), close.copy())


def store(connection: Connection, market: Market, interval: Interval, series: Series) -> None:
    """Make these the only bars of the relation, with their indicators and their rows in `series`."""
    connection.execute("delete from bars." + market.relation(interval))
    connection.execute(
        "delete from series where market = %s and interval = %s", (market.code, interval.value)
    )
    for ticker, bars in series.items():
        add(connection, market, interval, _rows(ticker, bars))
        keep = (
            "insert into series (market, interval, ticker, first_time, last_time) values (%s, %s, %s, %s, %s)"
        )
        ends = (instant(bars.time[0]), instant(bars.time[-1]))
        connection.execute(keep, (market.code, interval.value, ticker, *ends))


def _rows(ticker: str, bars: Bars) -> list[tuple[Any, ...]]:
    computed = indicators.enrich(bars.close, bars.volume)
    columns = [
        *(getattr(bars, name) for name in VALUE_COLUMNS),
        *(computed[name] for name in STORED_INDICATOR_COLUMNS),
    ]
    values = np.column_stack(columns).tolist()
    return [
        (ticker, instant(time), *(None if np.isnan(value) else value for value in row), 1)
        for time, row in zip(bars.time, values, strict=True)
    ]


def add(connection: Connection, market: Market, interval: Interval, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows with the columns of `COLUMNS`."""
    copy = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier("bars", market.relation(interval)), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    )
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        for row in rows:
            stream.write_row(row)


def lone(time: datetime, *, ticker: str = "BAD", **values: Any) -> list[Any]:
    """One bar of a ticker that has no other: its indicators are all empty, so only `values` can be wrong."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 5.0}
    row |= {"ticker": ticker, "time": time, "load_id": 1} | values
    return list(row.values())


def edited(bars: Bars, change: Callable[[dict[str, Any]], None]) -> Bars:
    """A copy whose arrays (`time` and the values) `change` may alter or replace."""
    columns = {name: getattr(bars, name).copy() for name in ("time", *VALUE_COLUMNS)}
    change(columns)
    return Bars(**columns)


def without(*places: int) -> Callable[[dict[str, Any]], None]:
    def alter(columns: dict[str, Any]) -> None:
        for name, values in columns.items():
            columns[name] = np.delete(values, places)

    return alter


def scaled(factor: float, start: int, *names: str) -> Callable[[dict[str, Any]], None]:
    def alter(columns: dict[str, Any]) -> None:
        for name in names:
            columns[name][start:] *= factor

    return alter


def unconstrained(connection: Connection, market: Market, interval: Interval) -> None:
    """Replace the relation by a table that takes anything, as after a restore that lost its constraints."""
    relation = sql.Identifier("bars", market.relation(interval))
    connection.execute(sql.SQL("alter table {} rename to kept").format(relation))
    connection.execute(sql.SQL("create table {} as select * from bars.kept").format(relation))


def check(
    dsn: str, connection: Connection, market: Market, interval: Interval, **options: Any
) -> dict[str, QualityResult]:
    """Run the suite over the window of `SPANS`; the results by rule."""
    _, window, now = SPANS[market.code, interval]
    asked = {"run_id": "test", "now": now, **options}
    window = asked.pop("window", window)
    register_calendar(connection, market, window, asked["now"])
    results = validate(dsn, connection, market, interval, window, **asked)
    return {result.expectation: result for result in results}


def failed(results: Mapping[str, QualityResult]) -> dict[str, list[tuple[str, str]]]:
    """The sample keys of every rule that failed; a broken one has its error for a key."""
    return {
        name: [(key.get("ticker"), key.get("time")) for key in result.sample]
        if result.status == FAILED
        else [("broken", str(result.error))]
        for name, result in results.items()
        if result.status not in ("passed", "not_evaluated")
    }
