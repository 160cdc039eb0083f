"""The one tail after any load: gap ledger, suite, rollups refreshed and proven, watermarks, report, mirrors.

However bars came in (run, backfill, heal, reread, import, copy, migration, replay of quarantine), what follows is here
and nowhere else: `after_load` for one market and interval of a run, `after_run` for all of them. The tasks of a DAG
call its parts one by one: `validate`, `refresh`, `publish`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from hypertape.errors import BatchRefused, CheckBroken, CheckEnded, CheckFailed, HypertapeError, others
from hypertape.markets import all_markets
from hypertape.model import Window
from hypertape.quality.results import (
    QualityResult,
    Summary,
    holding,
    raise_if_critical,
    results_of,
)
from hypertape.queries import query
from hypertape.reports.context import ReportContext
from hypertape.reports.pages import run_report
from hypertape.settings import Settings
from hypertape.steps.checks import note_run_gaps, own_tickers, validate
from hypertape.steps.failures import told_once
from hypertape.steps.findings import note_findings
from hypertape.steps.landing import sweep
from hypertape.steps.mirror import deliver_mirrors
from hypertape.steps.refresh import NONE_REFRESHED, Rollups, refresh
from hypertape.steps.run_spec import Json, OnStep, RunSpec, loaded_spec, silent
from hypertape.stores.delivery import Delivered
from hypertape.warehouse.connect import connect
from hypertape.warehouse.gaps.ledger import GapCounts
from hypertape.warehouse.ledger import (
    RunLoad,
    advance_watermarks,
    run_loads,
)
from hypertape.warehouse.locks import let_go
from hypertape.warehouse.publication import (
    PublishedSeries,
    publish_series,
)

Connection = psycopg.Connection[Any]

AGAIN = "run the same again; what is stored and equal is not written again"
"""What to do about failed tickers where there are no tasks to clear."""

CLEAR = "clear the run's red tasks or run it again"
"""What to do about them where there are."""

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
"""What a file name should not contain."""


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did: `series` says what of it readers of published bars see. `error` is what the run ends with;
    `tickers` have a row in `load`."""

    tickers: int = 0
    watermarks_moved: int = 0
    series: PublishedSeries = field(default_factory=PublishedSeries)
    gaps: GapCounts | None = None
    mirrors: Mapping[str, Delivered] = field(default_factory=dict)
    report: Path | None = None
    error: HypertapeError | None = None

    def to_json(self) -> Json:
        """Return a JSON object."""
        return {
            "tickers": self.tickers,
            "watermarks_moved": self.watermarks_moved,
            **self.series.to_json(),
            "gaps": self.gaps.to_json() if self.gaps else None,
            "mirrors": {name: done.to_json() for name, done in self.mirrors.items()},
            "report": str(self.report) if self.report else None,
        }


@dataclass(frozen=True, slots=True)
class AfterLoad:
    """What followed a load: what the suite says (None without one), the rollups, and what publishing did.

    `error` is what the run ends with, after everything that could be done was done.
    """

    spec: RunSpec
    quality: Summary | None
    rollups: Rollups
    published: Published

    @property
    def error(self) -> HypertapeError | None:
        """What the run ends with; None when all is well."""
        return self.published.error


def after_load(
    dsn: str,
    spec: RunSpec,
    *,
    now: datetime,
    settings: Settings,
    check: bool = True,
    on_step: OnStep = silent,
    again: str = AGAIN,
    tickers: Sequence[str] | None = None,
    refreshed: Rollups = NONE_REFRESHED,
    checked: Summary | None = None,
    sweeping: bool = True,
) -> AfterLoad:
    """Do everything that follows a load of one market and interval, and return what came of it.

    The run's id names rows in `load`: their tickers and windows are looked at, within `spec.window`. A run without any
    (everything was equal) has every series looked at; `tickers` names others. `check=False` leaves the suite and the
    report out, and with them the watermark; rollups, gaps and mirrors are brought up to date all the same.
    `refreshed` is what `refresh` did for the run before this: it counts as the tail's own, and what waits since is
    added; `checked` is what `validate` found before this: it is not asked again. `sweeping=False` leaves the landing
    area's old files for another time. Raises what the warehouse raises; failed checks and failed tickers are in
    `error`, which says to do `again` what failed.
    """
    quality, rollups = prove(
        dsn, spec, now=now, settings=settings, check=check, on_step=on_step, tickers=tickers, checked=checked
    )
    rollups = refreshed + rollups
    published = publish(
        dsn, spec, now=now, settings=settings, again=again, tickers=tickers, check=check, sweeping=sweeping
    )
    return AfterLoad(spec, quality, rollups, published)


