"""The assets a run updates: bars_loaded → rollups_refreshed → bars_published.

`…_loaded` says that something was loaded, and nothing about what it is worth. `…_published` is told of sessions that
are complete and have passed every critical check: one event each, with the session as its partition key (`2024-03-04`),
and again with the same key when the session was restated. Of daily bars `…_1w_bars_published` is told of whole weeks,
with the Monday as the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from airflow.sdk import Asset, AssetAlias, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from hypertape.markets import get_market
from hypertape.model import Interval, Market
from hypertape.orchestration.xcom import head


class Assets(NamedTuple):
    """The assets of one market and interval. A DAG of your own may be scheduled on any of them."""

    bars_loaded: Asset
    rollups_refreshed: Asset
    bars_published: Asset


def assets(market: Market, interval: Interval) -> Assets:
    """Return the assets of a market and interval: `vn_1d_bars_loaded`, `hypertape://vn/1d/bars_loaded`, …"""
    return Assets(*(_asset(market, interval, stage) for stage in Assets._fields))


def alias(stage: str) -> AssetAlias:
    """Stand for the asset of a stage where only the run knows market and interval; `report_to_asset` resolves it."""
    return AssetAlias(name=f"backfill_{stage}", group="hypertape")


def report_to_asset(facts: dict[str, Any]) -> dict[str, Any]:
    """Attach facts (counts, windows; JSON) to the events of the running task's outlets, and return them.

    An alias becomes the asset of the market and interval that the run's plan names.
    """
    context = get_current_context()
    for outlet in context["task"].outlets:
        event = context["outlet_events"][outlet]
        if isinstance(outlet, AssetAlias):
            planned, stage = head(), outlet.name.removeprefix("backfill_")
            event.add(
                _asset(get_market(planned["market"]), Interval(planned["interval"]), stage), extra=facts
            )
        else:
            event.extra.update(facts)
    return facts


def tell_partitions(asset: Asset, keys: Sequence[str], facts: dict[str, Any]) -> None:
    """Tell of an asset, one event for each partition key, with facts; skip the running task where there are none.

    A task that succeeds without any would tell of something all the same. An alias takes no keys, so a DAG of any
    market declares one to be seen by, and its task gets the asset for an outlet here: Airflow reads them when it ends.
    """
    if not keys:
        raise AirflowSkipException("Nothing is complete that was not told of before.")
    context = get_current_context()
    context["task"].outlets = [asset]
    event = context["outlet_events"][asset]
    event.extra.update(facts)
    event.add_partitions(list(keys))


def _asset(market: Market, interval: Interval, stage: str) -> Asset:
    return Asset(
        name=f"{market.code}_{interval}_{stage}",
        uri=f"hypertape://{market.code}/{interval}/{stage}",
        group="hypertape",
        extra={"relation": market.relation(interval)},
    )
