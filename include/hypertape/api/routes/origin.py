"""Where bars come from and what was refused or flagged: GET /origin, /quarantine, /flags and /actions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from psycopg import sql
from psycopg.rows import dict_row
from starlette.responses import Response

from hypertape.api import list_filters
from hypertape.api.bar_query import (
    Width,
    read_date,
    read_flag,
    read_mode,
    read_number,
    read_symbols,
    read_width,
)
from hypertape.api.list_filters import (
    After,
    FirstBar,
    LastBar,
    Limit,
    Mode,
    OneMarket,
    Run,
    Symbol,
    between,
    page,
    read_name,
    wanted,
)
from hypertape.api.pool import Connection
from hypertape.api.respond import MOST_ROWS, json_response, rows_of
from hypertape.api.state import OfApp
from hypertape.errors import BadInput
from hypertape.model import Interval, Market, Window
from hypertape.queries import query

read_router = APIRouter(tags=["trust"])

MOST_LOADS = 50
"""Loads of one bar that are told; a month's bar may come from hundreds."""


@read_router.get("/origin", summary="The loads and runs a bar came with", response_class=Response)
def origin(
    state: OfApp,
    symbol: Annotated[str, Query(description="One ticker.")],
    time: Annotated[str, Query(description="The bar's opening: UTC date or instant.")],
    interval: Annotated[str | None, Query(description="Any interval of /tickers; default 1D.")] = None,
    mode: OneMarket = None,
) -> Response:
    """Answer `{market, interval, symbol, start, end, loads: [load, …], total}`.

    For a rollup these are the loads of the stored bars below it; `bars` counts how many of them each load wrote.
    """
    market, width = _one_market(mode), read_width(interval or "1D")
    opening = read_date("time", time)
    if opening is None:
        raise BadInput("Which bar is missing", next_step="Give its opening as time=YYYY-MM-DDTHH:MM:SS.")
    if width.is_daily:
        opening = opening.replace(hour=0, minute=0, second=0, microsecond=0)
    window = _span(width, opening)
    statement = query("pages_origin").format(
        relation=sql.Identifier("bars", market.relation(width.interval.base))
    )
    parameters = {
        "ticker": read_name(symbol), "start": window.start, "end": window.end,
        "rows": MOST_LOADS,
    }  # fmt: skip

    def work(connection: Connection) -> list[dict[str, Any]]:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, parameters).fetchall()

    loads = state.warehouse.run(work)
    content = {
        "market": market.code, "interval": width.spelling, "symbol": symbol, "start": window.start,
        "end": window.end, "total": loads[0]["total"] if loads else 0,
        "loads": [{name: value for name, value in load.items() if name != "total"} for load in loads],
    }  # fmt: skip
    return json_response(content)


@read_router.get("/quarantine", summary="Rows the gate refused", response_class=Response)
def quarantine(
    state: OfApp,
    mode: Mode = None,
    interval: list_filters.Interval = None,
    symbol: Symbol = None,
    rule: Annotated[str | None, Query(description="The rule that was broken.")] = None,
    run_id: Run = None,
    open: Annotated[str | None, Query(description="false: released rows too.")] = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """Answer `{"quarantine": [row, …], "next": cursor or null}`, the newest first."""
    filters = {
        **wanted(mode, interval, symbol),
        "rule": read_name(rule),
        "run_id": read_name(run_id),
        "open": read_flag("open", open, True),
    }
    return page(state, "quarantine", "api_quarantine", filters, ("quarantine_id",), limit, after)


@read_router.get("/flags", summary="Bars stored although they break a rule", response_class=Response)
def flags(
    state: OfApp,
    mode: Mode = None,
    interval: list_filters.Interval = None,
    symbol: Symbol = None,
    rule: Annotated[str | None, Query(description="The rule that is broken.")] = None,
    start_date: FirstBar = None,
    end_date: LastBar = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """Answer `{"flags": [row, …], "next": cursor or null}`: bars stored as delivered, the newest flags first."""
    filters = {
        **wanted(mode, interval, symbol),
        "rule": read_name(rule),
        **between(start_date, end_date),
    }
    return page(state, "flags", "api_flags", filters, ("flag_id",), limit, after)


@read_router.get("/actions", summary="Splits and dividends", response_class=Response)
def actions(
    state: OfApp,
    mode: OneMarket = None,
    symbol: Symbol = None,
    start_date: Annotated[str | None, Query(description="From this UTC date.")] = None,
    end_date: Annotated[str | None, Query(description="Up to this one, included.")] = None,
    limit: Annotated[str | None, Query(description="Rows; default and at most 5000.")] = None,
) -> Response:
    """Answer `{"actions": [{ticker, time, kind, value}, …]}`, the newest first.

    A split's value is new shares per old one, a dividend's the money per share.
    """
    parameters = {
        "market": _one_market(mode).code,
        "tickers": read_symbols(symbol),
        **between(start_date, end_date),
        "rows": read_number("limit", limit, MOST_ROWS) or MOST_ROWS,
    }
    return json_response({"actions": rows_of(state.warehouse, "api_actions", parameters)})


def _one_market(mode: str | None) -> Market:
    markets = read_mode(mode)
    if len(markets) > 1:
        raise BadInput("A ticker is one market's", next_step="Name the market with mode.")
    return markets[0]


def _span(width: Width, opening: datetime) -> Window:
    """The time that a bar covers. Raises BadInput at the end of time."""
    try:
        if width.interval is Interval.MO1:
            return Window(opening, (opening.replace(day=1) + timedelta(days=32)).replace(day=1))
        return Window(opening, opening + width.step)
    except OverflowError as error:
        raise BadInput(f"No bar opens at {opening}", next_step="Give a bar's opening.") from error
