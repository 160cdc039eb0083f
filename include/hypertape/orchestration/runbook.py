"""The runbook every DAG shows in the Airflow UI, written from `runbook_bars.md`."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from pathlib import Path
from string import Template

from hypertape.model import HEAL_ATTEMPTS, Interval, Market
from hypertape.orchestration.alerts import LATE_AFTER
from hypertape.orchestration.pools import (
    BACKFILL,
    ROLLUPS,
    WAREHOUSE,
    asking_pool,
    default_source,
    usual_sources,
)
from hypertape.orchestration.retry import RETRIES
from hypertape.orchestration.timetable import data_span, heal_schedule
from hypertape.settings import Settings


def runbook(market: Market, interval: Interval, settings: Settings) -> str:
    """Return the Markdown of a market's and interval's DAG."""
    sources = " then ".join(f"`{name}`" for name in usual_sources(market, settings))
    return _template().substitute(
        dag_id=f"bars_{market.code}_{interval}",
        title=market.title,
        market=market.code,
        interval=interval.value,
        relation=market.relation(interval),
        rollups=", ".join(f"`{market.relation(each)}`" for each in Interval if _rolls_up(each, interval))
        or "none",
        sources=sources,
        tickers=len(market.tickers),
        schedule=market.schedule[interval],
        span=_hours(data_span(market, interval).total_seconds()),
        late=_hours(LATE_AFTER[interval].total_seconds()),
        retries=RETRIES,
        batch_size=settings.batch_size,
        overlap=settings.overlap_bars,
        pools=", ".join(f"`{pool.name}`" for pool in (asking_pool(market, settings), WAREHOUSE, ROLLUPS)),
    )


def heal_runbook(market: Market, interval: Interval, settings: Settings) -> str:
    """Return the Markdown of the DAG that heals the gaps of a market and interval."""
    return _template("runbook_heal_gaps.md").substitute(
        title=market.title,
        market=market.code,
        interval=interval.value,
        relation=market.relation(interval),
        source=default_source(market, settings),
        schedule=heal_schedule(market, interval),
        attempts=HEAL_ATTEMPTS,
        retries=RETRIES,
        late=_hours(LATE_AFTER[Interval.D1].total_seconds()),
        pools=", ".join(f"`{pool.name}`" for pool in (asking_pool(market, settings), WAREHOUSE, ROLLUPS)),
    )


def store_runbook(dag_id: str, late: timedelta) -> str:
    """Return the Markdown of a DAG that moves bars between stores, written from `runbook_<dag_id>.md`."""
    return _template(f"runbook_{dag_id}.md").substitute(
        dag_id=dag_id,
        retries=RETRIES,
        late=_hours(late.total_seconds()),
        pools=", ".join(f"`{pool.name}`" for pool in (WAREHOUSE, ROLLUPS)),
    )


def backfill_runbook(late: timedelta) -> str:
    """Return the Markdown of `backfill_bars`."""
    return _template("runbook_backfill_bars.md").substitute(
        retries=RETRIES,
        late=_hours(late.total_seconds()),
        pools=", ".join(f"`{pool.name}`" for pool in (BACKFILL, WAREHOUSE, ROLLUPS)),
    )


def actions_runbook(late: timedelta) -> str:
    """Return the Markdown of `corporate_actions`."""
    return _template("runbook_corporate_actions.md").substitute(
        retries=RETRIES,
        late=_hours(late.total_seconds()),
        pools=", ".join(f"`{pool.name}`" for pool in (BACKFILL, WAREHOUSE)),
    )


@cache
def _template(name: str = "runbook_bars.md") -> Template:
    return Template(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _rolls_up(derived: Interval, base: Interval) -> bool:
    return derived.base is base and not derived.is_stored


def _hours(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(part for part in (f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)) if part)
