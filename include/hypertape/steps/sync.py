"""The whole run without Airflow: plan, then extract, gate and load per batch, rereads, and what follows any load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hypertape.errors import HypertapeError
from hypertape.model import Window, asked_window, midnight
from hypertape.quality.results import Summary
from hypertape.settings import Settings
from hypertape.steps.after_load import AfterLoad, after_load
from hypertape.steps.failures import Failure
from hypertape.steps.plan import SourceWish, plan
from hypertape.steps.refresh import Rollups
from hypertape.steps.restate import Settled, resolve_restatements
from hypertape.steps.run_batch import run_batch
from hypertape.steps.run_spec import Counts, OnStep, Plan, run_name, silent


@dataclass(slots=True)
class SyncResult:
    """What a run did, gathered as it goes. `error` is what it ends with, after all that could be done was done."""

    plan: Plan
    total: Counts = field(default_factory=Counts)
    failures: dict[str, Failure] = field(default_factory=dict)
    short: list[str] = field(default_factory=list)
    restated: Settled = field(default_factory=Settled)
    after: AfterLoad | None = None

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.plan.run_id

    @property
    def counts(self) -> dict[str, int]:
        """Bars by what became of them, those that were read again included."""
        return (self.total + self.restated.counts).to_json()

    @property
    def failed(self) -> dict[str, str]:
        """Why, by ticker."""
        return {ticker: failure.message for ticker, failure in self.failures.items()}

    @property
    def may_pass(self) -> set[str]:
        """The failed tickers that may succeed when asked again."""
        return {ticker for ticker, failure in self.failures.items() if failure.transient}

    @property
    def quality(self) -> Summary | None:
        """What the suite says; None without one."""
        return self.after.quality if self.after else None

    @property
    def rollups(self) -> Rollups:
        """What was refreshed."""
        return self.after.rollups if self.after else Rollups()

    @property
    def error(self) -> HypertapeError | None:
        """What the run ends with."""
        return self.after.error if self.after else None


def sync(
    dsn: str,
    market: str,
    interval: str,
    *,
    now: datetime,
    settings: Settings,
    tickers: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    source: SourceWish | None = None,
    run_id: str | None = None,
    check: bool = True,
    on_step: OnStep = silent,
) -> SyncResult:
    """Run every step in this process and return what happened.

    Without `start` each ticker continues where its bars end; with it the run owns exactly `[start, end)`. `end`
    defaults to `now` (all UTC) and is never after it. `check=False` leaves the quality suite out, and with it the
    watermark. Raises what stops the run as a whole; tickers that failed and failed checks are in the result.
    """
    run_id = run_id or run_name("sync", f"{now:%Y%m%dT%H%M%S}", check=check)
    stop = min(end or now, now)
    day = midnight(stop.date())
    owned = (
        asked_window(start, end, earliest=day, now=now) if start is not None else Window(min(day, stop), stop)
    )
    planned = plan(
        dsn, market, interval, run_id=run_id, data_interval=owned, exact=start is not None, source=source,
        tickers=tickers, settings=settings, now=now,
    )  # fmt: skip
    return carry_out(dsn, planned, now=now, settings=settings, check=check, on_step=on_step)


def carry_out(
    dsn: str,
    planned: Plan,
    *,
    now: datetime,
    settings: Settings,
    check: bool = True,
    on_step: OnStep = silent,
) -> SyncResult:
    """Run the steps of a plan in this process: what `sync` does after planning."""
    result = SyncResult(planned)
    spec = planned.spec
    total, done = sum(len(batch.tickers) for batch in planned.batches), 0
    on_step("load", done, total)
    for batch in planned.batches:
        loaded = run_batch(dsn, spec, batch, settings=settings, now=now)
        result.total += loaded.counts
        result.short += loaded.short
        result.failures |= loaded.failed
        done += len(batch.tickers)
        on_step("load", done, total)
    result.restated = resolve_restatements(dsn, spec, now=now, settings=settings, on_step=on_step)
    result.failures |= result.restated.failed
    result.after = after_load(dsn, spec, now=now, settings=settings, check=check, on_step=on_step)
    return result
