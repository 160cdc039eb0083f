"""GET /health: is it alive, what does it hold, and when did it last hear from each source."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from hypertape import __version__, calendars
from hypertape.api.respond import json_response, rows_of
from hypertape.api.state import OfApp, State
from hypertape.markets import all_markets
from hypertape.model import Interval, Market
from hypertape.warehouse.schema import tier

read_router = APIRouter(tags=["health"])


@read_router.get("/health", summary="Counts, last syncs and trading hours", response_class=Response)
def health(state: OfApp) -> Response:
    """Answer the figures, at most 15 seconds old; 503 when the warehouse does not answer."""
    now = state.clock()
    held, tier = holdings(state), tier_of(state)
    content = {
        "status": "ok",
        "version": __version__,
        "tier": tier,
        "now": now,
        "uptime_seconds": round((now - state.started).total_seconds(), 3),
        "stores": list(state.stores.order()),
        "markets": {
            code: {
                "title": market.title,
                "zone": market.timezone,
                "trading_hours": calendars.is_open(market, now),
                "intervals": _intervals(market, held),
            }
            for code, market in all_markets().items()
        },
    }
    return json_response(content)


def holdings(state: State) -> list[dict[str, Any]]:
    """Tickers, bars, newest bar, last load and watermark of each market and interval."""
    found: list[dict[str, Any]] = state.cache.get(
        "holdings", lambda: rows_of(state.warehouse, "api_holdings", {})
    )
    return found


def tier_of(state: State) -> str:
    """`timescaledb` or `plain`."""
    found: str = state.cache.get("tier", lambda: state.warehouse.run(tier))
    return found


def _intervals(market: Market, held: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    by_interval = {row["interval"]: row for row in held if row["market"] == market.code}
    nothing = {"tickers": 0, "bars": 0, "last_bar": None, "last_sync": None, "watermark": None}
    return {
        interval.spelling: {name: by_interval.get(interval.value, nothing)[name] for name in nothing}
        for interval in (Interval.D1, Interval.H1, Interval.M1)
    }
