"""What a report says in words. Levels are `good`, `note`, `bad`, `unknown`, each with its own colour and mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypertape.model import CRITICAL
from hypertape.quality.results import FAILED, NOT_EVALUATED, PASSED, QualityResult
from hypertape.warehouse.findings import Headline
from hypertape.warehouse.findings.headline import plural
from hypertape.warehouse.findings.mends import COMPLETENESS

__all__ = ["BAD", "GOOD", "NOTE", "UNKNOWN", "Statement", "answers", "plural", "said"]

GOOD, NOTE, BAD, UNKNOWN = "good", "note", "bad", "unknown"
MARKS = {GOOD: "✓", NOTE: "!", BAD: "✕", UNKNOWN: "?"}

MOST_SAID = 10
"""Further findings that a report's headline names."""

Loads = Sequence[Mapping[str, Any]]
Results = Sequence[QualityResult]


@dataclass(frozen=True, slots=True)
class Statement:
    """A headline or an answer: its level, a few words, and sentences that explain them."""

    level: str
    text: str
    because: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """One character that says the level without colour."""
        return MARKS[self.level]


def said(found: Headline) -> Statement:
    """The headline of findings as a report shows it."""
    rest = len(found.because) - MOST_SAID
    more = (f"{plural(rest, 'more finding')}: `hypertape findings list`",) if rest > 0 else ()
    return Statement(found.level, found.text, (*found.because[:MOST_SAID], *more))


def answers(loads: Loads, results: Results, quarantined: int, early: int = 0) -> list[tuple[str, Statement]]:
    """The three questions, answered.

    `early` sessions of the gap ledger that nothing excuses lie before their ticker's first bar, where no check looks.
    """
    return [
        ("Is every bar there?", _there(loads, results, early)),
        ("Is every bar right?", _right(results, quarantined)),
        ("How would I know?", _known(results)),
    ]


def _there(loads: Loads, results: Results, early: int) -> Statement:
    failed = sum(load["status"] == "failed" for load in loads)
    found = [result for result in results if result.expectation in COMPLETENESS and result.status == FAILED]
    about = [result for result in results if result.expectation in COMPLETENESS]
    judged = [result for result in about if result.status in (PASSED, FAILED)]
    whole = ("fresh", "sessions_whole")  # these count tickers, and sessions that have bars
    missing = sum(result.unexpected or 0 for result in found if result.expectation not in whole)
    beside = (
        (
            f"The gap ledger has {plural(early, 'session')} more before their ticker's first bar, "
            "where these checks do not look",
        )
        if early
        else ()
    )
    because = tuple(_counted(result) for result in found)
    if failed:
        because = (f"{plural(failed, 'ticker')} could not be loaded", *because)
    if because:
        text = f"No: {plural(missing, 'session')} without a bar" if missing else f"No: {because[0]}"
        return Statement(BAD if failed else NOTE, text, (*because, *beside))
    if not judged:
        idle = _idle(about)
        return Statement(UNKNOWN, "Nothing was due" if idle else "Not checked", (*_whys(idle), *beside))
    sessions = max(
        (result.evaluated or 0 for result in judged if result.details.get("unit") == "sessions"), default=0
    )
    return Statement(GOOD, "Yes", (f"{plural(sessions, 'session')} were due over all tickers", *beside))


def _right(results: Results, quarantined: int) -> Statement:
    rest = [result for result in results if result.expectation not in COMPLETENESS]
    critical, failed = _failed(rest, CRITICAL), [result for result in rest if result.status == FAILED]
    kept_out = (
        (f"{plural(quarantined, 'row')} refused before the load, kept in quarantine",) if quarantined else ()
    )
    if critical:
        return Statement(BAD, "No", (*map(_counted, critical), *kept_out))
    if not rest:
        return Statement(UNKNOWN, "Not checked", kept_out)
    if failed:
        return Statement(NOTE, "Consistent; some deserve a look", (*map(_counted, failed), *kept_out))
    idle = _idle(rest)
    if len(idle) == len(rest):
        return Statement(UNKNOWN, "Nothing to check", (*_whys(idle), *kept_out))
    return Statement(GOOD, "Yes", kept_out)


def _known(results: Results) -> Statement:
    broken = [result for result in results if result.did_not_run]
    bars = max(
        (result.evaluated or 0 for result in results if result.details.get("unit") == "bars"), default=0
    )
    text = f"{plural(len(results), 'check')} over {plural(bars, 'bar')}"
    if broken:
        return Statement(UNKNOWN, f"{text}; {len(broken)} did not run", (_names(broken),))
    if not results:
        return Statement(UNKNOWN, "No check ran")
    idle = _idle(results)
    if len(idle) == len(results):
        return Statement(UNKNOWN, "No check had anything to look at", _whys(idle))
    ran = "All of them ran, inside the database, over the stored rows"
    return Statement(GOOD, text, (ran, *((f"{len(idle)} had nothing to look at",) if idle else ())))


def _failed(results: Results, severity: str) -> list[QualityResult]:
    return [result for result in results if result.status == FAILED and result.severity == severity]


def _idle(results: Results) -> list[QualityResult]:
    return [result for result in results if result.status == NOT_EVALUATED and not result.did_not_run]


def _whys(idle: Results) -> tuple[str, ...]:
    """Each reason for having nothing to look at, with the checks it holds for."""
    reasons = dict.fromkeys(str(result.details.get("why", "nothing to look at")) for result in idle)
    by_reason = {
        why: [r for r in idle if r.details.get("why", "nothing to look at") == why] for why in reasons
    }
    return tuple(f"Not evaluated, because {why}: {_names(those)}" for why, those in by_reason.items())


def _names(results: Results) -> str:
    return ", ".join(dict.fromkeys(result.expectation for result in results))


def _counted(result: QualityResult) -> str:
    return f"{result.expectation}: {plural(result.unexpected or 0, 'finding')}"
