"""Run a suite in the database and say what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from hypertape import calendars
from hypertape.errors import BadInput
from hypertape.frame import micros
from hypertape.model import Interval, Market, Window, format_instant
from hypertape.quality.project_rules import rules_for
from hypertape.quality.results import BROKEN, FAILED, NOT_EVALUATED, QualityResult, status_of
from hypertape.quality.scope import SAMPLED_BARS, Scope, names_for
from hypertape.queries import query

if TYPE_CHECKING:
    from hypertape.quality.checkpoint import Outcome

Connection = psycopg.Connection[Any]

NOTHING = {
    "bars": "no bar is stored in the window",
    "sample": "no bar is stored in the window",
    "adjusted closes": "no bar in the window has an adjusted close",
    "pairs": "no ticker has bars of both intervals in the window",
    "sessions": "no session of a stored ticker is due in the window",
    "tickers": "no ticker is stored",
}
"""Why a check had nothing to look at, by what it counts."""

ENDED = "its statement was ended before it was done: nothing is known about the data"

RULE_LIMIT = timedelta(minutes=5)
"""How long a rule may take where nobody says otherwise."""

READ_BY_RULES = ("series", "trading_session", "gap", "splits", "dividends", "capital_gains")
"""Tables that rules read beside the bars."""

FEW_CHANGES, CHANGED_SHARE = 200, 0.2
"""Rows of a table that may change before rules read it without its being analysed."""


def validate(
    dsn: str,
    connection: Connection,
    market: Market,
    interval: Interval,
    window: Window,
    *,
    run_id: str,
    now: datetime,
    tickers: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
    limit: timedelta = RULE_LIMIT,
) -> list[QualityResult]:
    """Run the suite of (market, interval) over the window's stored bars and return one result per rule.

    `dsn` (a libpq URI or keyword string) is where Great Expectations connects; `connection` is an open one of the same
    database. What is due is judged as of min(window.end, now), by the sessions in `trading_session`: the caller has
    registered those of the window (`warehouse.ledger.register_calendar`) and committed them. `tickers` None means all.
    `progress` is called with the name of each rule before it runs. Nothing is written (see `results.record`), but
    tables that have just been filled are analysed. A rule that takes longer than `limit` is ended and not evaluated.

    Bad data never raises. A rule that does not run becomes a result with status `broken` and its error, unless the
    database itself went away: then psycopg.OperationalError. Raises BadInput for a derived interval.
    """
    if not interval.is_stored:
        raise BadInput(
            f"{interval.value} is rolled up, not stored", next_step=f"Validate {interval.base.value}."
        )
    from hypertape.quality.checkpoint import outcomes  # noqa: PLC0415 - great_expectations takes 6 s to import

    scope = Scope(market, interval, window, run_id, now, None if tickers is None else tuple(tickers))
    _analyse(connection, scope)
    counts = _counts(connection, scope)
    connection.commit()  # Great Expectations connects by itself: no two transactions at once, for a pool of one
    ran = list(outcomes(dsn, scope, progress or (lambda _: None), limit))
    found = [_result(scope, _evaluated(connection, scope, counts, outcome), outcome) for outcome in ran]
    if any(result.status == BROKEN for result in found):
        connection.execute("select 1")
    found = [_with_coverage(connection, scope, result) for result in found]
    connection.commit()
    return found


def _analyse(connection: Connection, scope: Scope) -> None:
    """Analyse the tables that were filled or changed a lot just now: without statistics a plan may take hours."""
    stored = [f"bars.{scope.market.relation(interval)}" for interval in scope.market.intervals]
    parameters = {
        "relations": [*stored, *(f"public.{name}" for name in READ_BY_RULES)],
        "few": FEW_CHANGES,
        "share": CHANGED_SHARE,
    }
    connection.execute("select pg_stat_force_next_flush()")
    connection.commit()
    for (name,) in connection.execute(query("quality_unanalysed"), parameters).fetchall():
        connection.execute(query("quality_analyse"), (name,))
    connection.commit()


def _counts(connection: Connection, scope: Scope) -> dict[str, int]:
    """What each rule's unit amounts to in this scope."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query("quality_scope").format(**names_for(scope))).fetchone()
    assert row is not None
    return {
        "bars": row["bars"],
        "adjusted closes": row["adjusted"],
        "tickers": row["series"],
        "sessions": row["sessions"],
        "sample": min(row["bars"], row["tickers"] + SAMPLED_BARS),
    }


