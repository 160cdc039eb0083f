"""GET /api/v1/ticks, /ohlc and /symbols/name: what feeds brought, as the document's clients ask for it.

Times are RFC 3339 in UTC, numbers are decimals as text, the newest comes last. Without `from` the newest rows
are answered, with it the oldest from there on; `to` is not included.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from psycopg import sql
from psycopg.rows import dict_row
from starlette.responses import Response

from hypertape.api.bar_query import read_date, read_number
from hypertape.api.pool import Connection
from hypertape.api.respond import MOST_ROWS, USUAL_ROWS, json_response, rows_of
from hypertape.api.routes.symbols import find_symbol
from hypertape.api.state import OfApp, State
from hypertape.errors import BadInput
from hypertape.model import TIMEFRAMES
from hypertape.queries import query

read_router = APIRouter(prefix="/api/v1", tags=["ticks"])

From = Annotated[str | None, Query(alias="from", description="First instant (UTC), included.")]
To = Annotated[str | None, Query(description="End (UTC), not included.")]
Limit = Annotated[str | None, Query(description=f"Rows; default {USUAL_ROWS}, at most {MOST_ROWS}.")]
Timeframe = Annotated[str | None, Query(description=f"One of: {', '.join(TIMEFRAMES)}; default 1m.")]

_EVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@read_router.get("/symbols/name/{name:path}", summary="One symbol by its name", response_class=Response)
def symbol_named(
    state: OfApp,
    name: str,
    market: Annotated[str | None, Query(description="Its market; default any.")] = None,
) -> Response:
    """Answer the symbol, or 404. A name that several markets have is the feeds' own, unless `market` names
    another.
    """
    found: list[dict[str, Any]] = []
    if "\x00" not in name and "\x00" not in (market or ""):
        found = rows_of(state.warehouse, "api_symbols_named", {"name": name, "market": market or None})
    if not found:
        raise HTTPException(404, f"There is no symbol {name[:60]!r}. List them with GET /api/v1/symbols.")
    return json_response(found[0])


@read_router.get("/ticks/{symbol_id}", summary="Ticks of a symbol", response_class=Response)
def ticks(state: OfApp, symbol_id: int, start: From = None, to: To = None, limit: Limit = None) -> Response:
    """Answer `{"symbol_id", "symbol", "ticks": [tick, …]}`."""
    name, window = _name(state, symbol_id), _window(symbol_id, start, to, limit)
    rows = rows_of(state.warehouse, "api_ticks_onward" if start else "api_ticks_newest", window)
    return json_response({"symbol_id": symbol_id, "symbol": name, "ticks": rows})


@read_router.get("/ticks/{symbol_id}/latest", summary="The newest tick of a symbol", response_class=Response)
def latest_tick(state: OfApp, symbol_id: int) -> Response:
    """Answer the tick with its symbol, or 404 where none is kept."""
    name = _name(state, symbol_id)
    rows = rows_of(state.warehouse, "api_ticks_newest", _window(symbol_id, None, None, "1"))
    if not rows:
        raise HTTPException(404, f"No tick of {name} is kept. See GET /api/v1/stream for the feeds.")
    return json_response({"symbol_id": symbol_id, "symbol": name, **rows[0]})


@read_router.get("/ohlc/{symbol_id}", summary="Candles of a symbol", response_class=Response)
def candles(
    state: OfApp,
    symbol_id: int,
    timeframe: Timeframe = None,
    start: From = None,
    to: To = None,
    limit: Limit = None,
) -> Response:
    """Answer `{"symbol_id", "symbol", "timeframe", "candles": [candle, …]}`: of the mid price, `from` by opening."""
    level, name = _level(timeframe), _name(state, symbol_id)
    rows = _candles(state, level, _window(symbol_id, start, to, limit), onward=bool(start))
    return json_response({"symbol_id": symbol_id, "symbol": name, "timeframe": level, "candles": rows})


@read_router.get("/ohlc/{symbol_id}/latest", summary="The newest candle of a symbol", response_class=Response)
def latest_candle(state: OfApp, symbol_id: int, timeframe: Timeframe = None) -> Response:
    """Answer the candle with its symbol, or 404 where there is none."""
    level, name = _level(timeframe), _name(state, symbol_id)
    rows = _candles(state, level, _window(symbol_id, None, None, "1"), onward=False)
    if not rows:
        raise HTTPException(404, f"There is no candle of {name}. See GET /api/v1/stream for the feeds.")
    return json_response({"symbol_id": symbol_id, "symbol": name, "timeframe": level, **rows[0]})


def _name(state: State, symbol_id: int) -> str:
    return str(find_symbol(state, symbol_id)["ticker"])


def _window(symbol_id: int, start: str | None, to: str | None, limit: str | None) -> dict[str, Any]:
    first, before = read_date("from", start), read_date("to", to)
    if first is not None and before is not None and first >= before:
        raise BadInput(f"to={to!r} is not after from={start!r}", next_step="Swap them, or name a later end.")
    rows = read_number("limit", limit, MOST_ROWS, "Go on with a later `from`.") or USUAL_ROWS
    return {"symbol_id": symbol_id, "start": first or _EVER[0], "before": before or _EVER[1], "rows": rows}


def _level(timeframe: str | None) -> str:
    level = timeframe or "1m"
    if level not in TIMEFRAMES:
        raise BadInput(
            f"There is no timeframe {level[:20]!r}", next_step=f"Timeframes: {', '.join(TIMEFRAMES)}."
        )
    return level


def _candles(state: State, level: str, window: dict[str, Any], *, onward: bool) -> list[dict[str, Any]]:
    statement = query("api_candles").format(
        relation=sql.Identifier("public", f"ohlc_{level}"), order=sql.SQL("asc" if onward else "desc")
    )

    def work(connection: Connection) -> list[dict[str, Any]]:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, window).fetchall()

    return state.warehouse.run(work)
