"""Dividends and splits of a market: fetch, keep, and hold the vendor's adjusted closes against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from hypertape.errors import BatchIncomplete, BatchRefused, NoData
from hypertape.frame import instant
from hypertape.markets import all_markets, get_market
from hypertape.model import WARNING, Interval, Window, asked_window
from hypertape.quality.results import NOT_EVALUATED, SAMPLE_KEYS, QualityResult, record, status_of
from hypertape.settings import Settings
from hypertape.steps.failures import Failures, failure_lines, failures_from_json, failures_to_json
from hypertape.steps.landing import keep_landed_actions
from hypertape.steps.plan import SourceWish, plan
from hypertape.steps.run_batch import extract
from hypertape.steps.run_spec import Batch, Json, RunSpec
from hypertape.warehouse.actions import (
    SPLIT_ADJUSTED,
    VALUES,
    Kept,
    adjusted,
    differs_from_vendor,
    tickers_with_actions,
)
from hypertape.warehouse.connect import connect

LOOK_BACK = timedelta(days=400)
"""How far back a run without a start asks: vendors add and correct actions for months."""

TOLERANCE = 2e-3
"""Relative difference between the vendor's adjusted close and the computed one that rounding explains: vendors round
amounts to cents and factors to six digits."""

SUITE = "corporate_actions"

NO_ACTION = "no ticker with daily bars has a dividend or split that stands"
NO_ADJUSTED_CLOSE = "no bar in the window has an adjusted close of its vendor's"
"""Why there was nothing to compare."""

CHANGES = tuple(field.name for field in fields(Kept))
"""What may become of an action, as a run counts it."""


@dataclass(frozen=True, slots=True)
class ActionsBatch:
    """A batch of tickers to ask for dividends and splits, with the spec of its market."""

    spec: RunSpec
    batch: Batch

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {**self.batch.to_json(), "spec": self.spec.to_json()}

    @classmethod
    def from_json(cls, value: Json) -> ActionsBatch:
        """Read what `to_json` wrote."""
        return cls(RunSpec.from_json(value["spec"]), Batch.from_json(value))


@dataclass(frozen=True, slots=True)
class SyncedActions:
    """What a batch brought: what became of its actions (`splits_new`, …), by ticker why there are none."""

    market: str
    window: Window
    tickers: tuple[str, ...]
    counts: dict[str, int]
    failed: Failures

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            "market": self.market,
            "window": self.window.to_json(),
            "tickers": list(self.tickers),
            "counts": self.counts,
            "failed": failures_to_json(self.failed),
        }

    @classmethod
    def from_json(cls, value: Json) -> SyncedActions:
        """Read what `to_json` wrote."""
        return cls(
            value["market"],
            Window.from_json(value["window"]),
            tuple(value["tickers"]),
            value["counts"],
            failures_from_json(value["failed"]),
        )


@dataclass(frozen=True, slots=True)
class ActionsResult:
    """The sums of a run's batches, the check of each market's adjusted closes, and the tickers that failed."""

    counts: dict[str, int]
    checks: dict[str, QualityResult]
    failed: Failures

    def to_json(self) -> Json:
        """Return a JSON object."""
        checks = {
            market: {
                "evaluated": checked.evaluated,
                "differing": checked.unexpected,
                "status": checked.status,
                "why": checked.details.get("why"),
            }
            for market, checked in self.checks.items()
        }
        return {**self.counts, "checks": checks, "failed": failures_to_json(self.failed)}


def plan_actions(
    dsn: str,
    market: str | None,
    *,
    run_id: str,
    now: datetime,
    settings: Settings,
    start: datetime | None = None,
    end: datetime | None = None,
    tickers: Sequence[str] | None = None,
    source: SourceWish | None = None,
) -> list[ActionsBatch]:
    """Return the batches to ask for, each with the spec of its market (without a market: of each).

    Raises what `steps.plan.plan` raises.
    """
    window = asked_window(start, end, earliest=(end or now) - LOOK_BACK, now=now)
    batches: list[ActionsBatch] = []
    for code in [market] if market else all_markets():
        planned = plan(
            dsn, code, Interval.D1.value, run_id=run_id, data_interval=window, exact=True, now=now,
            source=_asked(source, code, settings), tickers=tickers, settings=settings,
        )  # fmt: skip
        for batch in planned.batches:
            batches.append(ActionsBatch(planned.spec, replace(batch, index=len(batches))))
    return batches


def _asked(source: SourceWish | None, market: str, settings: Settings) -> SourceWish | None:
    """The source to ask: the one that was named, else the market's first that has actions at all."""
    if (source and source.get("name")) or settings.source:
        return source
    having = [name for name in get_market(market).sources if name in SPLIT_ADJUSTED]
    return {**(source or {}), "name": having[0]} if having else source


