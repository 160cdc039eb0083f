"""Two `hypertape backfill` with one wish at once: one backfill, each unit asked for once, both end well."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from hypertape.calendars import expected_times
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.warehouse.connect import connect
from vci_replay import VciReplay

TICKERS = ("AAA", "BBB", "CCC", "DDD")
WINDOW = Window(utc(2023, 1, 1), utc(2024, 1, 1))


@pytest.fixture
def vendor() -> Iterator[VciReplay]:
    """A year of four tickers, each request answered after a fifth of a second."""
    replay = VciReplay()
    try:
        times = expected_times(get_market("vn"), Interval.D1, WINDOW) // 1_000_000
        for number, ticker in enumerate(TICKERS):
            base = 10_000.0 + 1_000 * number
            replay.bars[ticker, "ONE_DAY"] = [
                (int(t), base, base + 50, base - 50, base + t % 7, 1000) for t in times
            ]

        both_ask = threading.Barrier(2)

        def slowly(_: Any) -> None:
            with suppress(threading.BrokenBarrierError):
                if len(replay.requests) <= 2:
                    both_ask.wait(60)  # neither is done before the other has begun
            time.sleep(0.2)

        replay.fault = slowly
        yield replay
    finally:
        replay.stop()


def started(dsn: str, replay: VciReplay, state: Any) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "HYPERTAPE_DATABASE_URL": dsn,
        "HYPERTAPE_STATE_DIR": str(state),
        "HYPERTAPE_SOURCE_ENDPOINTS": f"vci={replay.url}",
        "HYPERTAPE_SOURCE_RATES": "vci=0",
        "HYPERTAPE_BACKFILL_BARS": "25",  # a month of a batch
        "HYPERTAPE_BATCH_SIZE": "1",
    }
    command = [
        sys.executable, "-m", "hypertape", "backfill", "vn", "1d", "--tickers", ",".join(TICKERS), "--source", "vci",
        "--start-date", "2023-01-01", "--end-date", "2024-01-01", "--no-dry-run",
    ]  # fmt: skip
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def asked(replay: VciReplay) -> Counter[tuple[Any, ...]]:
    return Counter(
        (tuple(request["symbols"]), request["to"], request["countBack"]) for request in replay.requests
    )


@pytest.mark.parametrize("killed", [False, True], ids=["both end", "one is killed"])
def test_a_vendor_is_asked_once_for_each_unit(warehouse: str, vendor: VciReplay, tmp_path: Any, killed: bool):
    both = [started(warehouse, vendor, tmp_path / name) for name in ("one", "other")]
    if killed:
        while len(vendor.requests) < 8:
            time.sleep(0.05)
        both[0].kill()
    told = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both][killed:] == [0, 0][killed:], told
    twice = {request: count for request, count in asked(vendor).items() if count > 1}
    assert len(twice) <= killed, "but for the unit that was under way when its worker was killed"
    with connect(warehouse) as connection:
        rows = connection.execute("select count(distinct run_id), count(*) from backfill").fetchone()
        units = connection.execute("select state, count(*) from backfill_unit group by 1").fetchall()
        workers = connection.execute("select count(distinct worker_id) from claim").fetchone()
        bars = connection.execute("select ticker, count(*) from market_data_1d group by 1").fetchall()
    assert rows == (1, 1)
    assert units == [("done", 48)]
    assert workers == (2,)
    assert {ticker for ticker, _ in bars} == set(TICKERS)
    assert len({count for _, count in bars}) == 1
