"""One DAG per market and interval: bars from a source to a proven, rolled-up warehouse.

`plan → [extract → indicators → load] per batch → validate → refresh_rollups → publish`
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, dag, get_current_context, task, task_group

from hypertape.markets import all_markets
from hypertape.model import Interval, Market
from hypertape.orchestration.alerts import deadline
from hypertape.orchestration.assets import assets, tell
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import DAG_DEFAULTS, EVEN_IF_LOADS_FAILED
from hypertape.orchestration.form import form, plan_arguments
from hypertape.orchestration.labels import BATCH_LABEL
from hypertape.orchestration.passing import Json, demand_all_loaded, head, share_head, this_try
from hypertape.orchestration.pools import ROLLUPS, asking_pool
from hypertape.orchestration.runbook import runbook
from hypertape.orchestration.timetable import timetable
from hypertape.settings import load_settings


@task(execution_timeout=timedelta(minutes=10))
def plan(market: str, interval: str) -> list[Json]:
    """Decide tickers, windows and batches. Returns the batches; what they share is the XCom `head`."""
    from hypertape.steps.plan import plan

    return share_head(plan(warehouse_dsn(), market, interval, **plan_arguments(get_current_context())))


@task(execution_timeout=timedelta(hours=3), map_index_template=BATCH_LABEL)
def extract(batch: Json) -> Json:
    """Ask the source for a batch; its answer lands as Parquet."""
    from hypertape.steps.extract import extract

    return extract(batch, plan_head=head(), landing=load_settings().landing, **this_try())


@task(execution_timeout=timedelta(hours=1), map_index_template=BATCH_LABEL)
def indicators(reference: Json) -> Json:
    """Refuse impossible rows, compute the indicators with lookback."""
    from hypertape.steps.enrich import enrich

    return enrich(warehouse_dsn(), reference, plan_head=head(), now=datetime.now(UTC))


@task(execution_timeout=timedelta(hours=2), map_index_template=BATCH_LABEL)
def load(reference: Json) -> Json:
    """Write the rows that differ; fail after the work if a ticker failed."""
    from hypertape.steps.load import load

    return tell(load(warehouse_dsn(), reference, plan_head=head(), **this_try()))


@task(execution_timeout=timedelta(hours=1), trigger_rule=EVEN_IF_LOADS_FAILED)
def validate() -> Json:
    """Run the quality suites over what was loaded."""
    from hypertape.steps.validate import validate

    return tell(validate(warehouse_dsn(), head(), now=datetime.now(UTC)))


@task(execution_timeout=timedelta(hours=2), pool=ROLLUPS.name)
def refresh_rollups() -> Json:
    """Refresh the rollups over exactly what changed."""
    from hypertape.steps.refresh import refresh

    return tell(refresh(warehouse_dsn(), head()))


@task(execution_timeout=timedelta(minutes=30))
def publish() -> Json:
    """Move the watermarks, write the report, turn the run red if anything is missing or wrong."""
    from hypertape.steps.publish import publish

    return demand_all_loaded(publish(warehouse_dsn(), head(), now=datetime.now(UTC)))


def bars_dag(market: Market, interval: Interval) -> DAG:
    """Wire the DAG of one market and interval."""
    settings, made = load_settings(), assets(market, interval)

    @task_group
    def per_batch(batch: Json) -> None:
        landed = extract.override(pool=asking_pool(market, settings).name)(batch)
        load.override(outlets=[made.bars_loaded])(indicators(landed))

    @dag(
        f"bars_{market.code}_{interval}",
        description=f"{market.title}: {interval} bars, from the source to validated rollups",
        schedule=timetable(market, interval),
        params=form(market, interval, settings),
        doc_md=runbook(market, interval, settings),
        deadline=deadline(interval),
        tags=["bars", market.code, str(interval)],
        **DAG_DEFAULTS,
    )
    def bars() -> None:
        batches = plan(market.code, str(interval))
        loaded = per_batch.expand(batch=batches)
        validated = validate.override(outlets=[made.bars_validated])()
        refreshed = refresh_rollups.override(outlets=[made.rollups_refreshed])()
        [batches, loaded] >> validated >> refreshed >> publish()

    return bars()


for market in all_markets().values():
    for interval in market.intervals:
        bars_dag(market, interval)
