"""One DAG per market and interval: ask again, once a day, for the bars that are missing and may still arrive.

`plan → unless_nothing → [extract → gate → load] per batch → reread → validate → refresh_rollups → settle_gaps →
publish → announce`
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
from hypertape.orchestration.defaults import DAG_DEFAULTS
from hypertape.orchestration.form_bars import heal_form, heal_wishes
from hypertape.orchestration.pools import asking_pool
from hypertape.orchestration.runbook import heal_runbook
from hypertape.orchestration.timetable import heal_timetable
from hypertape.orchestration.xcom import Json, head, run_spec, share_plan
from hypertape.settings import load_settings

_LOG = logging.getLogger(__name__)


@task(execution_timeout=timedelta(minutes=30))
def plan(market: str, interval: str) -> list[Json]:
    """Look for gaps, and plan few windows over those worth asking for. Returns the batches."""
    from hypertape.steps.heal import plan_heal, plan_lines

    context = get_current_context()
    arguments = {**heal_wishes(context), "now": datetime.now(UTC), "settings": load_settings()}
    planned = plan_heal(warehouse_dsn(), market, interval, **arguments)
    for line in plan_lines(planned):
        _LOG.info("%s", line)
    return share_plan(planned, idle=bool(context["params"]["dry_run"]) or not planned.batches)


@task.short_circuit(execution_timeout=timedelta(minutes=10))
def unless_nothing() -> bool:
    """End here when there is nothing to ask for, or it is a dry run."""
    return not head()["idle"]


@task(execution_timeout=timedelta(minutes=30))
def settle_gaps() -> Json:
    """Close what arrived, count an attempt for what did not, and judge it by the new answers."""
    from hypertape.steps.heal import finish_heal

    return finish_heal(warehouse_dsn(), run_spec(), now=datetime.now(UTC)).to_json()


def heal_dag(market: Market, interval: Interval) -> DAG:
    """Wire the DAG of one market and interval."""
    settings, made = load_settings(), assets(market, interval)

    @task_group
    def per_batch(batch: Json) -> None:
        landed = extract.override(pool=asking_pool(market, settings).name)(batch)
        load.override(outlets=[made.bars_loaded])(gate(landed))

    @dag(
        f"heal_gaps_{market.code}_{interval}",
        description=f"{market.title}: asks again for missing {interval} bars",
        schedule=heal_timetable(market, interval),
        params=heal_form(market, settings),
        doc_md=heal_runbook(market, interval, settings),
        deadline=deadline(Interval.D1),
        tags=["gaps", market.code, str(interval)],
        **DAG_DEFAULTS,
    )
    def heal() -> None:
        batches = plan(market.code, str(interval))
        go = unless_nothing()
        loaded = per_batch.expand(batch=batches)
        restated = reread.override(pool=asking_pool(market, settings).name)()
        validated = validate()
        refreshed = refresh_rollups.override(outlets=[made.rollups_refreshed])()
        batches >> go >> [loaded, restated, validated]
        [batches, loaded] >> restated
        published = publish()
        [batches, restated] >> validated >> refreshed >> settle_gaps() >> published
        tell_of_sessions(published, market, interval)

    return heal()


for market in all_markets().values():
    for interval in market.intervals:
        heal_dag(market, interval)
