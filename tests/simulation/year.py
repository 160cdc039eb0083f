"""The runs of the simulated year, and a driver that takes each through the product's own steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from story import NOON, Plot, evening, healing, mending

from hypertape.model import Window, midnight
from hypertape.settings import Settings
from hypertape.steps.after_load import publish
from hypertape.steps.backfill import BackfillRequest, backfill
from hypertape.steps.checks import validate
from hypertape.steps.heal import HealPlan, finish_heal, plan_heal
from hypertape.steps.plan import plan
from hypertape.steps.refresh import refresh
from hypertape.steps.restate import resolve_restatements
from hypertape.steps.run_batch import extract, gate, load
from hypertape.steps.run_spec import Batch, BatchResult, Plan


@dataclass(frozen=True)
class Run:
    """One run: when it starts, the end of its data interval, and whether it owns an exact window or heals.

    `check` runs the quality suite too, which costs seconds.
    """

    now: datetime
    end: datetime
    start: datetime | None = None
    kind: str = "daily"
    check: bool = False

    @property
    def run_id(self) -> str:
        return f"{self.kind}__{self.now:%Y-%m-%dT%H:%M}"


class Served(Protocol):
    """How the vendor is served: a source for the plan, told what moment it is."""

    source: dict[str, Any]

    def turn_to(self, now: datetime) -> None: ...


def daily(day: date) -> Run:
    """The scheduled run of a session."""
    return Run(evening(day), evening(day) - timedelta(minutes=5))


def runs_of(plot: Plot, checks: Sequence[int] = ()) -> list[Run]:
    """The undisturbed year, in order; the sessions at the positions `checks` run the quality suite."""
    runs: list[Run] = []
    for at, day in enumerate(plot.days):
        if day in plot.noons:
            noon = datetime.combine(day, NOON)
            runs.append(Run(noon, noon, kind="noon"))
        runs.append(replace(daily(day), check=at in checks))
        if plot.mend and day == plot.mend[0]:
            _, first, last = plot.mend
            runs.append(Run(mending(day), midnight(last), midnight(first), kind="mend"))
        if day in plot.heals:
            runs.append(Run(healing(day), evening(day), kind="heal"))
    return runs


def hourly_runs_of(plot: Plot) -> list[Run]:
    """Three runs a session, the first two of them while an hour is open; healing goes last."""
    runs = []
    for day in plot.days:
        for hour, minute in ((3, 6), (6, 36), (8, 6)):
            now = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
            runs.append(Run(now, now - timedelta(minutes=1), kind="hourly"))
        if day in plot.heals:
            runs.append(Run(healing(day), evening(day), kind="heal"))
    return runs


def _say_nothing(step: str) -> None:
    pass


@dataclass
class Pipeline:
    """The product, driven with a simulated clock."""

    dsn: str
    plot: Plot
    served: Served
    settings: Settings
    tell: Callable[[str], None] = _say_nothing

    def __call__(self, run: Run) -> dict[str, Any]:
        """Take one run through every step. Failed tickers and checks are in the result, as a run would end with."""
        self.served.turn_to(run.now)
        try:
            return self.go(run)
        finally:
            self.forget()

    def forget(self) -> None:
        """Take away what the run landed: its days of retention pass on the simulated clock only."""
        shutil.rmtree(self.settings.state_dir / "landing", ignore_errors=True)

    def go(self, run: Run) -> dict[str, Any]:
        """The same, with the vendor as it stands. `tell` is told each step as it begins."""
        if run.kind == "mend":
            return self.mend(run)
        self.tell("plan")
        planned = self.plan(run)
        summaries = [self.load(planned, batch, run.now) for batch in planned.batches]
        return self.finish(planned, summaries, run)

    def plan(self, run: Run) -> Plan:
        if run.kind.startswith("heal"):
            return plan_heal(
                self.dsn,
                "vn",
                self.plot.interval.value,
                run_id=run.run_id,
                now=run.now,
                source=self.served.source,
                settings=self.settings,
            )
        start = run.start or min(midnight(run.end.date()), run.end)
        return plan(
            self.dsn,
            "vn",
            self.plot.interval.value,
            run_id=run.run_id,
            data_interval=Window(start, run.end),
            now=run.now,
            exact=run.start is not None,
            source=self.served.source,
            tickers=self.plot.listed(run.now),
            settings=self.settings,
        )

    def mend(self, run: Run) -> dict[str, Any]:
        """A backfill as an operator asks for it; it runs the quality suite."""
        request = BackfillRequest(
            "overwrite",
            self.plot.listed(run.now),
            start=run.start,
            end=run.end,
            source=self.served.source,
            reason="the vendor told of a mistake",
        )
        done = backfill(
            self.dsn,
            "vn",
            self.plot.interval.value,
            request,
            run_id=run.run_id,
            now=run.now,
            dry_run=False,
            settings=self.settings,
        )
        after = done.after
        assert after is not None
        return {
            "failed": done.failures,
            "quality": after.quality,
            "rollups": after.rollups,
            "error": done.error,
        }

    def load(self, planned: Plan, batch: Batch, now: datetime) -> BatchResult:
        self.tell("extract")
        landed = extract(planned.spec, batch, settings=self.settings, now=now, dsn=self.dsn)
        self.tell("gate")
        landed = gate(planned.spec, landed, settings=self.settings, now=now)
        self.tell("load")
        return load(self.dsn, planned.spec, landed, settings=self.settings, now=now)

    def finish(self, planned: Plan, results: list[BatchResult], run: Run) -> dict[str, Any]:
        spec = planned.spec
        self.tell("reread")
        restated = resolve_restatements(self.dsn, spec, now=run.now, settings=self.settings)
        quality = validate(self.dsn, spec, now=run.now, settings=self.settings) if run.check else None
        self.tell("refresh")
        refreshed = refresh(self.dsn, spec)
        self.tell("publish")
        published = publish(self.dsn, spec, now=run.now, settings=self.settings)
        if isinstance(planned, HealPlan):
            finish_heal(self.dsn, spec, now=run.now)
        failed = {ticker: why for result in results for ticker, why in result.failed.items()}
        failed |= restated.failed
        return {"failed": failed, "quality": quality, "rollups": refreshed, "error": published.error}