def _evaluated(connection: Connection, scope: Scope, counts: Mapping[str, int], outcome: Outcome) -> int:
    unit = outcome.rule["unit"]
    if unit != "pairs":
        return counts[unit]
    rule = next(r for r in rules_for(scope.market, scope.interval) if r.name == outcome.rule["name"])
    other = rule.narrow if scope.interval is Interval.D1 else Interval.D1
    names = {**names_for(scope, rule), "other": sql.Literal(other.value if other else None)}
    row = connection.execute(query("quality_pairs").format(**names)).fetchone()
    assert row is not None
    return int(row[0])


def _result(scope: Scope, evaluated: int, outcome: Outcome) -> QualityResult:
    unexpected = _unexpected(outcome)
    if outcome.error is not None:
        status = NOT_EVALUATED if outcome.ended else BROKEN
    else:
        status = FAILED if not outcome.success else status_of(evaluated, 0)
    known = outcome.error is None
    nothing = ENDED if outcome.ended else NOTHING[outcome.rule["unit"]]
    why: dict[str, Any] = {"why": nothing} if status == NOT_EVALUATED else {}
    if status == FAILED and (named := outcome.result.get("details", {}).get("tickers")):
        why["tickers"] = named
    if scope.tickers is not None:
        why["scope"] = list(scope.tickers)
    return QualityResult(
        run_id=scope.run_id,
        market=scope.market.code,
        interval=scope.interval.value,
        suite=scope.relation,
        expectation=outcome.rule["name"],
        target=outcome.rule["target"],
        description=outcome.rule["description"],
        severity=outcome.severity,
        status=status,
        evaluated=evaluated if known else None,
        unexpected=unexpected if known else None,
        sample=_sample(outcome.result) if known else (),
        details={name: outcome.rule[name] for name in ("unit", "statement")} | why,
        error=outcome.error,
        window=scope.window,
        seconds=outcome.seconds,
    )


def _unexpected(outcome: Outcome) -> int:
    return int(outcome.result.get("unexpected_count", outcome.result.get("observed_value", 0)) or 0)


def _sample(result: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    rows = (
        result.get("partial_unexpected_index_list") or result.get("details", {}).get("unexpected_rows") or []
    )
    return tuple({name: _plain(value) for name, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    """Instants in the form people read everywhere else; other values as Great Expectations gave them."""
    if isinstance(value, str):
        try:
            return format_instant(datetime.fromisoformat(value)) if len(value) > 18 else value
        except ValueError:
            return value
    return value


def _with_coverage(connection: Connection, scope: Scope, result: QualityResult) -> QualityResult:
    """Add to the intraday completeness rule how many of a full grid's bars are there: thin tickers have few."""
    if result.expectation != "sessions_covered":
        return result
    expected = calendars.expected_times(
        scope.market, scope.interval, Window(scope.window.start, scope.judged)
    )
    rows = connection.execute(query("quality_spans").format(**names_for(scope))).fetchall()
    spans = np.array([[micros(first), micros(last)] for _, first, last, _ in rows], np.int64).reshape(-1, 2)
    due = np.searchsorted(expected, spans[:, 1], "right") - np.searchsorted(expected, spans[:, 0], "left")
    bars = sum(row[3] for row in rows)
    grid = int(np.maximum(due, 0).sum())
    return replace(result, details={**result.details, "bars": bars, "grid": grid})
