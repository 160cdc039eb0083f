"""Refresh the rollups of what changed, and of what others left waiting, and prove them equal to their bars."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypertape.markets import all_markets
from hypertape.model import CRITICAL, Window, format_instant
from hypertape.quality.results import QualityResult, record, status_of
from hypertape.steps.run_spec import Json, RunSpec, loaded_spec
from hypertape.warehouse.claims import LEASE
from hypertape.warehouse.connect import connect
from hypertape.warehouse.rollups import (
    ABANDONED,
    Refreshed,
    RollupCheck,
    check_rollups,
    refresh_pending,
    waiting_scopes,
)


@dataclass(frozen=True, slots=True)
class Rollups:
    """What a refresh did: the ranges it refreshed, the buckets it compared, those that differed, its seconds."""

    ranges: tuple[Refreshed, ...] = ()
    buckets: int = 0
    differing: int = 0
    seconds: float = 0.0

    @property
    def levels(self) -> list[str]:
        """The rollups that were refreshed."""
        return list(dict.fromkeys(entry.interval.value for entry in self.ranges))

    def __add__(self, later: Rollups) -> Rollups:
        """What two refreshes of the same market and interval did, one after the other."""
        return Rollups(
            self.ranges + later.ranges,
            self.buckets + later.buckets,
            self.differing + later.differing,
            self.seconds + later.seconds,
        )

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            "ranges": [[entry.interval.value, *entry.window.to_json()] for entry in self.ranges],
            "buckets": self.buckets,
            "differing": self.differing,
            "rollups": self.levels,
            "seconds": self.seconds,
        }


NONE_REFRESHED = Rollups()


def refresh(dsn: str, spec: RunSpec, *, lease: timedelta = LEASE) -> Rollups:
    """Refresh every rollup of the run's interval over the ranges that wait, whoever left them, and check them.

    The check's results are kept with the run's quality results under the suite `rollups`. What runs that died left
    waiting elsewhere is refreshed as well.
    """
    done = _refresh(dsn, spec, lease)
    with connect(dsn, autocommit=True) as connection:
        elsewhere = waiting_scopes(connection, ABANDONED)
    for market, interval in elsewhere:
        if (market, interval) != (spec.market.code, spec.interval.value) and market in all_markets():
            _refresh(dsn, loaded_spec(spec.run_id, market, interval, spec.source.name, spec.window), lease)
    return done


def refresh_waiting(dsn: str, run_id: str, market: str, interval: str, now: datetime) -> Rollups:
    """Refresh what waits of a market and interval, for a command that loads nothing."""
    return refresh(dsn, loaded_spec(run_id, market, interval, "refresh", Window(now, now)))


def _refresh(dsn: str, spec: RunSpec, lease: timedelta) -> Rollups:
    started = clock.perf_counter()
    refreshed = refresh_pending(dsn, spec.market, spec.interval, lease=lease)
    seconds = clock.perf_counter() - started
    if not refreshed:
        return Rollups(seconds=seconds)
    checks = _check(dsn, spec, refreshed)
    if any(check.differing for check in checks) and refresh_pending(
        dsn, spec.market, spec.interval, lease=lease
    ):
        checks = _check(dsn, spec, refreshed)  # a load had changed bars between the refresh and its check
    with connect(dsn) as connection:
        record(connection, [_rollup_result(spec, check) for check in checks])
        connection.commit()
    buckets, differing = sum(check.buckets for check in checks), sum(check.differing for check in checks)
    return Rollups(tuple(refreshed), buckets, differing, seconds)


def _check(dsn: str, spec: RunSpec, refreshed: Sequence[Refreshed]) -> list[RollupCheck]:
    with connect(dsn) as connection:
        return check_rollups(connection, spec.market, refreshed)


def _rollup_result(spec: RunSpec, check: RollupCheck) -> QualityResult:
    return QualityResult(
        run_id=spec.run_id,
        market=spec.market.code,
        interval=spec.interval.value,
        suite="rollups",
        expectation="rollup_equals_bars",
        target=spec.market.relation(check.interval),
        description=f"Every {check.interval.value} bucket equals a recomputation from the {spec.interval.value} bars",
        severity=CRITICAL,
        status=status_of(check.buckets, check.differing),
        evaluated=check.buckets,
        unexpected=check.differing,
        sample=tuple({"ticker": ticker, "time": format_instant(time)} for ticker, time in check.sample),
        details={} if check.buckets else {"why": "no bucket of it lies in what changed"},
        window=check.window,
    )
