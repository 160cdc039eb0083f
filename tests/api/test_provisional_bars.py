"""Bars that may still change, as `/tickers` marks them: loaded while their day runs."""

from __future__ import annotations

import pandas as pd
import pytest
from api_lab import CRYPTO, D1, NOW, client_of, open_app, put, walk

from hypertape.api.bar_encoder import CSV_HEADER

ASKED = {"symbol": "BTC", "mode": "crypto"}


@pytest.mark.database
def test_the_bar_that_was_open_is_marked_and_the_old_answers_keep_their_form(warehouse: str) -> None:
    today = pd.Timestamp(NOW).tz_localize(None).normalize()
    put(warehouse, CRYPTO, D1, {"BTC": walk(list(pd.date_range(end=today, periods=40)), 1)})
    with client_of(open_app(warehouse)) as client:
        answer = client.get("/tickers", params=ASKED)
        bars = answer.json()["BTC"]
        assert [bar["time"] for bar in bars if "provisional" in bar] == [f"{today:%Y-%m-%d}"]
        assert bars[-1]["provisional"] is True
        assert "last-modified" not in answer.headers, "it changes with the clock"
        known = client.get("/tickers", params=ASKED, headers={"If-None-Match": answer.headers["etag"]})
        assert known.status_code == 304
        plain = client.get("/tickers", params={**ASKED, "provisional": "false"}).json()["BTC"]
        assert plain == [{name: bar[name] for name in bar if name != "provisional"} for bar in bars]
        old = client.get("/tickers", params={**ASKED, "format": "csv"}).text.splitlines()
        assert old[0] == CSV_HEADER
        new = client.get(
            "/tickers", params={**ASKED, "format": "csv", "provisional": "true"}
        ).text.splitlines()
        assert [line.rpartition(",")[0] for line in new] == old
        assert [line.rpartition(",")[2] for line in new] == ["provisional", *[""] * 39, "true"]
        for interval in ("1W", "2W", "1M"):
            wide = client.get("/tickers", params={**ASKED, "interval": interval}).json()["BTC"]
            assert ["provisional" in bar for bar in wide] == [False] * (len(wide) - 1) + [True], interval
