"""GET /tickers: bars with indicators, as JSON, CSV or Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from hypertape.api.answer_version import is_conditional, version_of
from hypertape.api.bar_chunks import BarChunk
from hypertape.api.bar_encoder import as_arrow, as_csv, as_json
from hypertape.api.bar_query import SPELLINGS, STATES, BarQuery, read_query
from hypertape.api.bar_reader import BLOCK, BarReader, NamedSeries
from hypertape.api.long_answer import LongAnswer, in_turn
from hypertape.api.parameters import without_value
from hypertape.api.pinned_bars import PinReader
from hypertape.api.provisional import open_from
from hypertape.api.state import OfApp, State
from hypertape.api.store_router import WAREHOUSE, Search
from hypertape.reader.ipc import MEDIA_TYPE
from hypertape.warehouse.symbology import former_names

read_router = APIRouter(tags=["bars"])

STORE_HEADER, RENAMED_HEADER = "X-Hypertape-Store", "X-Hypertape-Renamed"


PARAMETERS = {
    "symbol": "A ticker; may be repeated. None: all.",
    "interval": f"{', '.join(SPELLINGS)}; default 1D.",
    "start_date": "First bar: UTC date or instant.",
    "end_date": "Last bar; a date includes its day.",
    "limit": "Bars of each ticker: newest, or oldest from start_date.",
    "mode": "A market, one of its other names, or all.",
    "format": "json, csv or arrow (a stream of Arrow's); default json.",
    "legacy": "true: prices in the unit of the old files.",
    "ma": "false: no averages and scores.",
    "ema": "true, or lengths such as 12,26.",
    "indicators": "Those at read time, by name: rsi14,ema26.",
    "state": "any, or published: only bars that checks have passed; default any.",
    "provisional": "Whether bars that may still change are marked; default true for JSON, else false.",
    "pin": "The name of a pin: the bars that were known when it was made.",
    "cache": "What clients of older servers send; it changes nothing.",
}
"""What may be asked. Read from the address as it came: declared arguments cost an answer a tenth of its time."""

_FORMATS = {
    "json": (as_json, "application/json"),
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "arrow": (as_arrow, MEDIA_TYPE),
}


def _described(name: str, text: str) -> dict[str, Any]:
    kind = {"type": "array", "items": {"type": "string"}} if name == "symbol" else {"type": "string"}
    return {"name": name, "in": "query", "required": False, "description": text, "schema": kind}


@read_router.get(
    "/tickers",
    summary="Bars of one, several or all tickers",
    response_class=Response,
    openapi_extra={"parameters": [_described(*parameter) for parameter in PARAMETERS.items()]},
)
def tickers(request: Request, state: OfApp) -> Response:
    """Answer `{TICKER: [bar, …], …}`, oldest first; see hypertape.api.bar_query for the parameters."""
    asked = request.query_params
    alone = without_value(request.scope["query_string"].decode("latin-1"))
    given = {
        name: value if (value := asked.get(name)) or name in alone else None
        for name in PARAMETERS
        if name not in ("symbol", "cache")
    }
    query = read_query(symbol=asked.getlist("symbol"), **given)
    if query.pin is not None:
        return _from_pin(state, query, query.pin)
    elsewhere = (
        query.width.is_stored and query.state == STATES[0]
    )  # only the warehouse knows what is published
    order = state.stores.order() if elsewhere else (WAREHOUSE,)
    if order != (WAREHOUSE,):
        return _from_several(state, query, order)
    return _from_warehouse(request, state, query)


def _from_warehouse(request: Request, state: State, query: BarQuery) -> Response:
    read = BarReader(state.warehouse, query)
    found = read.find(ahead=not is_conditional(request.headers))
    stored, now = [entry.stored for entry in found.series], state.clock()
    openings = open_from(query, stored, now) if query.provisional else {}
    version = version_of(query, stored, now, openings)
    headers = {**version.headers, STORE_HEADER: WAREHOUSE, **_renamed(state, query, found.series)}
    if version.is_known(request.headers):
        return Response(status_code=304, headers=headers)
    return _answer(state, query, found.series, read.parts(found), headers, openings)


def _renamed(state: State, query: BarQuery, series: list[NamedSeries]) -> dict[str, str]:
    """A header that tells of symbols that are absent because they have another name now: `FB=META;2022-06-09`."""
    absent = set(query.symbols or ()) - {entry.ticker for entry in series}
    if not absent:
        return {}
    told = [
        f"{quote(former.name)}={quote(former.ticker)};{former.since}"
        for market in query.markets
        for former in state.warehouse.run(partial(former_names, market=market, names=sorted(absent))).values()
    ]
    return {RENAMED_HEADER: ", ".join(told)} if told else {}


def _from_pin(state: State, query: BarQuery, name: str) -> Response:
    read = PinReader(state.warehouse, query, name)
    series = read.series()
    headers = {STORE_HEADER: f"pin:{name}", "Cache-Control": "private, no-cache"}
    return _answer(state, query, series, read.parts(series), headers)


def _from_several(state: State, query: BarQuery, order: tuple[str, ...]) -> Response:
    search = Search(state.stores, state.warehouse, query, order, state.clock())
    headers = {STORE_HEADER: ", ".join(search.stores) or order[0], "Cache-Control": "no-store"}
    openings = open_from(query, search.stored(), state.clock()) if query.provisional else {}
    return _answer(state, query, search.series, search.parts(), headers, openings)


def _answer(
    state: State,
    query: BarQuery,
    series: list[NamedSeries],
    parts: Iterator[BarChunk],
    headers: dict[str, str],
    openings: Mapping[tuple[str, str], datetime] | None = None,
) -> Response:
    """Whole when it is one block, else in chunks, the first of which is made before the status is sent."""
    marked = {
        entry.name: openings[entry.market.code, entry.ticker]
        for entry in series
        if openings and (entry.market.code, entry.ticker) in openings
    }
    write, kind = _FORMATS[query.format]
    chunks = write(parts, query, marked)
    bars = sum(query.slots(entry.stored.first, entry.stored.last) for entry in series)
    if bars <= BLOCK:
        return Response(b"".join(chunks), headers=headers, media_type=kind)
    stream = in_turn(chunks, state.streams)
    first = next(stream) + next(stream, b"")
    return LongAnswer(first, stream, headers, kind)
