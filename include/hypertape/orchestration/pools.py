"""The pools our tasks run in, made where they are missing.

Airflow never schedules a task whose pool does not exist. The plugin registers this module as a listener, so every
Airflow that has our plugins folder makes the pools when a component starts; slots that someone changed stay.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any, NamedTuple

from airflow.listeners import hookimpl

from hypertape.model import Market
from hypertape.project import brought_sources, find_project, source_files
from hypertape.settings import Settings

_LOG = logging.getLogger(__name__)


class PoolSpec(NamedTuple):
    """A pool as we make it."""

    name: str
    slots: int
    description: str


WAREHOUSE = PoolSpec("hypertape_warehouse", 4, "hypertape: tasks that work in the warehouse")
BACKFILL = PoolSpec("hypertape_backfill", 2, "hypertape: batches of backfills that ask a source")
ROLLUPS = PoolSpec("hypertape_rollups", 1, "hypertape: rollup refreshes, one at a time")
SOURCE_SLOTS = 2


def source_names() -> tuple[str, ...]:
    """Every source's name, read from the package's directory: importing the sources would load Arrow."""
    package = find_spec("hypertape.sources")
    assert package is not None
    locations = package.submodule_search_locations
    shipped = {part.name for part in iter_modules(locations) if not part.name.startswith("_")}
    return tuple(sorted({*shipped, *brought_sources(), *source_files(find_project())}))


def default_source(market: Market, settings: Settings) -> str:
    """The source a run uses when its form names none: HYPERTAPE_SOURCE, else the market's first."""
    return settings.source or market.sources[0]


def usual_sources(market: Market, settings: Settings) -> tuple[str, ...]:
    """The sources such a run asks, in order: HYPERTAPE_SOURCE alone, else the market's."""
    return (settings.source,) if settings.source else market.sources


def source_pool(source: str) -> PoolSpec:
    """Return the pool of a source: how many batches may ask it at once."""
    return PoolSpec(f"hypertape_source_{source}", SOURCE_SLOTS, f"hypertape: batches that ask {source}")


def asking_pool(market: Market, settings: Settings) -> PoolSpec:
    """Return the pool a market's extracts run in: its usual source's, also when a form names another source."""
    return source_pool(default_source(market, settings))


def pools() -> tuple[PoolSpec, ...]:
    """Every pool our DAGs may name."""
    return (WAREHOUSE, ROLLUPS, BACKFILL, *(source_pool(name) for name in source_names()))


@hookimpl  # type: ignore[untyped-decorator]
def on_starting(component: Any) -> None:
    """Make the missing pools when a scheduler, DAG processor or triggerer starts (workers have no database)."""
    from airflow.jobs.job import Job  # noqa: PLC0415  (server-side code, absent from a worker's imports)

    if isinstance(component, Job):
        make_missing_pools()


def make_missing_pools() -> None:
    """Make the pools that Airflow's metadata database lacks; never change one that is there."""
    from airflow.models.pool import Pool  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy.exc import IntegrityError  # noqa: PLC0415

    for spec in pools():
        try:
            with create_session() as session:
                if Pool.get_pool(spec.name, session=session) is None:
                    session.add(
                        Pool(
                            pool=spec.name,
                            slots=spec.slots,
                            description=spec.description,
                            include_deferred=False,
                        )
                    )
        except IntegrityError:
            _LOG.debug("Another component made the pool %s first", spec.name)
