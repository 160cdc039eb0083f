"""One DAG per market and interval: bars from a source to a proven, rolled-up warehouse.

`plan → [extract → gate → load] per batch → reread → validate → refresh_rollups → publish → announce`
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, dag, get_current_context, task, task_group

from hypertape.markets import all_markets
from hypertape.model import Interval, Market
from hypertape.orchestration.alerts import deadline
from hypertape.orchestration.assets import assets
from hypertape.orchestration.bar_tasks import (
    extract,
    gate,
    load,
    publish,
    refresh_rollups,
    reread,
    tell_of_sessions,
    validate,
)
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import SCHEDULED_BARS
from hypertape.orchestration.form_bars import bars_form, plan_arguments
from hypertape.orchestration.pools import asking_pool
from hypertape.orchestration.runbook import runbook
from hypertape.orchestration.timetable import timetable
from hypertape.orchestration.xcom import Json, share_plan
from hypertape.settings import load_settings

_LOG = logging.getLogger(__name__)


@task(execution_timeout=timedelta(minutes=10))
def plan(market: str, interval: str) -> list[Json]:
    """Decide tickers, windows and batches. Returns the batches; what they share is the XCom `head`."""
    from hypertape.steps.plan import plan

    arguments = plan_arguments(get_current_context())
    planned = plan(
        warehouse_dsn(), market, interval, now=datetime.now(UTC), settings=load_settings(), **arguments
    )
    _LOG.info(
        "%s tickers in %s batches over %s, %s bars due.",
        planned.tickers, len(planned.batches), planned.spec.window, planned.expected_bars,
    )  # fmt: skip
    return share_plan(planned)


def bars_dag(market: Market, interval: Interval) -> DAG:
    """Wire the DAG of one market and interval."""
    settings, made = load_settings(), assets(market, interval)

    @task_group
    def per_batch(batch: Json) -> None:
        landed = extract.override(pool=asking_pool(market, settings).name)(batch)
        load.override(outlets=[made.bars_loaded])(gate(landed))

    @dag(
        f"bars_{market.code}_{interval}",
        description=f"{market.title}: {interval} bars, from the source to validated rollups",
        schedule=timetable(market, interval),
        params=bars_form(market, interval, settings),
        doc_md=runbook(market, interval, settings),
        deadline=deadline(interval),
        tags=["bars", market.code, str(interval)],
        **SCHEDULED_BARS,
    )
    def bars() -> None:
        batches = plan(market.code, str(interval))
        loaded = per_batch.expand(batch=batches)
        validated = validate()
        refreshed = refresh_rollups.override(outlets=[made.rollups_refreshed])()
        restated = reread.override(pool=asking_pool(market, settings).name)()
        [batches, loaded] >> restated
        published = publish()
        [batches, restated] >> validated >> refreshed >> published
        tell_of_sessions(published, market, interval)

    return bars()


for market in all_markets().values():
    for interval in market.intervals:
        bars_dag(market, interval)
