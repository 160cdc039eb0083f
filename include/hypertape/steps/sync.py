"""The whole run without Airflow: plan, then extract, enrich and load per batch, then validate, refresh and publish."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hypertape.errors import HypertapeError
from hypertape.model import Window, asked_window, midnight
from hypertape.settings import Settings, load_settings
from hypertape.steps.after_load import after_load
from hypertape.steps.enrich import enrich
from hypertape.steps.extract import extract
from hypertape.steps.load import store
from hypertape.steps.plan import RunSpec, plan
from hypertape.steps.restate import settle

COUNTS = ("inserted", "updated", "recomputed", "unchanged", "quarantined", "flagged")

OnStep = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and how much there is."""


@dataclass(slots=True)
class SyncResult:
    """What a sync did. `error` is what the run ends with, after everything that could be done was done.

    `failed` says why, by ticker; those in `may_pass` may succeed when asked again.
    """

    run_id: str
    plan: dict[str, Any]
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    failed: dict[str, str] = field(default_factory=dict)
    may_pass: set[str] = field(default_factory=set)
    short: list[str] = field(default_factory=list)
    restated: dict[str, int] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    rollups: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)
    error: HypertapeError | None = None

    def note_failed(self, failed: Mapping[str, Mapping[str, Any]]) -> None:
        """Add a step's failures (`Failure.to_json`) by ticker."""
        self.failed |= {ticker: failure["message"] for ticker, failure in failed.items()}
        self.may_pass |= {ticker for ticker, failure in failed.items() if failure["transient"]}


def sync(
    dsn: str,
    market: str,
    interval: str,
    *,
    now: datetime,
    tickers: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    source: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    run_id: str | None = None,
    check: bool = True,
    on_step: OnStep | None = None,
) -> SyncResult:
    """Run every step in this process and return what happened.

    Without `start` each ticker continues at its watermark; with it the run owns exactly `[start, end)`. `end`
    defaults to
    `now` (all UTC). `check=False` leaves the quality suite out, and with it the watermark. Raises what stops the run
    as a
    whole; tickers that failed and failed checks are in the result.
    """
    settings = settings or load_settings()
    run_id = run_id or f"sync__{now:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"
    stop = end or now
    day = midnight(stop.date())
    owned = (
        asked_window(start, end, earliest=day, now=now) if start is not None else Window(min(day, stop), stop)
    )
    planned = plan(
        dsn, market, interval, run_id=run_id, data_interval=owned.to_json(), exact=start is not None, source=source,
        tickers=tickers, settings=settings,
    )  # fmt: skip
    return carry_out(dsn, planned, now=now, settings=settings, check=check, on_step=on_step)


def carry_out(
    dsn: str,
    planned: dict[str, Any],
    *,
    now: datetime,
    settings: Settings | None = None,
    check: bool = True,
    on_step: OnStep | None = None,
) -> SyncResult:
    """Run the steps of a plan in this process: what `sync` does after planning."""
    settings = settings or load_settings()
    tell = on_step or (lambda *_: None)
    result = SyncResult(planned["run_id"], planned)
    _load_batches(dsn, result, settings, now, tell)
    _settle_restatements(dsn, result, settings, now, tell)
    spec = RunSpec.from_json(planned)
    tail = after_load(dsn, spec, now=now, settings=settings, check=check, on_step=tell)
    result.quality, result.rollups, result.error = dict(tail.quality), dict(tail.rollups), tail.error
    result.published = {"mirrors": tail.mirrors}
    if tail.report is not None:
        result.published |= {
            "watermarks_moved": tail.watermarks_moved,
            "report": str(tail.report),
            "tickers": tail.tickers,
            "gaps": tail.gaps,
        }
    return result


def _settle_restatements(
    dsn: str, result: SyncResult, settings: Settings, now: datetime, tell: OnStep
) -> None:
    done = settle(dsn, result.plan, now=now, settings=settings, on_step=tell)
    for name in COUNTS:
        result.counts[name] += done.get(name, 0)
    result.restated = {name: done.get(name, 0) for name in ("suspected", "local", "reread")}
    result.note_failed(done["failed"])


def _load_batches(dsn: str, result: SyncResult, settings: Settings, now: datetime, tell: OnStep) -> None:
    head = RunSpec.from_json(result.plan)
    batches = result.plan["batches"]
    total = sum(len(batch["tickers"]) for batch in batches)
    done = 0
    tell("load", done, total)
    for batch in batches:
        reference = extract(batch, plan_head=result.plan, landing=settings.landing, now=now, dsn=dsn)
        reference = enrich(dsn, reference, plan_head=result.plan, now=now)
        summary = store(dsn, reference, head, now=now, attempt=1)
        for name in COUNTS:
            result.counts[name] += summary[name]
        result.short += summary["short"]
        result.note_failed(summary["failed"])
        done += len(batch["tickers"])
        tell("load", done, total)