def prove(
    dsn: str,
    spec: RunSpec,
    *,
    now: datetime,
    settings: Settings,
    check: bool = True,
    on_step: OnStep = silent,
    tickers: Sequence[str] | None = None,
    checked: Summary | None = None,
) -> tuple[Summary | None, Rollups]:
    """The first half of the tail: gap ledger and suite (with `check`, unless they are `checked`), then the rollups."""
    quality = checked
    if check:
        on_step("validate", 0, 1)
        quality = checked or validate(dsn, spec, now=now, settings=settings, tickers=tickers)
        on_step("validate", 1, 1)
    on_step("refresh rollups", 0, 1)
    rollups = refresh(dsn, spec, lease=timedelta(seconds=settings.worker_lease))
    on_step("refresh rollups", 1, 1)
    return quality, rollups


def after_run(
    dsn: str,
    run_id: str,
    *,
    now: datetime,
    settings: Settings,
    check: bool = True,
    on_step: OnStep = silent,
    again: str = AGAIN,
) -> list[AfterLoad]:
    """Do what follows a load for every market and interval that a run has rows of in `load`."""
    return [
        after_load(dsn, spec, now=now, settings=settings, check=check, on_step=on_step, again=again)
        for spec in specs_of(dsn, run_id, now=now)
    ]


def specs_of(dsn: str, run_id: str, *, now: datetime) -> list[RunSpec]:
    """A spec for each market and interval that a run has loaded, over the windows its loads asked for, up to `now`."""
    with connect(dsn) as connection:
        rows = connection.execute(query("run_scopes"), {"run_id": run_id}).fetchall()
    return [
        loaded_spec(run_id, market, interval, source, Window(min(start, now), min(end, now)))
        for market, interval, source, start, end in rows
        if market in all_markets()
    ]


def publish(
    dsn: str,
    spec: RunSpec,
    *,
    now: datetime,
    settings: Settings,
    again: str = CLEAR,
    tickers: Sequence[str] | None = None,
    check: bool = True,
    sweeping: bool = True,
) -> Published:
    """Publish the run's series and advance their watermarks, but for those a critical check holds; bring the gap ledger
    up to date, write the run's report.

    Mirrors receive what the run changed, whatever the checks say: they hold what the warehouse holds. `error` of the
    result is CheckFailed, CheckBroken or CheckEnded for critical checks, else BatchRefused when tickers failed; without
    `check` there is neither a report, nor a watermark, nor an error, and nothing is published.
    """
    place = (spec.market, spec.interval, spec.run_id)
    verdict, moved, report, series = None, 0, None, PublishedSeries()
    lease = timedelta(seconds=settings.worker_lease)
    with connect(dsn) as connection:
        let_go(connection, lease)  # loads wait for these rows, and with them who looks for the dead
        results = results_of(connection, spec.run_id, spec.market.code, spec.interval.value)
        if check:
            verdict = _verdict(results)
            own = own_tickers(connection, spec, tickers)
            held = holding(results, own)
            moved = advance_watermarks(connection, *place, held=held)
            instants = [result.known_at for result in results if result.known_at is not None]
            if instants:
                series = publish_series(connection, *place, own, held, max(instants))
        connection.commit()
        let_go(connection, lease)
        loads = run_loads(connection, *place)
        gaps = note_run_gaps(connection, spec, now, tickers)
        let_go(connection, lease)
        note_findings(dsn, connection, spec, now=now, settings=settings)
        if check and (loads or results):
            report = write_report(
                settings, spec.run_id, run_report(connection, spec.run_id, ReportContext.of(settings))
            )
    if sweeping:
        sweep(settings.landing, now, settings.landing_days, settings.raw_days)
    mirrored = deliver_mirrors(dsn, now=now, settings=settings)
    error = (verdict or _failed(loads, spec, report, again)) if check else None
    return Published(len(loads), moved, series, gaps, mirrored, report, error)


def write_report(settings: Settings, name: str, html: str) -> Path:
    """Write a report into the state directory's `reports` and return its path."""
    path = settings.state_dir.absolute() / "reports" / f"{_UNFIT.sub('-', name)}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    return path


def _verdict(results: Sequence[QualityResult]) -> CheckFailed | CheckBroken | CheckEnded | None:
    try:
        raise_if_critical(results)
    except (CheckFailed, CheckBroken, CheckEnded) as error:
        return error
    return None


def _failed(loads: Sequence[RunLoad], spec: RunSpec, report: Path | None, again: str) -> BatchRefused | None:
    failed = [load for load in loads if load.status == "failed"]
    if not failed:
        return None
    lines = told_once((load.ticker, load.error or "", _cause(load, spec)) for load in failed)
    rest = others(len(loads) - len(failed), "published")
    return BatchRefused(
        f"{len(failed)} tickers of the run failed and {rest}: {'; '.join(lines)}",
        market=spec.market.code,
        interval=spec.interval.value,
        next_step=f"Mend the cause, then {again}. Report: {report}",
    )


def _cause(load: RunLoad, spec: RunSpec) -> str:
    """What a recorded error says before it says where it happened."""
    return (load.error or "").split(f" ({spec.market.code} {load.ticker}")[0]
