"""Did the warehouse find the defects that the synthetic sample has planted?

Evidence is only what a user could read: quarantine, revisions, load counts, corporate actions and quality results.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape.model import Interval
from hypertape.queries import query
from hypertape.sources.sample import Defect, Plan, Planted

Connection = psycopg.Connection[Any]

_CHECKS: dict[Defect, tuple[str, ...]] = {
    Defect.GAP: ("sessions_complete", "sessions_covered"),
    Defect.JUMP: ("close_jump",),
    Defect.STALE: ("not_stale",),
    Defect.VOLUME_SPIKE: ("volume_outlier",),
    Defect.MISMATCH: ("day_holds_1h", "day_holds_1m"),
}
_REFUSED = (Defect.BAD_ROW, Defect.NEGATIVE_VOLUME, Defect.OFF_GRID)


@dataclass(frozen=True, slots=True)
class DemoFinding:
    """A planted defect and where the warehouse shows it; `evidence` is empty when it does not."""

    planted: Planted
    evidence: str

    @property
    def found(self) -> bool:
        """True when there is evidence."""
        return bool(self.evidence)


def find_planted(
    connection: Connection, loaded: Iterable[tuple[str, Interval]], plan: Plan
) -> list[DemoFinding]:
    """Look for every defect that the plan has planted in the (market, interval) pairs that were loaded.

    A mismatch between a day and its hours shows in the daily suite, so it counts only where both were loaded.
    """
    pairs = set(loaded)
    return [
        DemoFinding(planted, _evidence(connection, planted))
        for planted in plan.planted
        if _visible(planted, pairs)
    ]


def _visible(planted: Planted, pairs: set[tuple[str, Interval]]) -> bool:
    needed = {(planted.market, planted.interval)}
    if planted.kind is Defect.MISMATCH:
        needed.add((planted.market, Interval.D1))
    return needed <= pairs


def _evidence(connection: Connection, planted: Planted) -> str:
    if planted.kind in _REFUSED:
        return _first(connection, "planted_refused", planted, "quarantine: {0} {1:%Y-%m-%d %H:%M:%S}")
    if planted.kind is Defect.DUPLICATE:
        return _first(connection, "planted_duplicates", planted, "load: {0} duplicates dropped")
    if planted.kind is Defect.CORRECTION:
        return _first(connection, "planted_revisions", planted, "bar_revision: {0} former values kept")
    if planted.kind is Defect.SPLIT:
        return _first(connection, "planted_splits", planted, "splits: {0:g} for 1")
    if planted.kind is Defect.DIVIDEND:
        return _first(connection, "planted_dividends", planted, "dividends: {0:.4g} a share")
    return _checked(connection, planted)


def _first(connection: Connection, name: str, planted: Planted, words: str) -> str:
    row = connection.execute(query(name), _parameters(planted)).fetchone()
    return words.format(*row) if row is not None and row[0] else ""


def _checked(connection: Connection, planted: Planted) -> str:
    """The failed check whose sample names a bar of the defect."""
    across = planted.kind is Defect.MISMATCH  # the daily suite may be the one that shows it
    parameters = {**_parameters(planted), "checks": list(_CHECKS[planted.kind]), "any": across}
    for expectation, sample in connection.execute(query("planted_checks"), parameters).fetchall():
        for key in sample:
            if key.get("ticker") == planted.ticker and _same_day(planted, key.get("time")):
                return f"check {expectation}: {planted.ticker} {key['time']}"
    return ""


def _same_day(planted: Planted, text: object) -> bool:
    """True when a check's key lies on a day of the defect: a suite may name the day of an hour."""
    if not isinstance(text, str):
        return False
    last = planted.window.end - timedelta(microseconds=1)
    return planted.window.start.date() <= datetime.fromisoformat(text).date() <= last.date()


def _parameters(planted: Planted) -> dict[str, Any]:
    return {
        "market": planted.market,
        "interval": planted.interval.value,
        "ticker": planted.ticker,
        "start": planted.window.start,
        "end": planted.window.end,
    }
