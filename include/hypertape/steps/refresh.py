"""Refresh the rollups of what changed and prove them equal to their bars."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from typing import Any

from hypertape.model import format_instant
from hypertape.quality.results import QualityResult, record, status_of
from hypertape.steps.plan import RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.rollups import Refreshed, RollupCheck, check_rollups, refresh_pending


def refresh(dsn: str, plan_head: Mapping[str, Any]) -> dict[str, Any]:
    """Refresh every rollup of the run's interval over the pending ranges, check them, and return counts as JSON.

    The check's results are kept with the run's quality results under the suite `rollups`.
    """
    head = RunSpec.from_json(plan_head)
    started = clock.perf_counter()
    refreshed = _refresh(dsn, head)
    seconds = clock.perf_counter() - started
    checks = _check(dsn, head, refreshed)
    if any(check.differing for check in checks) and _refresh(dsn, head):
        checks = _check(dsn, head, refreshed)  # a load had changed bars between the refresh and its check
    with connect(dsn) as connection:
        record(connection, [_result(head, check) for check in checks])
        connection.commit()
    return {
        "ranges": [[entry.interval.value, *entry.window.to_json()] for entry in refreshed],
        "buckets": sum(check.buckets for check in checks),
        "differing": sum(check.differing for check in checks),
        "rollups": _levels(refreshed),
        "seconds": seconds,
    }


def _refresh(dsn: str, head: RunSpec) -> list[Refreshed]:
    return refresh_pending(lambda autocommit: connect(dsn, autocommit=autocommit), head.market, head.interval)


def _check(dsn: str, head: RunSpec, refreshed: Sequence[Refreshed]) -> list[RollupCheck]:
    with connect(dsn) as connection:
        return check_rollups(connection, head.market, refreshed)


def _levels(refreshed: Sequence[Refreshed]) -> list[str]:
    return list(dict.fromkeys(entry.interval.value for entry in refreshed))


def _result(head: RunSpec, check: RollupCheck) -> QualityResult:
    return QualityResult(
        run_id=head.run_id,
        market=head.market.code,
        interval=head.interval.value,
        suite="rollups",
        expectation="rollup_equals_bars",
        target=head.market.relation(check.interval),
        description=f"Every {check.interval.value} bucket equals a recomputation from the {head.interval.value} bars",
        severity="critical",
        status=status_of(check.buckets, check.differing),
        evaluated=check.buckets,
        unexpected=check.differing,
        sample=tuple({"ticker": ticker, "time": format_instant(time)} for ticker, time in check.sample),
        details={} if check.buckets else {"why": "no bucket of it lies in what changed"},
        window=check.window,
    )
