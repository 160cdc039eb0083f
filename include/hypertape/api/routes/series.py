"""GET /series: which series there are. It reads the catalogue of series alone, so a list costs no bar."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from hypertape.api.list_filters import After, Contains, Interval, Limit, Mode, Symbol, page, read_name, wanted
from hypertape.api.state import OfApp

read_router = APIRouter(tags=["lists"])


@read_router.get("/series", summary="Which series there are", response_class=Response)
def series(
    state: OfApp,
    mode: Mode = None,
    interval: Interval = None,
    symbol: Symbol = None,
    contains: Contains = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """Answer `{"series": [series, …], "next": cursor or null}`, ordered by market, interval and ticker.

    `synthetic` is true for a series that holds bars of the sample source: made up, of no real instrument.
    """
    filters = {**wanted(mode, interval, symbol), "part": read_name(contains)}
    return page(state, "series", "pages_series", filters, ("market", "interval", "ticker"), limit, after)
