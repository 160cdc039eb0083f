"""What a check found, kept in `quality_result`: every room that checks something records it here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from hypertape.errors import CheckBroken, CheckEnded, CheckFailed
from hypertape.model import CRITICAL, WARNING, Window
from hypertape.queries import query

Connection = psycopg.Connection[Any]

PASSED, FAILED, BROKEN, NOT_EVALUATED = "passed", "failed", "broken", "not_evaluated"
STATUSES = (PASSED, FAILED, BROKEN, NOT_EVALUATED)

SAMPLE_KEYS = 10
"""Offending keys kept with a result; `unexpected` counts them all."""


@dataclass(frozen=True, slots=True)
class QualityResult:
    """The outcome of one check over one window.

    `severity` is critical (blocks the watermark) or warning; `status` is passed, failed, broken (the check itself
    did not run, `error` says why, and nothing is known about the data) or not_evaluated (it ran and had nothing to look
    at, `details["why"]` says why: no reason to worry, and none to be calm; or, with `error`, it was ended too early).
    A failed one lists in `details["tickers"]` all tickers it is about, where its rule can say so; `details["scope"]`
    are the tickers a check was confined to. `known_at`: every load known then was seen by it.
    `evaluated` counts what was looked at, in the check's own unit (bars, sessions, tickers, days, buckets);
    `unexpected` counts offenders. `sample` holds at most `SAMPLE_KEYS` of them as {"ticker", "time", …}; longer ones
    are cut when recorded.
    """

    run_id: str
    market: str
    interval: str
    suite: str
    expectation: str
    description: str
    severity: str
    status: str
    window: Window
    target: str = ""
    evaluated: int | None = None
    unexpected: int | None = None
    sample: tuple[Mapping[str, Any], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0
    checked_at: datetime | None = None
    known_at: datetime | None = None

    @property
    def did_not_run(self) -> bool:
        """True where the check says nothing of the data, since it broke or was ended before it was done."""
        return self.status == BROKEN or (self.status == NOT_EVALUATED and self.error is not None)

    @property
    def unexpected_percent(self) -> float | None:
        """Share of offenders among what was evaluated, 0 to 100; None when either is unknown."""
        if self.unexpected is None or not self.evaluated:
            return None
        return 100.0 * self.unexpected / self.evaluated


def status_of(evaluated: int, unexpected: int) -> str:
    """The status of a check that ran: what looked at nothing has proved nothing."""
    return FAILED if unexpected else PASSED if evaluated else NOT_EVALUATED


def record(connection: Connection, results: Iterable[QualityResult]) -> int:
    """Keep results in `quality_result` and return how many; the caller commits."""
    rows = [_row(result) for result in results]
    with connection.cursor() as cursor:
        cursor.executemany(query("quality_record"), rows)
    return len(rows)


def results_of(
    connection: Connection, run_id: str, market: str | None = None, interval: str | None = None
) -> list[QualityResult]:
    """Read the newest result of every check of a run, critical ones first.

    A run that was validated again keeps its older results in the table; they are not returned.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        parameters = {"run_id": run_id, "market": market, "interval": interval}
        return [_result(row) for row in cursor.execute(query("quality_of_run"), parameters)]


@dataclass(frozen=True, slots=True)
class Summary:
    """Results counted: checks and passed; the names of failed ones by severity, of broken and not evaluated ones."""

    checks: int
    passed: int
    critical: list[str]
    warnings: list[str]
    broken: list[str]
    not_evaluated: list[str]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def summary(results: Sequence[QualityResult]) -> Summary:
    """Count results."""
    failed = [result for result in results if result.status == FAILED]
    return Summary(
        checks=len(results),
        passed=sum(result.status == PASSED for result in results),
        critical=[_label(result) for result in failed if result.severity == CRITICAL],
        warnings=[_label(result) for result in failed if result.severity == WARNING],
        broken=[result.expectation for result in results if result.status == BROKEN],
        not_evaluated=[result.expectation for result in results if result.status == NOT_EVALUATED],
        seconds=round(sum(result.seconds for result in results), 3),
    )


