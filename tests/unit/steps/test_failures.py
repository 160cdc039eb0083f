"""One cause, one message: what is said of tickers that failed."""

from __future__ import annotations

import json

import pytest

from hypertape.errors import (
    BatchIncomplete,
    BatchRefused,
    CircuitOpen,
    HypertapeError,
    NoData,
    SourceUnavailable,
    SuspectScale,
)
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.sources import SourceConfig
from hypertape.steps.failures import Failure, failure_lines, failures_from_json, failures_to_json
from hypertape.steps.run_spec import Batch, BatchKind, BatchResult, Counts, Landed, RunSpec, raise_if_failed

WINDOW = Window(utc(2025, 6, 2), utc(2025, 6, 7))
SPEC = RunSpec("run", get_market("vn"), Interval.D1, SourceConfig("vci"), WINDOW)


def failed(**errors: HypertapeError) -> dict[str, Failure]:
    return {
        ticker: Failure.of(type(error)(error.what, market="vn", ticker=ticker, interval="1d", window=WINDOW))
        for ticker, error in errors.items()
    }


def test_a_dead_vendor_is_told_once_with_the_count_of_tickers() -> None:
    names = [f"T{at:03}" for at in range(547)]
    everybody = failed(**dict.fromkeys(names, SourceUnavailable("VCI does not answer")))
    assert failure_lines(everybody) == ["547 tickers (T000, T001, T002 and 544 more): VCI does not answer"]
    with pytest.raises(BatchIncomplete) as raised:
        raise_if_failed(everybody, SPEC, 0)
    assert len(str(raised.value)) < 250
    assert "547 of the batch's tickers failed and there are no others: 547 tickers" in str(raised.value)


def test_each_cause_has_its_line() -> None:
    both = failed(A=NoData("no bars"), B=SuspectScale("×1000"), C=NoData("no bars"))
    assert failure_lines(both) == ["A, C: no bars", f"B: {both['B'].message}"]
    with pytest.raises(
        BatchRefused, match=r"3 of the batch's tickers failed and the others are stored: A, C: no bars; B"
    ):
        raise_if_failed(both, SPEC, 4)


@pytest.mark.parametrize(
    ("errors", "away"),
    [
        pytest.param({"A": SourceUnavailable("x"), "B": CircuitOpen("y")}, True, id="all of them"),
        pytest.param({"A": SourceUnavailable("x")}, False, id="one was served"),
        pytest.param({"A": SourceUnavailable("x"), "B": NoData("y")}, False, id="one was answered"),
        pytest.param({}, False, id="nobody failed"),
    ],
)
def test_when_a_source_is_away(errors: dict[str, HypertapeError], away: bool) -> None:
    landed = Landed(Batch(BatchKind.PLAN, 0, ("A", "B"), WINDOW), failed(**errors))
    assert landed.source_away is away


def test_what_travels_between_tasks_comes_back() -> None:
    landed = Landed(Batch(BatchKind.REREAD, 3, ("A", "B"), WINDOW), failed(A=NoData("no bars")))
    assert Landed.from_json(json.loads(json.dumps(landed.to_json()))) == landed
    assert failures_from_json(json.loads(json.dumps(failures_to_json(landed.failed)))) == landed.failed
    assert RunSpec.from_json({**json.loads(json.dumps(SPEC.to_json())), "batches": []}) == SPEC


def test_a_log_tells_a_batch_in_a_sentence() -> None:
    done = BatchResult(2, Counts(inserted=5, updated=1), ("B",), failed(C=NoData("no bars")))
    assert done.sentence(SPEC, WINDOW) == (
        "vn 1d [2025-06-02, 2025-06-07): 2 tickers, 5 bars new, 1 changed, 0 as they were, 0 refused. "
        f"Fewer bars than the calendar expects: B. Failed: C: {done.failed['C'].message}"
    )
