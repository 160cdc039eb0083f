"""GET /api/v1/symbols: instruments by the id that ticks and candles use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from starlette.responses import Response

from hypertape.api.bar_query import ALL, read_mode
from hypertape.api.respond import json_response, listed, rows_of
from hypertape.api.state import OfApp

read_router = APIRouter(prefix="/api/v1", tags=["symbols"])

LARGEST_ID = 2**63 - 1


@read_router.get("/symbols", summary="Every symbol, by id", response_class=Response)
def symbols(
    state: OfApp,
    mode: Annotated[
        str | None, Query(description="A market, one of its other names, or all (default).")
    ] = None,
    limit: Annotated[str | None, Query(description="Rows; default 100, at most 5000.")] = None,
    after: Annotated[str | None, Query(description="`next` of the answer before.")] = None,
) -> Response:
    """Answer `{"symbols": [symbol, …], "next": cursor or null}`."""
    # without a mode everything, feeds' own symbols too: they are of no market that has bars
    markets = [market.code for market in read_mode(mode)] if mode and mode != ALL else None
    page = listed(
        state.warehouse, "api_symbols", {"markets": markets, "symbol_id": None}, key=("symbol_id",), limit=limit,
        after=after,
    )  # fmt: skip
    return json_response({"symbols": page["rows"], "next": page["next"]})


@read_router.get("/symbols/{symbol_id}", summary="One symbol", response_class=Response)
def symbol(state: OfApp, symbol_id: int) -> Response:
    """Answer the symbol, or 404."""
    found: list[dict[str, Any]] = []
    if 0 < symbol_id <= LARGEST_ID:
        parameters = {"markets": None, "symbol_id": symbol_id, "after_symbol_id": None, "rows": 1}
        found = rows_of(state.warehouse, "api_symbols", parameters)
    if not found:
        raise HTTPException(404, f"There is no symbol {symbol_id}. List them with GET /api/v1/symbols.")
    return json_response(found[0])
