"""CSV trees into the warehouse and out of it.

`import_csv`: `plan → copy per part → after_load`; `export_csv`: `plan → copy per part`
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, get_current_context, task

from hypertape.orchestration.alerts import done_within
from hypertape.orchestration.connection import warehouse_dsn
from hypertape.orchestration.defaults import BY_HAND, EVEN_IF_LOADS_FAILED
from hypertape.orchestration.form_stores import exchange_wishes, export_form, import_form
from hypertape.orchestration.labels import PART_LABEL
from hypertape.orchestration.pools import ROLLUPS
from hypertape.orchestration.runbook import store_runbook
from hypertape.orchestration.xcom import Json, head, require_all_copied, share_parts
from hypertape.settings import load_settings

LATE_AFTER = timedelta(hours=6)


@task(execution_timeout=timedelta(minutes=30))
def plan(direction: str) -> list[Json]:
    """List the series of the source and share them out. Returns the parts."""
    from hypertape.steps.exchange import plan

    wishes = exchange_wishes(get_current_context())
    planned, parts = plan(
        warehouse_dsn(), direction, now=datetime.now(UTC), settings=load_settings(), **wishes
    )
    return share_parts({**planned.to_json(), "parts": [{"tickers": list(part)} for part in parts]})


@task(execution_timeout=timedelta(hours=6), map_index_template=PART_LABEL)
def copy(part: Json) -> Json:
    """Copy the series of a part that are not equal on both sides, and compare them."""
    from hypertape.steps.exchange import Exchange, copy

    return copy(
        warehouse_dsn(), Exchange.from_json(head()), part["tickers"], settings=load_settings()
    ).to_json()


documented_copy = copy.override(doc_md=copy.function.__doc__)
"""A mapped task does not take its function's docstring by itself."""


@task(execution_timeout=timedelta(hours=2), pool=ROLLUPS.name, trigger_rule=EVEN_IF_LOADS_FAILED)
def after_load(copied: list[Json]) -> Json:
    """Do what follows every load: rollups, gap ledger, checks, mirrors, report; turn the run red if a part failed."""
    from hypertape.steps.exchange import Copied, Exchange, finish

    parts = [Copied.from_json(each) for each in copied if each]
    counts, done = finish(
        warehouse_dsn(), Exchange.from_json(head()), parts, now=datetime.now(UTC), settings=load_settings()
    )
    told = {f"{each.spec.market.code} {each.spec.interval}": each.rollups.to_json() for each in done}
    return {**counts, "after_load": told, "parts": require_all_copied(len(parts))}


@dag(
    description="A CSV tree into the warehouse",
    params=import_form(),
    doc_md=store_runbook("import_csv", LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["stores", "csv"],
    **BY_HAND,
)
def import_csv() -> None:
    """Wire the import."""
    parts = plan("import")
    parts >> after_load(documented_copy.expand(part=parts))


@dag(
    description="The warehouse's bars as a CSV tree",
    params=export_form(),
    doc_md=store_runbook("export_csv", LATE_AFTER),
    deadline=done_within(LATE_AFTER),
    tags=["stores", "csv"],
    **BY_HAND,
)
def export_csv() -> None:
    """Wire the export."""
    documented_copy.expand(part=plan("export"))


import_csv()
export_csv()
