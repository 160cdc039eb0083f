"""`state=published`: an answer holds what checks have passed, whatever came since; without it all that is stored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from api_lab import D1, H1, M1, VN, client_of, fill, open_app, put, series

from hypertape.warehouse.connect import connect
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
