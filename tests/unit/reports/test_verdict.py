"""What a report says first."""

from __future__ import annotations

from typing import Any

import pytest

from hypertape.model import Window, utc
from hypertape.quality.results import QualityResult
from hypertape.reports.verdict import BAD, GOOD, NOTE, UNKNOWN, answers, plural, said
from hypertape.warehouse.findings import Headline


def result(name: str, severity: str = "critical", status: str = "passed", **values: Any) -> QualityResult:
    window = Window(utc(2024), utc(2024, 2))
    return QualityResult("run", "vn", "1d", "market_data_1d", name, "", severity, status, window, **values)


LOADED = {"status": "loaded"}
FAILED = {"status": "failed"}


IDLE = result("sessions_complete", "warning", "not_evaluated", details={"why": "no session was due"})


def test_a_headline_names_some_findings_and_counts_the_rest() -> None:
    found = said(Headline(BAD, "worst", tuple(str(number) for number in range(12))))

    assert (found.level, found.text) == (BAD, "worst")
    assert found.because[-2:] == ("9", "2 more findings: `hypertape findings list`")


def test_no_question_is_answered_by_a_check_that_looked_at_nothing() -> None:
    found = dict(answers([LOADED], [IDLE], 0))

    assert {answer.level for answer in found.values()} == {UNKNOWN}
    assert found["Is every bar there?"].text == "Nothing was due"
    assert found["Is every bar there?"].because == (
        "Not evaluated, because no session was due: sessions_complete",
    )


def test_the_three_questions_are_answered_apart() -> None:
    missing = result("sessions_complete", "warning", "failed", unexpected=1200, evaluated=5000)
    found = dict(answers([LOADED], [missing, result("ohlc_order", evaluated=9, details={"unit": "bars"})], 2))

    assert (found["Is every bar there?"].level, found["Is every bar there?"].text) == (
        NOTE,
        "No: 1 200 sessions without a bar",
    )
    assert found["Is every bar right?"].level == GOOD
    assert "2 rows refused" in found["Is every bar right?"].because[0]
    assert found["How would I know?"].text == "2 checks over 9 bars"


def test_a_failed_ticker_is_missing_even_when_all_sessions_are_there() -> None:
    there = dict(answers([FAILED], [result("sessions_complete", "warning", evaluated=5)], 0))[
        "Is every bar there?"
    ]

    assert (there.level, there.text) == (BAD, "No: 1 ticker could not be loaded")


def test_nothing_checked_is_nothing_known() -> None:
    assert [statement.level for _, statement in answers([], [], 0)] == [UNKNOWN, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bars"), (1, "1 bar"), (2, "2 bars"), (12345, "12 345 bars")]
)
def test_counts_read_well(count: int, text: str) -> None:
    assert plural(count, "bar") == text
