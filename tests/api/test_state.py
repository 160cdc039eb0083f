"""`state=published`: an answer holds what checks have passed, whatever came since; without it all that is stored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from api_lab import D1, H1, M1, VN, client_of, fill, open_app, put, series

from hypertape.warehouse.connect import connect
from hypertape.warehouse.pins import create_pin
from hypertape.warehouse.publication import known_now, publish_series, published_tickers

ASKED = [
    "symbol=VCB&interval=1D&limit=400",
    "symbol=VCB&symbol=FPT&interval=1D&start_date=2023-06-01",
    "symbol=VCB&interval=1D&ema=12",
    "symbol=VCB&interval=1W&limit=60",
    "symbol=VCB&interval=1M",
    "symbol=VCB&interval=4h&limit=50",
    "symbol=VCB&interval=15m&limit=50",
    "interval=1D&limit=3&format=csv",
]


def publish(dsn: str) -> None:
    with connect(dsn) as connection:
        for interval in (D1, H1, M1):
            tickers = published_tickers(connection, VN, interval)
            publish_series(connection, VN, interval, "test", tickers, {}, known_now(connection))
        connection.commit()


@pytest.fixture(scope="module")
def answers(new_warehouse: Callable[[], AbstractContextManager[str]]) -> dict[str, dict[str, str]]:
    """What is answered by moment: before anything is published, after it, and when a restatement came since."""
    frames = series()
    with new_warehouse() as dsn, client_of(open_app(dsn)) as client:

        def ask() -> dict[str, str]:
            return {each: client.get(f"/tickers?{each}&state=published").text for each in ASKED}

        fill(dsn, frames)
        found: dict[str, Any] = {"loaded": ask()}
        publish(dsn)
        found["published"] = ask()
        found["any"] = {each: client.get(f"/tickers?{each}&state=any").text for each in ASKED}
        for interval in (D1, H1, M1):
            frame = frames["vn", interval, "VCB"].copy()
            frame.iloc[-8:, :4] *= 1.01
            put(dsn, VN, interval, {"VCB": frame})
        found["restated"] = ask()
        found["any then"] = {each: client.get(f"/tickers?{each}").text for each in ASKED}
    return found


@pytest.mark.parametrize("asked", ASKED)
def test_readers_of_published_bars_keep_theirs(answers: dict[str, dict[str, str]], asked: str) -> None:
    assert answers["published"][asked] == answers["any"][asked]
    assert answers["restated"][asked] == answers["published"][asked]
    assert answers["any then"][asked] != answers["any"][asked]
    assert '"time"' not in answers["loaded"][asked]


def test_another_state_is_refused(client: Any) -> None:
    answer = client.get("/tickers?symbol=VCB&state=proved")
    assert answer.status_code == 400
    assert "any, published" in answer.text


def test_a_pin_answers_as_all_that_was_stored_did(
    new_warehouse: Callable[[], AbstractContextManager[str]],
) -> None:
    """Indicators too: they are made of the pin's own bars."""
    frames = series()
    asked = [
        "symbol=VCB&limit=300",
        "symbol=VCB&symbol=FPT&start_date=2023-06-01",
        "symbol=VCB&interval=4h&limit=9",
    ]
    with new_warehouse() as dsn, client_of(open_app(dsn)) as client:
        fill(dsn, frames)
        before = {each: client.get(f"/tickers?{each}").text for each in asked}
        with connect(dsn) as connection:
            create_pin(connection, "paper", VN, [D1, H1])
        for interval in (D1, H1):
            frame = frames["vn", interval, "VCB"].copy()
            frame.iloc[-8:, :4] *= 1.01
            put(dsn, VN, interval, {"VCB": frame})
        for each, text in before.items():
            assert client.get(f"/tickers?{each}").text != text
            assert client.get(f"/tickers?{each}&pin=paper").text == text
        for wrong, said in (
            ("pin=none", "There is no pin none"),
            ("pin=paper&interval=1m", "has no 1m bars"),
            ("pin=paper&mode=us", "is of vn"),
            ("pin=paper&state=published", "exclude each other"),
        ):
            answer = client.get(f"/tickers?symbol=VCB&{wrong}")
            assert (answer.status_code, said in answer.text) == (400, True), answer.text
        with connect(dsn, autocommit=True) as connection:
            connection.execute("delete from bars.market_data_1d where ticker = 'VCB' and time < '2023-02-01'")
        gone = client.get("/tickers?symbol=VCB&limit=300&pin=paper")
        assert gone.status_code == 410
        assert "no longer reads as it did: VCB 1d" in gone.text
        assert "127.0.0.1" not in gone.text
