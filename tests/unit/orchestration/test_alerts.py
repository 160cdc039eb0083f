"""The lines people read when something went wrong."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hypertape.errors import RateLimited, SuspectScale
from hypertape.markets import all_markets
from hypertape.model import Interval
from hypertape.orchestration import alerts
from message_hook import Hook


def context(error: BaseException | None, label: str | None = None) -> Any:
    ti = SimpleNamespace(
        dag_id="bars_vn_1d",
        task_id="per_batch.load",
        run_id="manual__1",
        try_number=2,
        rendered_map_index=label,
    )
    return {"ti": ti, "exception": error}


def test_a_failure_says_where_what_and_what_next() -> None:
    line = alerts.failure_line(context(SuspectScale(market="vn", ticker="VIC"), "VIC, VNM"))
    assert line.startswith("bars_vn_1d: per_batch.load [VIC, VNM] of run manual__1 failed at try 2: ")
    assert "(vn VIC)" in line
    assert line.endswith(SuspectScale.next_step)
    assert "\n" not in line


def test_an_error_of_someone_else_gets_a_next_step() -> None:
    line = alerts.failure_line(context(ValueError("oops")))
    assert "per_batch.load of run manual__1 failed at try 2: oops" in line
    assert line.endswith("clear this task to run it again.")


def test_the_callback_writes_the_line_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger=alerts.__name__):
        alerts.report_failure(context(RateLimited()))
    assert [record.message for record in caplog.records] == [alerts.failure_line(context(RateLimited()))]


@pytest.mark.database
def test_the_callback_tells_every_channel_once_a_day_for_each_task(
    warehouse: str, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("HYPERTAPE_NOTIFY", f"critical={hook.address} digest={hook.address}")
    failed = context(SuspectScale(market="vn", ticker="VIC"), "VIC, VNM")
    for _ in range(3):  # of many mapped tasks each fails
        alerts.report_failure(failed)
    (message,) = hook.taken
    assert message["title"] == "hypertape: bars_vn_1d/per_batch.load failed"
    assert message["message"] == alerts.failure_line(failed)


def test_the_callback_tells_it_too_where_the_warehouse_is_what_failed(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("HYPERTAPE_NOTIFY", hook.address)
    alerts.report_failure(context(RateLimited()))
    assert [message["message"] for message in hook.taken] == [alerts.failure_line(context(RateLimited()))]


@pytest.mark.parametrize(
    ("run_type", "lines", "reason"),
    [("scheduled", 1, "someone waits for it"), ("backfill", 0, "its runs wait for each other by design")],
)
def test_lateness(run_type: str, lines: int, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    run = {"dag_id": "bars_vn_1m", "dag_run_id": "scheduled__1", "run_type": run_type, "state": "running"}
    late = {"dag_run": run, "deadline": {"id": "1", "deadline_time": "2024-03-08 09:00"}}
    with caplog.at_level(logging.ERROR, logger=alerts.__name__):
        asyncio.run(alerts.report_lateness(context=late))
    assert len(caplog.records) == lines, reason
    assert all(
        "scheduled__1 was due at 2024-03-08 09:00 and is running." in r.message for r in caplog.records
    )


def test_every_interval_has_a_deadline_and_intraday_runs_end_before_the_next_begin() -> None:
    for market in all_markets().values():
        for interval in market.intervals:
            assert alerts.deadline(interval).interval == alerts.LATE_AFTER[interval]
    assert alerts.LATE_AFTER[Interval.M1] < timedelta(minutes=15)
    assert alerts.LATE_AFTER[Interval.H1] < timedelta(hours=1)
