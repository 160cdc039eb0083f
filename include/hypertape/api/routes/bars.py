"""GET /bars: what `Tape.read` asks for, as a stream of Arrow's."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape.api.bar_query import MOST_BARS_EACH, read_flag, read_number, read_symbols
from hypertape.api.list_filters import Symbol
from hypertape.api.long_answer import LongAnswer, in_turn
from hypertape.api.state import OfApp
from hypertape.reader.bars import BLOCK, BarReading, schema_of
from hypertape.reader.completeness import require_complete
from hypertape.reader.ipc import MEDIA_TYPE, as_stream
from hypertape.reader.request import STATES, BarRequest, read_request

read_router = APIRouter(tags=["bars"])

Text = str | None


@read_router.get("/bars", summary="Bars for programs, as Arrow", response_class=Response)
def bars(
    state: OfApp,
    market: Annotated[str, Query(description="One market.")],
    interval: Annotated[str, Query(description="Any interval of /tickers but 4h.")],
    symbol: Symbol = None,
    start: Annotated[Text, Query(description="First bar: UTC date or instant.")] = None,
    end: Annotated[Text, Query(description="Where bars end: UTC date or instant, not included.")] = None,
    columns: Annotated[
        Text, Query(description="Columns after ticker and time, with commas; default prices and volume.")
    ] = None,
    indicators: Annotated[
        Text, Query(description="Columns computed at read time, with commas: ema12, the project's.")
    ] = None,
    adjusted: Annotated[Text, Query(description="true: prices times the factor of later actions.")] = None,
    as_of: Annotated[Text, Query(description="Final bars as they were known at this instant.")] = None,
    pin: Annotated[Text, Query(description="The name of a pin.")] = None,
    state_: Annotated[Text, Query(alias="state", description="any, or published; default any.")] = None,
    complete: Annotated[Text, Query(description="true: 409 where a bar is missing unexplained.")] = None,
    newest: Annotated[Text, Query(description="Only so many of the newest bars of each ticker.")] = None,
) -> Response:
    """Answer the columns ticker, time and those that are asked for, sorted by ticker and time."""
    request = read_request(
        market,
        interval,
        read_symbols(symbol),
        start=start,
        end=end,
        columns=[name for name in columns.split(",") if name] if columns is not None else None,
        indicators=indicators.split(",") if indicators else (),
        adjusted=read_flag("adjusted", adjusted, False),
        as_of=as_of,
        pin=pin,
        state=state_ or STATES[0],
        complete=read_flag("complete", complete, False),
        newest=read_number("newest", newest, MOST_BARS_EACH),
    )
    return _answer(state, request)


def _answer(state: OfApp, request: BarRequest) -> Response:
    reading = BarReading(state.warehouse.run, request)
    spans = reading.spans()
    if request.complete:
        state.warehouse.run(partial(require_complete, request=request, spans=spans, now=state.clock()))
    chunks = as_stream(schema_of(request), reading.batches(spans))
    if reading.most_bars(spans) <= BLOCK:
        return Response(b"".join(chunks), media_type=MEDIA_TYPE)
    stream = in_turn(chunks, state.streams)
    first = next(stream) + next(stream, b"")
    return LongAnswer(first, stream, {}, MEDIA_TYPE)
