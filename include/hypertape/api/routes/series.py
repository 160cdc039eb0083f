"""GET /series: which series there are. It reads the catalogue of series alone, so a list costs no bar."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape.api.bar_query import ALL, read_mode, read_symbols
from hypertape.api.respond import json_response, listed, searched
from hypertape.api.routes.ledgers import After, Interval, Limit, Mode, Symbol, read_stored
from hypertape.api.state import OfApp

read_router = APIRouter(tags=["lists"])


@read_router.get("/series", summary="Which series there are", response_class=Response)
def series(
    state: OfApp,
    mode: Mode = None,
    interval: Interval = None,
    symbol: Symbol = None,
    contains: Annotated[str | None, Query(description="A part of the ticker, in any case.")] = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """Answer `{"series": [series, …], "next": cursor or null}`, ordered by market, interval and ticker.

    `synthetic` is true for a series that holds bars of the sample source: made up, of no real instrument.
    """
    stored = read_stored(interval)
    filters = {
        "markets": [market.code for market in read_mode(mode, ALL)],
        "interval": stored.value if stored else None,
        "tickers": read_symbols(symbol),
        "part": searched(contains),
    }
    key = ("market", "interval", "ticker")
    page = listed(state.warehouse, "pages_series", filters, key=key, limit=limit, after=after)
    return json_response({"series": page["rows"], "next": page["next"]})
