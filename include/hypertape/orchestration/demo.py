"""`make demo`: the main job end to end on this machine, headless, in a real Airflow.

Without data of yours it runs the synthetic sample and checks that every planted defect was found; with `--data DIR` it
runs the CSV tree in that directory. Everything happens in `<state directory>/demo`, made anew each time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hypertape.errors import AirflowFailed, HypertapeError
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, format_instant, midnight
from hypertape.orchestration.airflow_home import AirflowHome, typed
from hypertape.orchestration.demo_jobs import Job, csv_jobs, sample_jobs, sample_pairs
from hypertape.orchestration.demo_summary import Summary, summarise
from hypertape.orchestration.demo_ticks import TickFinding, run_ticks
from hypertape.orchestration.progress import Progress
from hypertape.orchestration.rest import Airflow, RunState
from hypertape.orchestration.standalone import DEMO, Standalone
from hypertape.reports.pages import cumulative_report
from hypertape.settings import Settings, load_settings
from hypertape.sources.sample import LAST_DAY, Plan, plan_until
from hypertape.steps.after_load import write_report
from hypertape.steps.sync import sync
from hypertape.warehouse import schema
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer

_RUN_ID = "demo"
_NEXT = """
The report: {report}

Next:
  {up:<30}  Airflow, with its pages Markets, Ticker and Quality over what was just loaded
  {demo:<30}  the same with files of your own: <table>/<TICKER>/1D.csv, 1h.csv, 1m.csv"""

_RUN_SECONDS = 900
_POLL_SECONDS, _TELL_SECONDS = 1.0, 5.0
_AT_WORK = ("running", "queued", "up_for_retry")
_LOG_WIDTH = 140
"""Columns of the tables when nobody's terminal says otherwise."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit code: 0 when every run was green and every planted defect was found."""
    parser = argparse.ArgumentParser(prog="python -m hypertape.orchestration.demo", description=__doc__)
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="a CSV tree: <table>/<TICKER>/1D.csv, 1h.csv, 1m.csv"
    )
    parser.add_argument("--keep", action="store_true", help="leave Airflow and the database running")
    asked = parser.parse_args(arguments)
    say = Console(highlight=False, soft_wrap=True, markup=False, emoji=False).print
    try:
        return _demo(asked, say)
    except HypertapeError as error:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False).print(
            f"error: {error}"
        )
        return error.exit_code


def _demo(asked: argparse.Namespace, say: Callable[..., None]) -> int:
    with Progress(say) as step:
        settings = _fresh_state(step)
        plan = None if asked.data else plan_until(settings.sample_end or LAST_DAY)
        jobs = sample_jobs(plan) if plan else csv_jobs(asked.data)
        standalone = Standalone(settings)
        ticks: list[TickFinding] = []
        try:
            dsn = _warehouse(settings, step)
            standalone = Standalone(settings, {"HYPERTAPE_DATABASE_URL": dsn, "HYPERTAPE_LANDING_URL": ""})
            with ThreadPoolExecutor(1) as aside:
                starting = aside.submit(standalone.up, step)
                if plan:
                    _yesterday(dsn, settings, plan, step)
                    step("stream run synthetic: ticks of a made-up feed, with planted defects")
                    ticks = run_ticks(dsn, settings, datetime.now(UTC))
                    step("waiting for Airflow")
                starting.result()
            runs = _run_all(standalone, jobs, step)
            again = _again(dsn, jobs[0], settings, step)
            loaded = [(job.market, job.interval) for job in jobs]
            summary = summarise(dsn, loaded, plan=plan, ticks=ticks)
            with connect(dsn) as connection:
                html = cumulative_report(connection, now=datetime.now(UTC))
            report = write_report(settings, "cumulative", html)
        finally:
            if not asked.keep:
                step("stopping Airflow and the database")
                standalone.down()
                EmbeddedServer(settings).down()
    return _conclude(runs, summary, again, report, step.seconds)


def _fresh_state(step: Callable[[str], None]) -> Settings:
    """Settings of a state directory of the demo's own, emptied; an earlier demo that still runs is stopped."""
    base = load_settings()
    settings = base.model_copy(
        update={
            "state_dir": base.state_dir.absolute() / DEMO,
            "database_url": None,
            "landing_url": None,
        }
    )
    if settings.state_dir.exists():
        step("removing the earlier demo")
        Standalone(settings).down()
        server = EmbeddedServer(settings)
        server.down()
        server.remove()
    home = AirflowHome(settings)
    home.forget_sample_end()
    return settings.model_copy(update={"sample_end": home.sample_end(datetime.now(UTC))})


def _warehouse(settings: Settings, step: Callable[[str], None]) -> str:
    step("starting PostgreSQL")
    dsn = EmbeddedServer(settings).up()
    with connect(dsn) as connection:
        ran = schema.apply(
            connection, all_markets().values(), archived=load_settings().archive_url is not None
        )
        connection.commit()
        step(
            f"schema: {len(ran)} scripts on the {schema.tier(connection)} tier of PostgreSQL {_version(connection)}"
        )
    return dsn


def _version(connection: Any) -> str:
    return ".".join(map(str, divmod(connection.info.server_version, 10_000)))


