"""Eight workers begin at once, and again: no vendor is asked twice for the same, nor faster than it allows."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from hypertape.calendars import expected_times
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.settings import Settings, load_settings
from hypertape.steps.work_order import Round, WorkOrder
from hypertape.steps.worker import work
from hypertape.warehouse.connect import connect
from replay_server import Answer
from vci_replay import Request, VciReplay

VN = get_market("vn")
NOW = utc(2015, 2, 1)
"""A month after the history's begin."""
TICKERS = [f"T{n:03}" for n in range(24)]
WORKERS, RATE = 8, 20.0


class Vendor(VciReplay):
    """Days of the tickers; notes when each request came. `down`: answers nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.down = False
        self.fault = self._note
        days = expected_times(VN, Interval.D1, Window(utc(2015), NOW)) // 1_000_000
        for ticker in TICKERS:
            self.bars[ticker, "ONE_DAY"] = [
                (int(t), 10_000.0, 10_050.0, 9_950.0, 10_010.0, 1000) for t in days
            ]

    def _note(self, _: Request) -> Answer | None:
        self.times.append(time.monotonic())
        return Answer(503, "away") if self.down else None


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def settings(vendor: Vendor, tmp_path: Path) -> Settings:
    return load_settings(
        state_dir=tmp_path, source_endpoints=f"vci={vendor.url}", source_rates=f"vci={RATE}", worker_tickers=1,
        worker_fresh=3600, source_failures=3, source_pause=600,
    )  # fmt: skip


def storm(dsn: str, settings: Settings) -> list[Round]:
    """Eight workers for one round."""
    every, rounds = timedelta(days=1), list[Round]()
    order = WorkOrder(VN, (Interval.D1,), every, every, tickers=TICKERS, source={"name": "vci"}, check=False)

    def go(_: int) -> None:
        work(
            dsn, order, settings=settings, clock=lambda: NOW, stop=threading.Event(), once=True,
            on_round=rounds.append,
        )  # fmt: skip

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(go, range(WORKERS)))
    return rounds


def test_a_storm_of_restarts_asks_once_and_at_the_vendors_rate(
    warehouse: str, vendor: Vendor, settings: Settings
):
    first, again = storm(warehouse, settings), storm(warehouse, settings)
    asked = Counter(symbol for request in vendor.requests for symbol in request["symbols"])
    assert asked == Counter(TICKERS)
    assert sorted(ticker for done in first for ticker in done.asked) == TICKERS
    assert [done.asked for done in again if done.asked] == []
    most = max(sum(at <= other < at + 1 for other in vendor.times) for at in vendor.times)
    assert most <= RATE + 2, "in any second"
    with connect(warehouse) as connection:
        (loaded,) = connection.execute("select count(distinct ticker) from market_data_1d").fetchone() or (0,)
    assert loaded == len(TICKERS)


def test_a_vendor_that_is_down_is_left_alone_by_all(warehouse: str, vendor: Vendor, settings: Settings):
    vendor.down = True
    rounds = storm(warehouse, settings)
    assert len(vendor.times) <= settings.source_failures + WORKERS, (
        "those that were under way when it was found out"
    )
    assert {ticker for done in rounds for ticker in done.failures} == set(TICKERS)
    before = len(vendor.times)
    with connect(warehouse, autocommit=True) as connection:
        connection.execute("delete from claim")
    storm(warehouse, settings)
    assert len(vendor.times) == before
