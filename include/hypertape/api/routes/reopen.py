"""POST /gaps/reopen: let healing ask again for gaps that it has given up on."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hypertape.api.bar_query import ALL, read_date, read_flag, read_mode, read_symbols
from hypertape.api.list_filters import Symbol, read_choice, read_stored
from hypertape.api.respond import json_response
from hypertape.api.routes.ledgers import REASONS
from hypertape.api.state import OfApp
from hypertape.errors import BadInput
from hypertape.warehouse.gaps.healing import GapFilter, reopen_gaps

write_router = APIRouter(tags=["trust"])
log = logging.getLogger("hypertape.api")


@write_router.post(
    "/gaps/reopen", summary="Ask again for gaps that were given up on", response_class=Response
)
def reopen(
    request: Request,
    state: OfApp,
    mode: Annotated[str | None, Query(description="A market, one of its other names, or all.")] = None,
    interval: Annotated[str | None, Query(description="1D, 1H or 1m.")] = None,
    symbol: Symbol = None,
    reason: Annotated[str | None, Query(description=f"One of: {', '.join(REASONS)}.")] = None,
    start_date: Annotated[str | None, Query(description="Gaps that end after this.")] = None,
    end_date: Annotated[
        str | None, Query(description="Gaps that start before; a date includes its day.")
    ] = None,
    all: Annotated[
        str | None, Query(description="true: every gap of every market, where nothing else is given.")
    ] = None,
) -> Response:
    """Answer `{"reopened": how many}`; the next run of the DAG `heal_gaps_…` asks for their bars.

    At least one filter is needed, or `all=true`. The server's log keeps who asked for what.
    """
    kind, named = read_choice("reason", reason, REASONS), read_symbols(symbol)
    markets, stored = read_mode(mode, ALL), read_stored(interval)
    wanted = GapFilter(
        None if len(markets) > 1 else (markets[0].code,),
        (stored.value,) if stored else None,
        None if named is None else tuple(named),
        (kind,) if kind else None,
        read_date("start_date", start_date),
        read_date("end_date", end_date, include_day=True),
    )
    if wanted == GapFilter() and not read_flag("all", all, False):
        raise BadInput(
            "Nothing says which gaps, and without a filter they are those of every market",
            next_step="Give mode, interval, symbol, reason, start_date or end_date, or all=true.",
        )
    count = state.writer.run(lambda connection: reopen_gaps(connection, wanted))
    log.info("%s reopened %d gaps: %s", getattr(request.state, "caller", "-"), count, wanted)
    return json_response({"reopened": count})
