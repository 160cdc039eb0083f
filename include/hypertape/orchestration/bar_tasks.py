"""The tasks that every bar DAG is wired from: bars_*, backfill_bars and heal_gaps share them.

Each DAG has a task of its own named `plan`, which leaves the plan for these (`passing.share_head`) and returns the
batches.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import task

from hypertape.orchestration.assets import tell
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import EVEN_IF_LOADS_FAILED
from hypertape.orchestration.labels import BATCH_LABEL
from hypertape.orchestration.pools import ROLLUPS
from hypertape.orchestration.xcom import Json, demand_all_loaded, head, this_try
from hypertape.settings import load_settings


@task(execution_timeout=timedelta(hours=3), map_index_template=BATCH_LABEL)
def extract(batch: Json) -> Json:
    """Ask the source for a batch; its answer lands as Parquet."""
    from hypertape.steps.extract import extract

    return extract(
        batch, plan_head=head(), landing=load_settings().landing, dsn=warehouse_dsn(), **this_try()
    )


@task(execution_timeout=timedelta(hours=1), map_index_template=BATCH_LABEL)
def indicators(reference: Json) -> Json:
    """Refuse impossible rows, compute the indicators with lookback."""
    from hypertape.steps.enrich import enrich

    return enrich(warehouse_dsn(), reference, plan_head=head(), now=datetime.now(UTC))


@task(execution_timeout=timedelta(hours=2), map_index_template=BATCH_LABEL)
def load(reference: Json) -> Json:
    """Write the rows that differ; fail after the work if a ticker failed.

    A retry asks the source again for the tickers that failed, although it has a slot of the warehouse's pool and not
    of the source's: Airflow retries a task, never the one before it. What guards the vendor is the source's rate and
    circuit breaker in the warehouse, which hold wherever it is asked from; pools only share out the workers.
    """
    from hypertape.steps.load import load

    return tell(load(warehouse_dsn(), reference, plan_head=head(), **this_try()))


@task(execution_timeout=timedelta(hours=3), trigger_rule=EVEN_IF_LOADS_FAILED)
def reread() -> Json:
    """Where final bars changed, ask for older ones; read a restated history again, once."""
    from hypertape.steps.restate import reread

    return tell(reread(warehouse_dsn(), head(), now=datetime.now(UTC)))


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