def sync_actions(dsn: str, asked: ActionsBatch, *, now: datetime, settings: Settings) -> SyncedActions:
    """Fetch the actions of a batch and keep them; return the counts and the failed tickers.

    The bars of the answer are left alone: they are the bar runs' work, and what an action changes in them is found as a
    restatement there.
    """
    spec, batch = asked.spec, asked.batch
    landed = extract(spec, batch, settings=settings, now=now, dsn=dsn)
    with connect(dsn) as connection:
        counts = keep_landed_actions(connection, spec, batch, settings=settings, now=now)
        connection.commit()
    failed = {ticker: failure for ticker, failure in landed.failed.items() if failure.kind != NoData.__name__}
    tickers = tuple(ticker for ticker in batch.tickers if ticker not in failed)
    return SyncedActions(spec.market.code, batch.window, tickers, counts, failed)


def check_adjusted(
    dsn: str, market: str, tickers: Sequence[str], window: Window, *, run_id: str, now: datetime
) -> QualityResult:
    """Compare the vendor's adjusted closes with those computed from closes and actions; keep the outcome.

    Looks at the tickers that have an action, over the window; a warning where more than TOLERANCE lies between, not
    evaluated where there is nothing to compare.
    """
    of_market = get_market(market)
    evaluated = unexpected = 0
    sample: list[dict[str, Any]] = []
    with connect(dsn) as connection:
        found = tickers_with_actions(connection, of_market, tickers)
        for ticker, source in found:
            series = adjusted(
                connection, of_market, ticker, window, split_adjusted=SPLIT_ADJUSTED.get(source or "")
            )
            far = differs_from_vendor(series, TOLERANCE)
            evaluated += int((~np.isnan(series.adjusted_close)).sum())
            unexpected += int(far.sum())
            sample += [
                {
                    "ticker": ticker,
                    "time": instant(int(series.time[at])).isoformat(),
                    "vendor": float(series.adjusted_close[at]),
                    "computed": float(series.adjusted[at]),
                }
                for at in np.flatnonzero(far)[-2:]
            ]
        status = status_of(evaluated, unexpected)
        details: dict[str, Any] = {"tickers": len(found)}
        if status == NOT_EVALUATED:
            details |= {"why": NO_ADJUSTED_CLOSE if found else NO_ACTION}
        result = QualityResult(
            run_id, market, Interval.D1.value, SUITE, "adjusted_close_reproduced",
            f"adjusted_close is the close times the factors of the later dividends and splits (within {TOLERANCE:.1%})",
            WARNING, status, window, target="adjusted_close", evaluated=evaluated, unexpected=unexpected,
            sample=tuple(sample[:SAMPLE_KEYS]), details=details, checked_at=now,
        )  # fmt: skip
        record(connection, [result])
        connection.commit()
    return result


def finish(dsn: str, synced: Sequence[SyncedActions], *, run_id: str, now: datetime) -> ActionsResult:
    """Check the markets of a run's batches; return the sums, the checks and the failed tickers."""
    total = {
        f"{table}_{what}": sum(batch.counts[f"{table}_{what}"] for batch in synced)
        for table in VALUES
        for what in CHANGES
    }
    total["actions_refused"] = sum(batch.counts["actions_refused"] for batch in synced)
    checks = {}
    for market in dict.fromkeys(batch.market for batch in synced):
        of_market = [batch for batch in synced if batch.market == market]
        tickers = [ticker for batch in of_market for ticker in batch.tickers]
        # all batches of a market share the window that was asked for
        window = Window(
            min(batch.window.start for batch in of_market), max(batch.window.end for batch in of_market)
        )
        checks[market] = check_adjusted(dsn, market, tickers, window, run_id=run_id, now=now)
    return ActionsResult(total, checks, {t: why for batch in synced for t, why in batch.failed.items()})


def raise_if_failed(done: ActionsResult) -> None:
    """Raise for failed tickers: BatchIncomplete when one of them may succeed later, else BatchRefused."""
    if done.failed:
        transient = any(failure.transient for failure in done.failed.values())
        raise (BatchIncomplete if transient else BatchRefused)(
            f"{len(done.failed)} tickers failed, what came of others is kept: {'; '.join(failure_lines(done.failed))}"
        )
