"""The one tail after any load: rollups refreshed and proven, gap ledger, suite, watermarks, report, mirrors.

However bars came in (run, backfill, heal, reread, import, copy, migration, replay of quarantine), what follows is here
and nowhere else: `after_load` for one market and interval of a run, `after_run` for all of them. The tasks of a DAG
call its parts one by one: `validate`, `refresh`, `publish`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hypertape.errors import HypertapeError
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, Window
from hypertape.queries import query
from hypertape.settings import Settings
from hypertape.sources import SourceConfig
from hypertape.steps.mirror import deliver_mirrors
from hypertape.steps.publish import publish
from hypertape.steps.refresh import refresh
from hypertape.steps.run_spec import OnStep, RunSpec, silent
from hypertape.steps.validate import validate
from hypertape.warehouse.connect import connect, translate_errors

AGAIN = "run the same again; what is stored and equal is not written again"
"""What to do about failed tickers where there are no tasks to clear."""


@dataclass(frozen=True, slots=True)
class AfterLoad:
    """What followed a load. `error` is what it ends with, after everything that could be done was done.

    `quality` counts the checks (empty without them), `rollups` the buckets that were refreshed and compared, `gaps`
    what the look at the ledger changed, `mirrors` says what became of each, `report` is the path of the run's report.
    """

    spec: RunSpec
    quality: Mapping[str, Any] = field(default_factory=dict)
    rollups: Mapping[str, Any] = field(default_factory=dict)
    gaps: Mapping[str, Any] = field(default_factory=dict)
    mirrors: Mapping[str, Any] = field(default_factory=dict)
    watermarks_moved: int = 0
    tickers: int = 0
    report: Path | None = None
    error: HypertapeError | None = None


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
) -> AfterLoad:
    """Do everything that follows a load of one market and interval, and return what came of it.

    The run's id names rows in `load`: their tickers and windows are looked at, within `spec.window`. A run without any
    (everything was equal) has every series looked at, or `tickers`. `check=False` leaves the suite out, and with it the
    watermark; rollups, gaps and mirrors are brought up to date all the same. Raises what the warehouse raises; failed
    checks and failed tickers are in `error`, which says to do `again` what failed.
    """
    planned = spec.to_json()
    quality: Mapping[str, Any] = {}
    if check:
        on_step("validate", 0, 1)
        quality = validate(dsn, planned, now=now, settings=settings)
        on_step("validate", 1, 1)
    on_step("refresh rollups", 0, 1)
    rollups = refresh(dsn, planned)
    on_step("refresh rollups", 1, 1)
    if not check:
        return AfterLoad(spec, rollups=rollups, mirrors=deliver_mirrors(dsn, now=now, settings=settings))
    try:
        done = publish(dsn, planned, now=now, settings=settings, again=again)
    except HypertapeError as error:
        return AfterLoad(spec, quality, rollups, error=error)
    return AfterLoad(
        spec,
        quality,
        rollups,
        done["gaps"],
        done["mirrors"],
        done["watermarks_moved"],
        done["tickers"],
        Path(done["report"]),
    )


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
    with connect(dsn) as connection, translate_errors(connection):
        rows = connection.execute(query("run_scopes"), {"run_id": run_id}).fetchall()
    return [
        RunSpec(
            run_id,
            get_market(market),
            Interval(interval),
            SourceConfig(source),
            Window(min(start, now), min(end, now)),
        )
        for market, interval, source, start, end in rows
        if market in all_markets()
    ]
