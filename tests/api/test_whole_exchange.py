"""Thousands of tickers as one CSV: it streams, whole, out of little memory.

A month of three thousand in every run: `test_server` asks for a year of fewer. With --thorough it is a year of ten
thousand.
"""

from __future__ import annotations

from datetime import timedelta

import httpx
from api_lab import NOW
from server_lab import fill_wide

from hypertape.warehouse import api_keys
from hypertape.warehouse.connect import connect
from served import serving
from thorough import examples

TICKERS, LIMIT_MB = examples(3_000, 10_000), 300
BARS = examples(21, 252)


def test_thousands_of_tickers_stream_in_little_memory(new_warehouse) -> None:
    lines = last = 0
    with new_warehouse() as dsn:
        fill_wide(dsn, TICKERS, BARS)
        with connect(dsn) as connection:
            key = api_keys.create(connection, "reader", "read", now=NOW - timedelta(days=2))
        with (
            serving(dsn) as served,
            httpx.stream(
                "GET", f"{served.url}/tickers?format=csv", headers={"X-API-Key": key}, timeout=120
            ) as answer,
        ):
            assert answer.status_code == 200
            for piece in answer.iter_bytes():
                lines += piece.count(b"\n")
                last = piece[-1]
            peak = served.peak_mb()
    assert lines == 1 + TICKERS * BARS
    assert last == ord("\n"), "the last line is whole"
    assert peak < LIMIT_MB, f"{peak:.0f} MB"
