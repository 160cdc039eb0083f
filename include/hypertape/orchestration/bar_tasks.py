"""The tasks that every bar DAG is wired from: bars_*, backfill_bars and heal_gaps share them.

Each DAG has a task of its own named `plan`, which leaves the plan for these (`xcom.share_plan`) and returns the
batches.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import task

from hypertape.model import Interval, Market
from hypertape.orchestration.assets import alias, assets, report_to_asset, tell_partitions
from hypertape.orchestration.connection import use_landing_connection, warehouse_dsn
from hypertape.orchestration.defaults import EVEN_IF_LOADS_FAILED
from hypertape.orchestration.labels import BATCH_LABEL
from hypertape.orchestration.pools import ROLLUPS
from hypertape.orchestration.xcom import Json, require_all_loaded, run_spec, this_task, this_try
from hypertape.settings import load_settings

_LOG = logging.getLogger(__name__)

for _library in ("great_expectations", "urllib3", "yfinance", "ccxt", "fsspec"):
    logging.getLogger(_library).setLevel(logging.WARNING)  # a task's log tells what happened, not how


@task(execution_timeout=timedelta(hours=3), map_index_template=BATCH_LABEL)
def extract(batch: Json) -> Json:
    """Ask the source for a batch; its answer lands as Parquet. Fails when the source answers for no ticker."""
    from hypertape.steps.batch_tasks import extract_or_raise
    from hypertape.steps.failures import failure_lines
    from hypertape.steps.run_spec import Batch

    asked = Batch.from_json(batch)
    _LOG.info("Asking for %s tickers over %s.", len(asked.tickers), asked.window)
    landed = extract_or_raise(
        warehouse_dsn(), run_spec(), asked, settings=load_settings(), task=this_task(), **this_try()
    )
    _LOG.info("%s of them were served.", len(asked.tickers) - len(landed.failed))
    for line in failure_lines(landed.failed):
        _LOG.warning("Not served: %s", line)
    return landed.to_json()


@task(execution_timeout=timedelta(hours=1), map_index_template=BATCH_LABEL)
def gate(reference: Json) -> Json:
    """Set aside the rows that cannot be bars, with the rule they break."""
    from hypertape.steps.run_batch import gate
    from hypertape.steps.run_spec import Landed

    settings = load_settings()
    use_landing_connection(settings)  # the one task that asks no warehouse
    landed = gate(run_spec(), Landed.from_json(reference), settings=settings, now=datetime.now(UTC))
    return landed.to_json()


@task(execution_timeout=timedelta(hours=2), map_index_template=BATCH_LABEL)
def load(reference: Json) -> Json:
    """Write the rows that differ; fail after the work if a ticker failed.

    A retry asks the source again for the tickers that failed, although it has a slot of the warehouse's pool and not
    of the source's: Airflow retries a task, never the one before it. What guards the vendor is the source's rate and
    circuit breaker in the warehouse, which hold wherever it is asked from; pools only share out the workers.
    """
    from hypertape.steps.batch_tasks import load_or_raise
    from hypertape.steps.run_spec import Landed

    spec, landed = run_spec(), Landed.from_json(reference)
    done = load_or_raise(warehouse_dsn(), spec, landed, settings=load_settings(), **this_try())
    _LOG.info("%s", done.sentence(spec, landed.batch.window))
    return report_to_asset(done.to_json())


@task(execution_timeout=timedelta(hours=3), trigger_rule=EVEN_IF_LOADS_FAILED)
def reread() -> Json:
    """Where final bars changed, ask for older ones; read a restated history again, once."""
    from hypertape.steps.restate import reread

    done = reread(warehouse_dsn(), run_spec(), now=datetime.now(UTC), settings=load_settings())
    if done.suspected:
        _LOG.info(
            "%s series changed in final bars: %s were local corrections, %s were read again.",
            done.suspected, done.local, done.reread,
        )  # fmt: skip
    return report_to_asset(done.to_json())


@task(execution_timeout=timedelta(hours=1), trigger_rule=EVEN_IF_LOADS_FAILED)
def validate() -> Json:
    """Run the quality suites over what was loaded."""
    from hypertape.steps.checks import validate

    found = validate(warehouse_dsn(), run_spec(), now=datetime.now(UTC), settings=load_settings())
    _LOG.info("%s of %s checks passed.", found.passed, found.checks)
    for kind, lines in (("critical", found.critical), ("broken", found.broken), ("warning", found.warnings)):
        for line in lines:
            _LOG.warning("%s: %s", kind, line)
    return report_to_asset(found.to_json())


@task(execution_timeout=timedelta(hours=2), pool=ROLLUPS.name)
def refresh_rollups() -> Json:
    """Refresh the rollups over exactly what changed."""
    from hypertape.steps.refresh import refresh

    done = refresh(warehouse_dsn(), run_spec(), lease=timedelta(seconds=load_settings().worker_lease))
    _LOG.info(
        "%s buckets of %s compared, %s differ.", done.buckets, ", ".join(done.levels) or "no rollup", done.differing
    )  # fmt: skip
    return report_to_asset(done.to_json())


@task(execution_timeout=timedelta(minutes=30))
def publish() -> Json:
    """Publish what passed its checks, move the watermarks, write the report, turn the run red if anything is missing or
    wrong."""
    from hypertape.steps.after_load import publish

    done = publish(warehouse_dsn(), run_spec(), now=datetime.now(UTC), settings=load_settings())
    _LOG.info("%s series published. Report: %s", len(done.series.published), done.report)
    for ticker, checks in done.series.held.items():
        _LOG.warning("%s stays as it was: %s", ticker, ", ".join(checks))
    for ticker, run in done.series.waiting.items():
        _LOG.warning("%s waits for run %s, which is still loading it.", ticker, run)
    if done.error is not None:
        raise done.error
    require_all_loaded(done.tickers)
    return done.to_json()


@task(execution_timeout=timedelta(minutes=10))
def announce() -> Json:
    """Tell of the sessions that are complete and published, one event each; skipped where there are none."""
    from hypertape.steps.announce import announce

    spec = run_spec()
    news = announce(warehouse_dsn(), spec)
    tell_partitions(assets(spec.market, spec.interval).bars_published, news.sessions, news.facts)
    _LOG.info("Complete and published: %s", ", ".join(news.sessions))
    return news.to_json()


@task(execution_timeout=timedelta(minutes=10))
def announce_weeks(told: Json) -> Json:
    """Tell of the weeks whose last session was told of just now; skipped where there are none."""
    published = assets(run_spec().market, Interval.W1).bars_published
    tell_partitions(published, told["weeks"], told["facts"])
    return {"weeks": told["weeks"]}


def tell_of_sessions(published: Any, market: Market, interval: Interval) -> None:
    """Wire what follows publishing: events of complete sessions, and of daily bars of whole weeks."""
    told = announce.override(outlets=[assets(market, interval).bars_published])()
    published >> told
    if interval is Interval.D1:
        announce_weeks.override(outlets=[assets(market, Interval.W1).bars_published])(told)


def tell_of_the_runs_sessions(published: Any) -> None:
    """The same in a DAG of any market and interval; of other than daily bars the weeks are skipped."""
    told = announce.override(outlets=[alias("bars_published")])()
    published >> told
    announce_weeks.override(outlets=[alias("1w_bars_published")])(told)
