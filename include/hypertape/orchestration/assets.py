"""The assets a run updates, one after the other: bars_loaded → bars_validated → rollups_refreshed."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow.sdk import Asset, get_current_context

from hypertape.model import Interval, Market


class Assets(NamedTuple):
    """The assets of one market and interval. A DAG of your own may be scheduled on any of them."""

    bars_loaded: Asset
    bars_validated: Asset
    rollups_refreshed: Asset


def assets(market: Market, interval: Interval) -> Assets:
    """Return the assets of a market and interval: `vn_1d_bars_loaded`, `hypertape://vn/1d/bars_loaded`, …"""
    return Assets(*(_asset(market, interval, stage) for stage in Assets._fields))


def tell(facts: dict[str, Any]) -> dict[str, Any]:
    """Attach facts (counts, windows; JSON) to the events of the running task's outlets, and return them."""
    context = get_current_context()
    for outlet in context["task"].outlets:
        context["outlet_events"][outlet].extra.update(facts)
    return facts


def _asset(market: Market, interval: Interval, stage: str) -> Asset:
    return Asset(
        name=f"{market.code}_{interval}_{stage}",
        uri=f"hypertape://{market.code}/{interval}/{stage}",
        group="hypertape",
        extra={"relation": market.relation(interval)},
    )
