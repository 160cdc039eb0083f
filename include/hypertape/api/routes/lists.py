"""GET /tickers/group and /tickers/name: what the markets' ticker files and the warehouse's symbols say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape.api.bar_query import read_mode
from hypertape.api.respond import json_response, rows_of
from hypertape.api.state import OfApp, State
from hypertape.model import Market

read_router = APIRouter(tags=["lists"])

Mode = Annotated[str | None, Query(description="A market, one of its other names, or all.")]


@read_router.get("/tickers/group", summary="Tickers by group", response_class=Response)
def groups(state: OfApp, mode: Mode = None) -> Response:
    """Answer `{GROUP: [TICKER, …], …}`, sorted; a group that an earlier market has too is `us:ETF`."""
    answer: dict[str, list[str]] = {}
    for market in read_mode(mode):
        of_market: dict[str, list[str]] = {}
        for ticker, _, group in _symbols(state, market):
            if group:
                of_market.setdefault(group, []).append(ticker)
        for group, tickers in sorted(of_market.items()):
            answer[group if group not in answer else f"{market.code}:{group}"] = tickers
    return json_response(answer)


@read_router.get("/tickers/name", summary="Names by ticker", response_class=Response)
def names(state: OfApp, mode: Mode = None) -> Response:
    """Answer `{TICKER: name, …}`, sorted; a ticker that an earlier market has too is `us:VNM`."""
    answer: dict[str, str] = {}
    for market in read_mode(mode):
        for ticker, name, _ in _symbols(state, market):
            if name:
                answer[ticker if ticker not in answer else f"{market.code}:{ticker}"] = name
    return json_response(answer)


def _symbols(state: State, market: Market) -> Iterator[tuple[str, str | None, str | None]]:
    """Ticker, name and group, sorted: the market's file, and what the warehouse knows beyond it."""
    known = {entry.ticker: (entry.name, entry.group) for entry in market.tickers}
    stored: list[dict[str, Any]] = state.cache.get(
        ("symbols", market.code),
        lambda: rows_of(state.warehouse, "api_symbol_names", {"market": market.code}),
    )
    for row in stored:
        known.setdefault(row["ticker"], (row["name"], row["group"]))
    for ticker, (name, group) in sorted(known.items()):
        yield ticker, name, group
