"""Answers of /tickers against the same bars computed another way."""

from __future__ import annotations

import csv
import io
import math
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from api_lab import VN, Frames
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from reference import BASES, DAILY, answer
from starlette.testclient import TestClient

from hypertape.api.bar_encoder import CSV_HEADER
from hypertape.api.bar_query import SPELLINGS
from hypertape.model import INDICATOR_COLUMNS
from hypertape.warehouse.connect import connect
from thorough import examples, is_thorough

TICKERS = ("VCB", "FPT", "VNINDEX", "NEW", "ONE", "VNM", "BTC", "NOPE")
DAY = st.dates(date(2022, 12, 20), date(2024, 4, 5))
LATE_DAY = st.dates(date(2024, 3, 20), date(2024, 4, 1))
INSTANT = st.builds(
    lambda day, minutes: datetime.combine(day, time()) + timedelta(minutes=minutes),
    LATE_DAY,
    st.integers(0, 1439),
)
ASKED = st.fixed_dictionaries(
    {"interval": st.sampled_from(SPELLINGS)},
    optional={
        "symbol": st.lists(
            st.sampled_from(TICKERS), min_size=1, max_size=5, unique=True
        ),
        "start_date": DAY | INSTANT | LATE_DAY,
        "end_date": DAY | INSTANT | LATE_DAY,
        "limit": st.integers(1, 5) | st.integers(1, 700),
        "mode": st.sampled_from(["vn", "stock", "crypto", "us", "all"]),
        "legacy": st.booleans(),
        "ma": st.booleans(),
        "ema": st.sampled_from([[3], [10, 26], [200]]),
    },
)  # fmt: skip


def parameters(asked: dict[str, Any]) -> dict[str, Any]:
    """The question as a query string's parts."""
    told = dict(asked)
    for name in ("legacy", "ma"):
        if name in told:
            told[name] = str(told[name]).lower()
    for name in ("start_date", "end_date"):
        if name in told:
            told[name] = told[name].isoformat()
    if "ema" in told:
        told["ema"] = ",".join(map(str, told["ema"]))
    return told


def is_backwards(asked: dict[str, Any]) -> bool:
    start, end = asked.get("start_date"), asked.get("end_date")
    if start is None or end is None:
        return False
    whole = timedelta(0) if isinstance(end, datetime) else timedelta(days=1)
    return as_instant(start) >= as_instant(end) + max(whole, timedelta(microseconds=1))


def as_instant(when: date) -> datetime:
    return when if isinstance(when, datetime) else datetime.combine(when, time())


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """The same keys and texts, and numbers that differ by rounding only: pandas sums in another order."""
    return one.keys() == other.keys() and all(
        value == other[name]
        if isinstance(value, str)
        else math.isclose(value, other[name], rel_tol=1e-9, abs_tol=1e-7)
        for name, value in one.items()
    )


@settings(
    max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=ASKED)
def test_any_question_is_answered_as_pandas_answers_it(client: TestClient, frames: Frames, asked) -> None:
    response = client.get("/tickers", params=parameters(asked))
    if is_backwards(asked):
        assert response.status_code == 400
        return
    assert response.status_code == 200, response.text
    expected = answer(frames, asked)
    got = response.json()
    assert sorted(got) == sorted(expected)
    for name, bars in expected.items():
        assert [bar["time"] for bar in got[name]] == [bar["time"] for bar in bars], name
        for one, other in zip(got[name], bars, strict=True):
            assert alike(one, other), (name, one, other)


@pytest.mark.parametrize("interval", SPELLINGS)
def test_csv_says_what_json_says(client: TestClient, interval: str) -> None:
    asked = {"interval": interval, "limit": 30, "mode": "all"}
    bars = [bar for series in client.get("/tickers", params=asked).json().values() for bar in series]
    text = client.get("/tickers", params={**asked, "format": "csv"}).text
    assert text.splitlines()[0] == CSV_HEADER
    lines = [
        {name: cell if name in ("symbol", "time") else float(cell) for name, cell in line.items() if cell}
        for line in csv.DictReader(io.StringIO(text))
    ]
    assert lines == bars


@pytest.mark.parametrize("interval", [spelling for spelling, base in BASES.items() if spelling != "4h"])
def test_prices_are_those_of_the_relation_bit_for_bit(client: TestClient, filled: str, interval: str) -> None:
    """And for stored intervals all thirteen indicators, which the database computes or keeps."""
    columns = ["open", "high", "low", "close", "volume"]
    stored = interval in ("1D", "1H", "1m")
    columns += INDICATOR_COLUMNS if stored else ()
    suffix = {"1M": "1mo"}.get(interval, interval.lower())
    statement = (
        f"select time, {', '.join(columns)} from {VN.table}_{suffix} where ticker = 'VCB' order by time"
    )
    with connect(filled) as connection, connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement).fetchall()
    got = client.get("/tickers", params={"symbol": "VCB", "interval": interval, "start_date": "2000-01-01"})
    text = "%Y-%m-%d" if interval in DAILY else "%Y-%m-%dT%H:%M:%S"
    expected = [
        {
            "symbol": "VCB",
            **{k: v for k, v in row.items() if v is not None},
            "time": row["time"].strftime(text),
        }
        for row in rows
    ]
    shown = [{k: v for k, v in bar.items() if k in (*columns, "time", "symbol")} for bar in got.json()["VCB"]]
    assert shown == expected
    assert len(shown) > 10


@pytest.mark.parametrize("interval", SPELLINGS)
def test_a_window_and_a_limit_cut_the_same_values_as_the_whole(client: TestClient, interval: str) -> None:
    """Bit for bit: what an indicator is does not depend on how much was asked for."""
    whole = client.get("/tickers", params={"symbol": "VCB", "interval": interval, "start_date": "1990-01-01"})
    bars = whole.json()["VCB"]
    newest = client.get("/tickers", params={"symbol": "VCB", "interval": interval, "limit": 7}).json()["VCB"]
    assert newest == bars[-7:]
    half = bars[len(bars) // 2]["time"]
    later = client.get(
        "/tickers", params={"symbol": "VCB", "interval": interval, "start_date": half, "limit": 9}
    )
    assert later.json()["VCB"] == bars[len(bars) // 2 :][:9]
    before = client.get(
        "/tickers", params={"symbol": "VCB", "interval": interval, "end_date": half, "limit": 9}
    )
    assert before.json()["VCB"] == bars[: len(bars) // 2 + 1][-9:]


def test_answers_do_not_depend_on_the_block(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few bars and of all of them give the same bytes."""
    questions = [
        {"interval": interval, "start_date": "2023-11-01", **more}
        for interval in SPELLINGS
        for more in ({}, {"limit": 40}, {"ema": "10"}, {"symbol": ["VCB"]}, {"format": "csv", "mode": "all"})
    ]
    whole = [client.get("/tickers", params=question).content for question in questions]
    for block in (1, 7, 100):
        monkeypatch.setattr("hypertape.api.bar_reader.BLOCK", block)
        every = 7 if block == 1 else 1 if is_thorough() else 3
        some = slice(block % every, None, every)
        found = [client.get("/tickers", params=question).content for question in questions[some]]
        assert found == whole[some], block
