"""GET /condition: each session of each ticker in one of four words, with reasons."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape.api.bar_query import read_date, read_mode, read_symbols
from hypertape.api.list_filters import OneMarket, read_choice, read_stored
from hypertape.api.respond import json_response
from hypertape.api.state import OfApp
from hypertape.errors import BadInput
from hypertape.model import Interval
from hypertape.warehouse.condition import CONDITIONS, conditions

read_router = APIRouter(tags=["trust"])

USUAL_DAYS, MOST_DAYS = 7, 100
YEARS = range(1900, 2100)
"""Years in which a market can have had sessions."""


@read_router.get(
    "/condition", summary="Sessions: available, degraded, pending or missing", response_class=Response
)
def condition(
    state: OfApp,
    mode: OneMarket = None,
    interval: Annotated[str | None, Query(description="1D, 1H or 1m; default 1D.")] = None,
    symbol: Annotated[list[str] | None, Query(description="A ticker; may be repeated. None: all.")] = None,
    start_date: Annotated[str | None, Query(description="First UTC date; default: a week ago.")] = None,
    end_date: Annotated[str | None, Query(description="Last UTC date, included; default: today.")] = None,
    condition: Annotated[str | None, Query(description=f"One of: {', '.join(CONDITIONS)}.")] = None,
) -> Response:
    """Answer `{now, market, interval, conditions: [{session, ticker, condition, reasons}]}`."""
    now, chosen, only = state.clock(), read_mode(mode, None), read_choice("condition", condition, CONDITIONS)
    if len(chosen) != 1:
        raise BadInput("All markets have too many sessions", next_step="Name one market with mode=.")
    width, named = read_stored(interval) or Interval.D1, read_symbols(symbol)
    start, end = _dates(now, start_date, end_date)
    found = state.warehouse.run(
        lambda connection: conditions(connection, chosen[0], width, start, end, now=now, tickers=named)
    )
    rows = [each.to_json() for each in found if only in (None, each.condition)]
    return json_response({"now": now, "market": chosen[0].code, "interval": width.value, "conditions": rows})


def _dates(now: datetime, start: str | None, end: str | None) -> tuple[date, date]:
    last = (read_date("end_date", end) or now).date()
    given = read_date("start_date", start)
    first = given.date() if given else last - timedelta(days=min(USUAL_DAYS, (last - date.min).days))
    if last.year not in YEARS or first.year not in YEARS:
        raise BadInput(
            f"No market is open from {first} to {last}", next_step=f"Years: {YEARS[0]} to {YEARS[-1]}."
        )
    if first > last:
        raise BadInput(f"{first} is after {last}", next_step="Swap start_date and end_date.")
    if (last - first).days > MOST_DAYS:
        raise BadInput(
            f"{first} to {last} is longer than {MOST_DAYS} days", next_step="Ask for fewer at a time."
        )
    return first, last