def raise_if_critical(results: Sequence[QualityResult]) -> None:
    """Raise CheckFailed when a critical check found bad data, else CheckBroken when a critical rule did not run,
    else CheckEnded when the server ended one: nothing of them is proved.

    A warning never raises, broken or not: it shows in the report.
    """
    critical = [result for result in results if result.severity == CRITICAL]
    failed = [result for result in critical if result.status == FAILED]
    broken = [result for result in critical if result.status == BROKEN]
    ended = [result for result in critical if result.did_not_run and result.status != BROKEN]
    if failed:
        found = ", ".join(_label(result) for result in failed)
        also = f"; rules that did not run: {_names(broken)}" if broken else ""
        raise CheckFailed(f"{len(failed)} critical checks failed: {found}{also}", **_place(failed[0]))
    if broken:
        raise CheckBroken(
            f"{len(broken)} critical rules did not run: {_names(broken)}; the first says: {broken[0].error}",
            **_place(broken[0]),
        )
    if ended:
        raise CheckEnded(
            f"{len(ended)} critical rules were ended before they were done: {_names(ended)}; the first says: "
            f"{ended[0].error}",
            **_place(ended[0]),
        )


def holding(results: Sequence[QualityResult], tickers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Which of some tickers critical results hold, each with the names of the checks that do.

    A failed check holds the tickers it found fault with. One that cannot say which, that did not run or was ended holds
    all it looked at.
    """
    held: dict[str, list[str]] = {}
    asked = sorted(set(tickers))
    for result in results:
        if result.severity != CRITICAL or not (result.did_not_run or result.status == FAILED):
            continue
        found = _offending(result) if result.status == FAILED else None
        about = result.details.get("scope") if found is None else found
        for ticker in asked:
            if about is None or ticker in about:
                held.setdefault(ticker, []).append(result.expectation)
    return {ticker: tuple(dict.fromkeys(checks)) for ticker, checks in held.items()}


def _offending(result: QualityResult) -> frozenset[str] | None:
    """All tickers that a failed check is about; None when it cannot say."""
    named = result.details.get("tickers")
    if named is None and result.unexpected is not None and result.unexpected <= len(result.sample):
        named = [key.get("ticker") for key in result.sample]
    if not named or not all(named):
        return None
    return frozenset(named)


def _names(results: Iterable[QualityResult]) -> str:
    return ", ".join(result.expectation for result in results)


def _label(result: QualityResult) -> str:
    """`ohlc_order (3)`, and for the first offender its key: `ohlc_order (3, first VIC 2024-01-05)`."""
    first = result.sample[0] if result.sample else {}
    key = " ".join(str(first[name]) for name in ("ticker", "time") if first.get(name))
    return f"{result.expectation} ({result.unexpected}{f', first {key}' if key else ''})"


def _place(result: QualityResult) -> dict[str, Any]:
    return {"market": result.market, "interval": result.interval, "window": result.window}


def _row(result: QualityResult) -> dict[str, Any]:
    return {
        "run_id": result.run_id,
        "market": result.market,
        "interval": result.interval,
        "suite": result.suite,
        "expectation": result.expectation,
        "target": result.target,
        "description": result.description,
        "severity": result.severity,
        "status": result.status,
        "evaluated": result.evaluated,
        "unexpected": result.unexpected,
        "unexpected_percent": result.unexpected_percent,
        "sample": Jsonb([dict(key) for key in result.sample[:SAMPLE_KEYS]]),
        "details": Jsonb(dict(result.details)),
        "error": result.error,
        "window_start": result.window.start,
        "window_end": result.window.end,
        "known_at": result.known_at,
        "seconds": result.seconds,
    }


def _result(row: dict[str, Any]) -> QualityResult:
    window = Window(row.pop("window_start"), row.pop("window_end"))
    return QualityResult(**{**row, "sample": tuple(row["sample"])}, window=window)
