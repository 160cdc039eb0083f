"""Reading looks near the newest bars first; what lies further back or was never traded is found all the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pandas as pd
import pytest
from api_lab import D1, M1, Frames, client_of, fill, open_app, walk
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import answer
from starlette.testclient import TestClient
from test_answers import alike, parameters

from hypertape.api import bar_reader, chunk_bounds
from hypertape.api.bar_query import EVER
from hypertape.api.chunk_bounds import back, step_of
from hypertape.model import Interval, utc
from thorough import examples

LAST = pd.Timestamp("2024-03-29 20:00")


def minutes(end: str, count: int, step: str = "1min") -> list[pd.Timestamp]:
    return list(pd.date_range(end=end, periods=count, freq=step))


FRAMES: Frames = {
    ("us", M1, "LIVE"): walk(minutes("2014-01-06 15:00", 30) + minutes("2024-03-29 20:00", 700), 1),
    ("us", M1, "THIN"): walk(minutes("2024-03-20 15:00", 80, "41D"), 2),
    ("us", M1, "GONE"): walk(minutes("2015-06-30 15:00", 300), 3),
    ("us", M1, "BACK"): walk(minutes("2014-01-08 15:00", 260) + minutes("2024-03-28 20:00", 40), 4),
    ("us", M1, "NEW"): walk(minutes("2024-03-29 20:00", 3), 5),
    ("us", D1, "LIVE"): walk(list(pd.date_range("2012-01-02", "2024-03-29", freq="B")), 6),
    ("us", D1, "GONE"): walk(list(pd.date_range("2012-01-02", "2015-06-30", freq="B")), 7),
    ("us", D1, "THIN"): walk(list(pd.date_range("2012-01-02", "2024-03-20", freq="73D")), 8),
}
TICKERS = ("LIVE", "THIN", "GONE", "BACK", "NEW", "NOPE")
DAYS = st.sampled_from(
    [
        date(2013, 5, 5),
        date(2014, 1, 6),
        date(2014, 1, 9),
        date(2015, 6, 30),
        date(2019, 7, 1),
        date(2024, 3, 28),
    ]
)
ASKED = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(["1m", "5m", "30m", "1D", "1W", "1M"]),
        "symbol": st.lists(st.sampled_from(TICKERS), min_size=1, max_size=5, unique=True),
        "mode": st.just("us"),
    },
    optional={
        "limit": st.sampled_from([1, 2, 40, 41, 300, 1000, 20_000]),
        "start_date": DAYS,
        "end_date": DAYS,
    },
)


@pytest.fixture(scope="module")
def long_history(new_warehouse) -> Iterator[str]:
    with new_warehouse() as dsn:
        fill(dsn, FRAMES)
        yield dsn


@pytest.fixture(scope="module")
def app(long_history) -> FastAPI:
    return open_app(long_history)


@pytest.fixture(scope="module")
def client(app) -> Iterator[TestClient]:
    with client_of(app) as client:
        yield client


@settings(
    deadline=None, max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=ASKED, knows=st.sampled_from(["nothing", "the truth", "too late", "too early"]))
def test_nothing_is_missed_wherever_the_search_begins(app, client, asked, knows) -> None:
    if asked.get("start_date") and asked.get("end_date") and asked["start_date"] > asked["end_date"]:
        asked["start_date"], asked["end_date"] = asked["end_date"], asked["start_date"]
    edges = app.state.hypertape.warehouse.edges
    edges.clear()
    if knows != "nothing":
        seen = {"the truth": utc(2024, 3, 29, 20), "too late": utc(2031), "too early": utc(2013)}[knows]
        edges.update({("us", M1): seen, ("us", D1): seen})
    response = client.get("/tickers", params=parameters(asked))
    assert response.status_code == 200, response.text
    found, expected = response.json(), answer(FRAMES, asked)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert [row["time"] for row in found[name]] == [row["time"] for row in rows]
        assert all(alike(one, other) for one, other in zip(found[name], rows, strict=True))


@pytest.mark.parametrize(
    ("question", "oldest", "statements", "reason"),
    [
        ("symbol=LIVE&limit=100", utc(2024, 3), 1, "the newest bars lie where the newest ones lay before"),
        ("symbol=LIVE&symbol=NEW&limit=100", utc(2024, 3), 1, "a young series has no more"),
        ("symbol=GONE&limit=100", utc(2015, 6), 2, "an ended series is sought at its end"),
        ("symbol=THIN&limit=2", utc(2023), 3, "a thin one further back"),
        ("symbol=LIVE&limit=100&end_date=2014-01-06", utc(2013, 12), 1, "or at the end that is asked for"),
        ("symbol=LIVE&limit=701", EVER[0], 3, "and everywhere at last"),
    ],
)
def test_few_chunks_are_opened(app, client, monkeypatch, question, oldest, statements, reason) -> None:
    app.state.hypertape.warehouse.edges.clear()
    client.get("/tickers?mode=us&interval=1m&symbol=LIVE&limit=1")
    starts: list[datetime] = []
    usual = chunk_bounds.ask_newest

    def noted(connection, market, interval, tickers, bars, start, before, **how):
        starts.append(start)
        return usual(connection, market, interval, tickers, bars, start, before, **how)

    monkeypatch.setattr(chunk_bounds, "ask_newest", noted)
    assert client.get(f"/tickers?mode=us&interval=1m&{question}").status_code == 200
    assert len(starts) == statements, reason
    assert min(starts) >= oldest, reason


def test_a_hole_of_years_costs_a_few_statements(client, monkeypatch) -> None:
    """From 2014 to 2024 in spans that double: a statement for each chunk would be 500."""
    seen: list[datetime] = []
    usual = bar_reader.ask_onward

    def noted(connection, market, interval, tickers, bars, start, before, **how):
        seen.append(start)
        return usual(connection, market, interval, tickers, bars, start, before, **how)

    monkeypatch.setattr(bar_reader, "ask_onward", noted)
    bars = client.get("/tickers?mode=us&interval=1m&symbol=BACK&start_date=2014-01-01&limit=300").json()[
        "BACK"
    ]
    assert len(bars) == 300
    assert len(seen) <= 10


@pytest.mark.parametrize(
    ("edge", "span", "expected"),
    [
        (utc(2024), timedelta(days=31), utc(2023, 12, 1)),
        (utc(1), timedelta(days=1), EVER[0]),
        (EVER[1], timedelta(days=73_200), EVER[1] - timedelta(days=73_200)),
    ],
)
def test_time_begins_somewhere(edge, span, expected) -> None:
    assert back(edge, span) == expected


def test_a_month_is_31_days_at_most() -> None:
    assert step_of(Interval.MO1) == timedelta(days=31)
    assert step_of(Interval.M5) == timedelta(minutes=5)