def _yesterday(dsn: str, settings: Settings, plan: Plan, step: Callable[[str], None]) -> None:
    """Load the daily sample as it was known a day before its late corrections, without Airflow.

    The DAG then continues at the watermark, reads an overlap again, and finds what the vendor restated.
    """
    for market, interval in sample_pairs():
        if interval is Interval.D1:
            before = plan.corrected_at[market] - timedelta(days=1)
            step(f"sync of {market} 1d as of {format_instant(before)}, before the vendor's late corrections")
            sync(
                dsn,
                market,
                interval.value,
                now=before,
                end=before,
                source={"name": "sample"},
                settings=settings,
            )


def _run_all(standalone: Standalone, jobs: Sequence[Job], step: Callable[[str], None]) -> list[RunState]:
    with standalone.client() as airflow:
        airflow.wait_for_dags([job.dag_id for job in jobs])
        for job in jobs:
            airflow.pause(job.dag_id, paused=False)
            interval = [(job.end - timedelta(days=1)).isoformat(), job.end.isoformat()]
            airflow.trigger(
                job.dag_id, job.conf, logical_date=interval[0], data_interval=interval, run_id=_RUN_ID
            )
            step(f"{job.dag_id}: run {_RUN_ID} started")
        ended = _ended(airflow, [job.dag_id for job in jobs], step)
        return [ended[job.dag_id] for job in jobs]


def _ended(airflow: Airflow, dag_ids: Sequence[str], step: Callable[[str], None]) -> dict[str, RunState]:
    """Wait for every run's end, and say every few seconds what is at work."""
    ended: dict[str, RunState] = {}
    deadline, told = time.monotonic() + _RUN_SECONDS, time.monotonic()
    while left := [dag_id for dag_id in dag_ids if dag_id not in ended]:
        now = {dag_id: airflow.run(dag_id, _RUN_ID) for dag_id in left}
        for dag_id, run in now.items():
            if run.is_final:
                ended[dag_id] = run
                step(f"{dag_id}: {run.state}")
        at_work = [f"{dag_id} {_at_work(run)}" for dag_id, run in now.items() if not run.is_final]
        if at_work and time.monotonic() - told > _TELL_SECONDS:
            step(f"{len(ended)} of {len(dag_ids)} runs ended; {', '.join(at_work)}")
            told = time.monotonic()
        if at_work and time.monotonic() > deadline:
            raise AirflowFailed(
                f"Still at work after {_RUN_SECONDS} s: {', '.join(at_work)}",
                next_step="See the logs in the state directory, or run it with --keep and open Airflow.",
            )
        time.sleep(_POLL_SECONDS)
    return ended


def _at_work(run: RunState) -> str:
    names = dict.fromkeys(t.task_id.rpartition(".")[2] for t in run.tasks if t.state in _AT_WORK)
    return f"({' '.join(names)})" if names else f"({run.state})"


def _again(dsn: str, job: Job, settings: Settings, step: Callable[[str], None]) -> dict[str, int]:
    """Load a job's whole history a second time and return the counts: nothing may be written."""
    step(f"the same load of {job.market} {job.interval} once more")
    begins = midnight(get_market(job.market).history_start[job.interval])
    result = sync(
        dsn, job.market, job.interval.value, now=datetime.now(UTC), start=begins, end=job.end,
        source=job.source.to_json(), settings=settings, check=False,
    )  # fmt: skip
    return result.counts


def _conclude(
    runs: Sequence[RunState], summary: Summary, again: dict[str, int], report: Path, seconds: float
) -> int:
    width = None if sys.stdout.isatty() else _LOG_WIDTH
    screen = Console(highlight=False, soft_wrap=True, markup=False, emoji=False, width=width)
    drawn = Table(title="DAG runs", title_justify="left")
    for column in ("DAG", "run", "tasks"):
        drawn.add_column(column, overflow="fold")
    for run in runs:
        drawn.add_row(run.dag_id, run.state, _tasks(run))
    screen.print(drawn)
    for table in summary.tables():
        screen.print(table)
    written = sum(again[name] for name in ("inserted", "updated", "recomputed"))
    screen.print(
        f"The first load again: {again['unchanged']:,} bars unchanged, {written} written.", markup=False
    )
    red = [run.dag_id for run in runs if run.state != "success"]
    screen.print(
        f"{summary.verdict()} {len(runs) - len(red)} of {len(runs)} runs green, in {seconds:.0f} s.",
        markup=False,
    )
    screen.print(
        _NEXT.format(
            report=report.as_uri(),
            up=typed("up", "WAREHOUSE=demo", "--warehouse demo"),
            demo=typed("demo", "DATA=path/to/csv", "--data path/to/csv"),
        ),
        markup=False,
        soft_wrap=True,
    )
    return 1 if red or summary.missed or written else 0


def _tasks(run: RunState) -> str:
    """`plan success, load 2 success 1 failed, …` in the order the tasks started."""
    states: dict[str, Counter[str]] = {}
    for task in run.tasks:
        states.setdefault(task.task_id.rpartition(".")[2], Counter())[task.state or "none"] += 1
    return ", ".join(
        f"{name} "
        + " ".join(f"{count} {state}" if sum(of.values()) > 1 else state for state, count in of.items())
        for name, of in states.items()
    )


if __name__ == "__main__":
    sys.exit(main())
