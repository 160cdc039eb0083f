"""Results are kept as they were found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from quality_lab import Connection

from hypertape.model import Window, utc
from hypertape.quality.results import QualityResult, record, results_of

RESULT = QualityResult(
    run_id="run",
    market="vn",
    interval="1d",
    suite="market_data_1d",
    expectation="ohlc_order",
    description="low ≤ open, close ≤ high",
    severity="critical",
    status="failed",
    window=Window(utc(2024), utc(2024, 2)),
    target="open, high, low, close",
    evaluated=400,
    unexpected=2,
    sample=({"ticker": "VIC", "time": "2024-01-05", "open": 1.5},),
    details={"unit": "bars"},
    seconds=0.125,
)


def kept(connection: Connection, **where: Any) -> list[QualityResult]:
    return [replace(result, checked_at=None) for result in results_of(connection, "run", **where)]


def test_a_result_reads_back_as_it_was_recorded(shared: Connection) -> None:
    broken = replace(
        RESULT, expectation="fresh", status="broken", evaluated=None, unexpected=None, sample=(), error="why"
    )

    assert record(shared, [RESULT, broken]) == 2

    assert kept(shared) == [broken, RESULT]
    assert shared.execute("select unexpected_percent from quality_result order by 1").fetchall() == [
        (0.5,),
        (None,),
    ]
    assert all(result.checked_at is not None for result in results_of(shared, "run"))


def test_long_samples_are_cut_and_the_count_is_not(shared: Connection) -> None:
    sample = tuple({"ticker": f"T{number}", "time": "2024-01-05"} for number in range(50))
    record(shared, [replace(RESULT, unexpected=50, sample=sample)])

    (result,) = kept(shared)

    assert (len(result.sample), result.unexpected) == (10, 50)


def test_a_run_checked_again_shows_its_newest_results_and_keeps_the_old(shared: Connection) -> None:
    record(
        shared,
        [RESULT, replace(RESULT, suite="rollups", target="a"), replace(RESULT, suite="rollups", target="b")],
    )
    record(shared, [replace(RESULT, status="passed", unexpected=0, sample=())])

    assert [(result.suite, result.target, result.status) for result in kept(shared)] == [
        ("rollups", "a", "failed"),
        ("rollups", "b", "failed"),
        ("market_data_1d", RESULT.target, "passed"),
    ]
    assert shared.execute("select count(*) from quality_result").fetchone() == (4,)


def test_results_are_found_by_market_and_interval(shared: Connection) -> None:
    record(shared, [RESULT, replace(RESULT, market="us"), replace(RESULT, interval="1h")])

    assert [(r.market, r.interval) for r in kept(shared, market="vn", interval="1d")] == [("vn", "1d")]
    assert len(kept(shared, market="vn")) == 2
    assert kept(shared, market="crypto") == []


def test_the_table_refuses_a_status_it_does_not_know(shared: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        record(shared, [replace(RESULT, status="fine")])
