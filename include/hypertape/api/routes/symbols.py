"""GET /api/v1/symbols: instruments by the id that ticks and candles use."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

from hypertape.api.bar_query import ALL, read_mode
from hypertape.api.list_filters import After, Limit, Mode, page
from hypertape.api.respond import json_response, rows_of
from hypertape.api.state import OfApp, State

read_router = APIRouter(prefix="/api/v1", tags=["symbols"])

LARGEST_ID = 2**63 - 1


@read_router.get("/symbols", summary="Every symbol, by id", response_class=Response)
def symbols(
    state: OfApp,
    mode: Mode = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """Answer `{"symbols": [symbol, …], "next": cursor or null}`."""
    # without a mode everything, feeds' own symbols too: they are of no market that has bars
    markets = [market.code for market in read_mode(mode)] if mode and mode != ALL else None
    filters = {"markets": markets, "symbol_id": None}
    return page(state, "symbols", "api_symbols", filters, ("symbol_id",), limit, after)


@read_router.get("/symbols/{symbol_id}", summary="One symbol", response_class=Response)
def symbol(state: OfApp, symbol_id: int) -> Response:
    """Answer the symbol, or 404."""
    return json_response(find_symbol(state, symbol_id))


def find_symbol(state: State, symbol_id: int) -> dict[str, Any]:
    """The symbol of an id. Raises 404 where there is none."""
    found: list[dict[str, Any]] = []
    if 0 < symbol_id <= LARGEST_ID:
        parameters = {"markets": None, "symbol_id": symbol_id, "after_symbol_id": None, "rows": 1}
        found = rows_of(state.warehouse, "api_symbols", parameters)
    if not found:
        raise HTTPException(404, f"There is no symbol {symbol_id}. List them with GET /api/v1/symbols.")
    return found[0]
