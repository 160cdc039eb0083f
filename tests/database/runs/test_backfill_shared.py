"""Two backfills with one wish at once, commands or a DAG's tasks: each unit is asked for once, and all end well."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from hypertape.calendars import expected_times
from hypertape.errors import BatchIncomplete, BatchRefused
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.settings import Settings
from hypertape.steps.backfill import BackfillRequest, load_unit, plan_backfill
from hypertape.steps.run_spec import Batch, BatchResult
from hypertape.warehouse.connect import connect
from vci_replay import VciReplay

TICKERS = ("AAA", "BBB", "CCC", "DDD")
WINDOW = Window(utc(2023, 1, 1), utc(2023, 3, 1))


@pytest.fixture
def vendor() -> Iterator[VciReplay]:
    """Two months of four tickers, each request answered after a fifth of a second."""
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
        "--start-date", "2023-01-01", "--end-date", "2023-03-01", "--no-dry-run",
    ]  # fmt: skip
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def asked(replay: VciReplay) -> Counter[tuple[Any, ...]]:
    return Counter(
        (tuple(request["symbols"]), request["to"], request["countBack"]) for request in replay.requests
    )


def require_loaded_once(dsn: str, replay: VciReplay, workers: int, *, but: int = 0) -> None:
    """One backfill, its units done, by so many workers, and no request made twice, but so many."""
    twice = {request: count for request, count in asked(replay).items() if count > 1}
    assert len(twice) <= but, twice
    with connect(dsn) as connection:
        rows = connection.execute("select count(distinct run_id), count(*) from backfill").fetchone()
        units = connection.execute("select state, count(*) from backfill_unit group by 1").fetchall()
        worked = connection.execute(
            "select count(distinct worker_id) from claim where kind = 'backfill'"
        ).fetchone()
        bars = connection.execute("select ticker, count(*) from market_data_1d group by 1").fetchall()
    assert rows == (1, 1)
    assert units == [("done", 8)]
    assert worked == (workers,)
    assert {ticker for ticker, _ in bars} == set(TICKERS)
    assert len({count for _, count in bars}) == 1


@pytest.mark.parametrize("killed", [False, True], ids=["both end", "one is killed"])
def test_a_vendor_is_asked_once_for_each_unit(warehouse: str, vendor: VciReplay, tmp_path: Any, killed: bool):
    both = [started(warehouse, vendor, tmp_path / name) for name in ("one", "other")]
    if killed:
        while len(vendor.requests) < 4:
            time.sleep(0.05)
        both[0].kill()
    told = [process.communicate(timeout=240)[0] for process in both]
    assert [process.returncode for process in both][killed:] == [0, 0][killed:], told
    # the unit that was under way when its worker was killed is asked for again
    require_loaded_once(warehouse, vendor, 2, but=int(killed))


def test_tasks_of_a_dag_and_a_command_ask_a_vendor_once_for_each_unit(
    warehouse: str, vendor: VciReplay, tmp_path: Any
) -> None:
    """Two mapped tasks at a time in the order of the plan, as Airflow runs them, beside a command that has begun."""
    settings = Settings(
        state_dir=tmp_path / "airflow", source_endpoints=f"vci={vendor.url}", source_rates="vci=0", batch_size=1,
        backfill_bars=25,
    )  # fmt: skip
    request = BackfillRequest(tickers=TICKERS, start=WINDOW.start, end=WINDOW.end, source={"name": "vci"})
    now = datetime.now(UTC)
    planned = plan_backfill(
        warehouse, "vn", "1d", request, run_id="dag", now=now, dry_run=False, settings=settings
    )
    command = started(warehouse, vendor, tmp_path / "command")
    while not vendor.requests and command.poll() is None:
        time.sleep(0.05)  # its first answer waits for a task's request

    def task(unit: Batch) -> BatchResult | None:
        return load_unit(
            warehouse, planned.spec, planned.backfill_id, unit, since=planned.since or now, settings=settings,
            now=now, worker=f"backfill_bars/dag/load/{unit.index}/1",
        )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(task, planned.batches))
    told = command.communicate(timeout=240)[0]
    assert command.returncode == 0, told
    mine = [each for each in done if each is not None]
    assert 0 < len(mine) < len(done) == 8, "both worked"
    require_loaded_once(warehouse, vendor, len(mine) + 1)


def test_what_another_failed_at_is_asked_for_by_the_next_try_only(
    warehouse: str, vendor: VciReplay, tmp_path: Any
) -> None:
    vendor.fault = None
    settings = Settings(
        state_dir=tmp_path, source_endpoints=f"vci={vendor.url}", source_rates="vci=0", backfill_bars=10_000
    )
    request = BackfillRequest(
        tickers=["AAA", "ZZZ"], start=WINDOW.start, end=WINDOW.end, source={"name": "vci"}
    )
    now = datetime.now(UTC)
    planned = plan_backfill(
        warehouse, "vn", "1d", request, run_id="dag", now=now, dry_run=False, settings=settings
    )
    (unit,) = planned.batches

    def task(worker: str, attempt: int) -> BatchResult | None:
        return load_unit(
            warehouse, planned.spec, planned.backfill_id, unit, since=planned.since or now, settings=settings,
            now=now, worker=worker, attempt=attempt,
        )  # fmt: skip

    with pytest.raises((BatchIncomplete, BatchRefused), match="ZZZ"):
        task("one", 1)
    before = len(vendor.requests)
    with pytest.raises(
        BatchIncomplete, match="Another worker had the unit, and 1 of its tickers failed: ZZZ"
    ):
        task("other", 1)
    assert len(vendor.requests) == before
    vendor.bars["ZZZ", "ONE_DAY"] = vendor.bars["AAA", "ONE_DAY"]
    done = task("other", 2)
    assert done is not None
    assert vendor.requests[-1]["symbols"] == ["ZZZ"]
    assert task("one", 2) is None, "it is done"
