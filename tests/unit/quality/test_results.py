"""Results in memory: shares, summaries, and what stops a watermark."""

from __future__ import annotations

from typing import Any

import pytest

from hypertape.errors import CheckBroken, CheckEnded, CheckFailed
from hypertape.model import Window, utc
from hypertape.quality.results import QualityResult, holding, raise_if_critical, summary

WINDOW = Window(utc(2024), utc(2024, 2))


def result(name: str, severity: str = "critical", status: str = "passed", **values: Any) -> QualityResult:
    return QualityResult(
        run_id="run",
        market="vn",
        interval="1d",
        suite="market_data_1d",
        expectation=name,
        description="",
        severity=severity,
        status=status,
        window=WINDOW,
        **values,
    )


@pytest.mark.parametrize(
    ("unexpected", "evaluated", "percent"),
    [(1, 200, 0.5), (0, 10, 0.0), (3, 3, 100.0), (5, 0, None), (5, None, None), (None, 10, None)],
)
def test_the_share_is_unknown_when_either_count_is(
    unexpected: int | None, evaluated: int | None, percent: float | None
) -> None:
    assert result("rule", unexpected=unexpected, evaluated=evaluated).unexpected_percent == percent


def test_only_critical_results_raise() -> None:
    raise_if_critical([])
    raise_if_critical(
        [result("a"), result("b", "warning", "failed"), result("c", "warning", "broken", error="x")]
    )


def test_a_failure_names_rules_counts_and_first_keys() -> None:
    sample = ({"ticker": "VIC", "time": "2024-01-05"}, {"ticker": "VNM", "time": "2024-01-05"})
    results = [
        result("ohlc_order", status="failed", unexpected=2, sample=sample),
        result("fresh", "warning", "failed", unexpected=9),
        result("key_unique", status="failed", unexpected=4),
    ]

    with pytest.raises(CheckFailed) as caught:
        raise_if_critical(results)

    text = str(caught.value)
    assert "2 critical checks failed: ohlc_order (2, first VIC 2024-01-05), key_unique (4)" in text
    assert "vn 1d [2024-01-01, 2024-02-01)" in text
    assert "fresh" not in text
    assert text.endswith("for the offending keys.")


def test_bad_data_comes_before_a_broken_rule_and_both_are_named() -> None:
    results = [
        result("averages", status="broken", error="no such column"),
        result("ohlc_order", status="failed", unexpected=1),
    ]

    with pytest.raises(CheckFailed, match=r"ohlc_order \(1\); rules that did not run: averages"):
        raise_if_critical(results)


def test_a_critical_rule_that_was_ended_proves_nothing_and_is_no_defect_of_the_rule() -> None:
    ended = result("averages", status="not_evaluated", error="canceling statement due to statement timeout")
    with pytest.raises(CheckEnded, match=r"averages; the first says: canceling .*HYPERTAPE_RULE_SECONDS"):
        raise_if_critical([ended])
    raise_if_critical([result("fresh", "warning", "not_evaluated", error="canceling statement")])
    raise_if_critical(
        [result("averages", status="not_evaluated")]
    )  # it ran, and there was nothing to look at


def test_a_broken_critical_rule_says_why() -> None:
    with pytest.raises(CheckBroken, match=r"averages; the first says: no such column .*defect of the rule"):
        raise_if_critical([result("averages", status="broken", error="no such column")])


def test_the_summary_tells_failures_from_broken_rules() -> None:
    results = [
        result("a", seconds=0.25),
        result("b", status="failed", unexpected=1),
        result("c", "warning", "failed", unexpected=2, seconds=0.5),
        result("d", "warning", "broken"),
        result("e", status="not_evaluated"),
    ]

    assert summary(results).to_json() == {
        "checks": 5,
        "passed": 1,
        "critical": ["b (1)"],
        "warnings": ["c (2)"],
        "broken": ["d"],
        "not_evaluated": ["e"],
        "seconds": 0.75,
    }


KEY_A, KEY_B = {"ticker": "AAA", "time": "2024-01-05"}, {"ticker": "BBB", "time": "2024-01-05"}


@pytest.mark.parametrize(
    ("values", "held", "reason"),
    [
        ({"status": "passed"}, "", "it passed"),
        ({"status": "failed", "severity": "warning"}, "", "a warning holds nobody"),
        (
            {"status": "failed", "details": {"tickers": ["AAA"]}, "unexpected": 99},
            "A",
            "it names its tickers",
        ),
        ({"status": "failed", "details": {"tickers": ["ZZZ"]}, "unexpected": 1}, "", "it is about others"),
        ({"status": "failed", "sample": (KEY_A, KEY_B), "unexpected": 2}, "AB", "the sample is all there is"),
        (
            {"status": "failed", "sample": (KEY_A,), "unexpected": 2},
            "ABC",
            "it lists a part: it cannot say which",
        ),
        (
            {"status": "failed", "sample": ({"ticker": None},), "unexpected": 1},
            "ABC",
            "a bar without a ticker",
        ),
        ({"status": "broken", "error": "no such column"}, "ABC", "nothing is proved of anybody"),
        ({"status": "not_evaluated", "error": "canceled"}, "ABC", "nor when it was ended"),
        ({"status": "not_evaluated"}, "", "there was nothing to look at"),
        (
            {"status": "broken", "error": "x", "details": {"scope": ["CCC"]}},
            "C",
            "it looked at one ticker only",
        ),
    ],
)
def test_what_a_critical_result_holds(values: dict[str, Any], held: str, reason: str) -> None:
    found = holding([result("rule", **values)], ["AAA", "BBB", "CCC"])
    assert found == {3 * letter: ("rule",) for letter in held}, reason
