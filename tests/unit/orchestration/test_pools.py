"""The pools and who gets which."""

from __future__ import annotations

from airflow_environment import REPOSITORY
from hypertape import sources
from hypertape.markets import get_market
from hypertape.orchestration import pools
from hypertape.settings import Settings


def test_the_sources_are_found_without_importing_them() -> None:
    assert pools.source_names() == sources.source_names()


def test_there_is_a_pool_for_every_source_and_no_name_twice() -> None:
    names = [pool.name for pool in pools.pools()]
    assert len(names) == len(set(names))
    assert {f"hypertape_source_{name}" for name in sources.source_names()} <= set(names)
    assert all(pool.slots > 0 and pool.description for pool in pools.pools())


def test_refreshes_come_one_at_a_time() -> None:
    assert pools.ROLLUPS.slots == 1


def test_extracts_run_in_the_pool_of_the_usual_source() -> None:
    market = get_market("vn")
    assert pools.asking_pool(market, Settings(source=None)).name == "hypertape_source_vci"
    assert pools.asking_pool(market, Settings(source="sample")).name == "hypertape_source_sample"


def test_what_is_not_a_component_is_left_alone() -> None:
    pools.on_starting(component=object())  # a worker has no database to make pools in


def test_the_plugin_registers_the_listener() -> None:
    from airflow.plugins_manager import _get_plugins

    found = {plugin.name: plugin for plugin in _get_plugins()[0]}
    assert found["hypertape"].listeners == [pools]
    assert (REPOSITORY / "plugins" / "hypertape_plugin.py").exists()
