"""SQLite files into the warehouse, resumable and proven; the form's default is a rehearsal.

`inspect → plan → copy per part → verify → after_load → report`
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from hypertape.orchestration.alerts import done_within
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import BY_HAND, EVEN_IF_LOADS_FAILED
from hypertape.orchestration.form_stores import migration_form, migration_wishes
from hypertape.orchestration.labels import PART_LABEL
from hypertape.orchestration.pools import ROLLUPS
from hypertape.orchestration.runbook import store_runbook
from hypertape.orchestration.xcom import Json, head, share_parts
from hypertape.settings import load_settings

LATE_AFTER = timedelta(hours=12)


@task(execution_timeout=timedelta(hours=3))
def inspect() -> Json:
    """Look into the files: their schemas, tables, unknown tables, and what will not arrive as it is."""
    from hypertape.steps.migration.run import inspect

    params = get_current_context()["params"]
    return inspect(params["files"] or (), schema=params["schema"], deep=params["dry_run"]).to_json()


@task(execution_timeout=timedelta(minutes=30))
def plan(inspected: Json) -> list[Json]:
    """Write the units of work to the ledger, or find those an interrupted run left open. Returns the parts."""
    from hypertape.steps.migration.run import Inspected, plan

    wishes = migration_wishes(get_current_context())
    planned = plan(
        warehouse_dsn(),
        Inspected.from_json(inspected),
        now=datetime.now(UTC),
        settings=load_settings(),
        **wishes,
    )
    return share_parts(planned.to_json())


@task(execution_timeout=timedelta(hours=12), map_index_template=PART_LABEL)
def copy(part: Json) -> Json:
    """Copy (or rehearse) what is open of a part; fail after the work if a unit failed."""
    from dataclasses import asdict

    from hypertape.steps.migration.run import Part, copy

    return {**asdict(copy(warehouse_dsn(), Part.from_json(part), settings=load_settings())), "reached": None}


@task(execution_timeout=timedelta(hours=6), trigger_rule=EVEN_IF_LOADS_FAILED)
def verify() -> Json:
    """Read every copied unit again and compare it with what is stored, row by row."""
    from dataclasses import asdict

    from hypertape.steps.migration.run import Planned, verify

    if not get_current_context()["params"]["verify"]:
        return {}
    return asdict(
        verify(warehouse_dsn(), Planned.from_json(head()), now=datetime.now(UTC), settings=load_settings())
    )


@task(execution_timeout=timedelta(hours=6), pool=ROLLUPS.name, trigger_rule=EVEN_IF_LOADS_FAILED)
def after_load() -> Json:
    """Do what follows every load: rollups, gap ledger, checks, watermarks; turn the run red if a check failed."""
    from hypertape.steps.migration.run import Planned, after_load

    done = after_load(
        warehouse_dsn(), Planned.from_json(head()), now=datetime.now(UTC), settings=load_settings()
    )
    failed = next((each.error for each in done if each.error is not None), None)
    if failed is not None:
        raise failed
    return {f"{each.spec.market.code} {each.spec.interval}": each.rollups.to_json() for each in done}


@task(execution_timeout=timedelta(minutes=30), trigger_rule=EVEN_IF_LOADS_FAILED)
def report() -> Json:
    """Write the report; turn the run red if anything is missing or differs."""
    from hypertape.steps.migration.run import Planned, report

    return report(
        warehouse_dsn(), Planned.from_json(head()), now=datetime.now(UTC), settings=load_settings()
    ).to_json()


@dag(
    description="SQLite files (dual-write or Stockula schema) into the warehouse, resumable and proven",
    params=migration_form(),
    doc_md=store_runbook("migrate_sqlite", LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["stores", "migration"],
    **BY_HAND,
)
def migrate_sqlite() -> None:
    """Wire the migration."""
    parts = plan(inspect())
    copied = copy.override(doc_md=copy.function.__doc__).expand(part=parts)
    [parts, copied] >> verify() >> after_load() >> report()


migrate_sqlite()
