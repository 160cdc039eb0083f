"""Any window, limit and tickers of any interval against SQL over its relation, bit for bit.

Bars are read by a plain statement with the question's own bounds. The indicators of stored intervals are the
relation's; those of rollups are what the load's functions make of the relation's whole series.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from api_lab import VN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from reference import BASES, DAILY
from starlette.testclient import TestClient
from test_answers import DAY, INSTANT, LATE_DAY, is_backwards, parameters

from hypertape.indicators import enrich
from hypertape.markets import get_market
from hypertape.model import INDICATOR_COLUMNS
from thorough import examples

PRICES = ("open", "high", "low", "close", "volume")
FOUR_HOURS = (
    "(select ticker, date_bin('4 hours', time, '2000-01-01 00:00+00') as time, "
    "(array_agg(open order by time))[1] as open, max(high) as high, min(low) as low, "
    "(array_agg(close order by time desc))[1] as close, sum(volume) as volume from {table}_1h group by 1, 2) as bar"
)
ASKED = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(sorted(BASES)),
        "mode": st.sampled_from(["vn", "crypto", "us"]),
        "symbol": st.lists(st.sampled_from(["VCB", "FPT", "VNINDEX", "NEW", "ONE", "VNM", "BTC"]), min_size=1,
                           max_size=5, unique=True),
    },
    optional={
        "start_date": DAY | INSTANT | LATE_DAY,
        "end_date": DAY | INSTANT | LATE_DAY,
        "limit": st.integers(1, 5) | st.integers(1, 700),
    },
)  # fmt: skip


def relation(asked: dict[str, Any]) -> str:
    table, interval = get_market(asked["mode"]).table, asked["interval"]
    if interval == "4h":
        return FOUR_HOURS.format(table=table)
    return f"{table}_{ {'1M': '1mo'}.get(interval, interval.lower()) } as bar"


def columns(asked: dict[str, Any]) -> tuple[str, ...]:
    return (*PRICES, *INDICATOR_COLUMNS) if asked["interval"] in ("1D", "1H", "1m") else PRICES


def bounds(asked: dict[str, Any]) -> tuple[datetime, datetime]:
    """The question's window, half-open; open where nothing is said."""
    start, end = asked.get("start_date"), asked.get("end_date")
    low = as_instant(start or date(1900, 1, 1))
    if end is None:
        return low, as_instant(date(2100, 1, 1))
    return low, as_instant(end) + (
        timedelta(microseconds=1) if isinstance(end, datetime) else timedelta(days=1)
    )


def as_instant(when: date) -> datetime:
    return when if isinstance(when, datetime) else datetime.combine(when, time())


def selected(connection: Any, asked: dict[str, Any], ticker: str) -> list[dict[str, Any]]:
    """The bars of one ticker that were asked for, oldest first."""
    newest = "start_date" not in asked
    limit = asked.get("limit", 252 if newest else None)
    statement = (
        f"select time at time zone 'UTC' as time, {', '.join(columns(asked))} from {relation(asked)} "
        "where ticker = %s and time >= %s::timestamp at time zone 'UTC' "
        "and time < %s::timestamp at time zone 'UTC' "
        f"order by bar.time {'desc' if newest else 'asc'} limit %s"
    )
    rows = connection.execute(statement, (ticker, *bounds(asked), limit)).fetchall()
    return rows[::-1] if newest else rows


def with_indicators(connection: Any, asked: dict[str, Any], ticker: str, rows: list[dict[str, Any]]) -> None:
    """Add to rollup bars what the whole series' closes and volumes make of them."""
    if columns(asked) != PRICES:
        return
    prices = "select time at time zone 'UTC' as time, close, volume"
    statement = f"{prices} from {relation(asked)} where ticker = %s order by 1"
    whole = connection.execute(statement, (ticker,)).fetchall()
    made = enrich(*(np.array([row[name] for row in whole], np.float64) for name in ("close", "volume")))
    places = {row["time"]: place for place, row in enumerate(whole)}
    for row in rows:
        row |= {name: made[name][places[row["time"]]].item() for name in INDICATOR_COLUMNS}


def as_told(row: dict[str, Any], ticker: str, interval: str) -> dict[str, Any]:
    text = "%Y-%m-%d" if interval in DAILY else "%Y-%m-%dT%H:%M:%S"
    known = {name: value for name, value in row.items() if value is not None and value == value}
    return {**known, "symbol": ticker, "time": row["time"].strftime(text)}


@pytest.fixture(scope="module")
def connection(filled: str) -> Any:
    with psycopg.connect(filled, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@settings(
    max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=ASKED)
def test_any_question_is_answered_as_sql_answers_it(client: TestClient, connection: Any, asked: Any) -> None:
    response = client.get("/tickers", params=parameters(asked))
    if is_backwards(asked):
        assert response.status_code == 400
        return
    expected = {}
    for ticker in asked["symbol"]:
        rows = selected(connection, asked, ticker)
        with_indicators(connection, asked, ticker, rows)
        if rows:
            expected[ticker] = [as_told(row, ticker, asked["interval"]) for row in rows]
    assert response.json() == expected


@pytest.mark.parametrize("interval", sorted(BASES))
def test_the_whole_of_a_series_is_compared_too(client: TestClient, connection: Any, interval: str) -> None:
    """So that no interval's comparison is one of nothing with nothing."""
    asked = {"interval": interval, "mode": VN.code, "symbol": ["VCB"], "start_date": date(2000, 1, 1)}
    rows = selected(connection, asked, "VCB")
    with_indicators(connection, asked, "VCB", rows)
    got = client.get("/tickers", params=parameters(asked)).json()["VCB"]
    assert got == [as_told(row, "VCB", interval) for row in rows]
    assert len(got) > 10
    assert all("close_changed" in bar for bar in got[1:])
