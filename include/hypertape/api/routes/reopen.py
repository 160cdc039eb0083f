"""POST /gaps/reopen: let healing ask again for gaps that it has given up on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape.api.question import ALL, read_date, read_mode, read_symbols
from hypertape.api.respond import json_response
from hypertape.api.routes.ledgers import REASONS, read_choice, read_stored
from hypertape.api.state import OfApp
from hypertape.warehouse.gap_list import GapFilter, reopen_gaps

writing = APIRouter(tags=["trust"])


@writing.post("/gaps/reopen", summary="Ask again for gaps that were given up on", response_class=Response)
def reopen(
    state: OfApp,
    mode: Annotated[
        str | None, Query(description="A market, one of its other names, or all (default).")
    ] = None,
    interval: Annotated[str | None, Query(description="1D, 1H or 1m; default all.")] = None,
    symbol: Annotated[list[str] | None, Query(description="A ticker; may be repeated.")] = None,
    reason: Annotated[str | None, Query(description=f"One of: {', '.join(REASONS)}.")] = None,
    start_date: Annotated[str | None, Query(description="Gaps that end after this.")] = None,
    end_date: Annotated[
        str | None, Query(description="Gaps that start before; a date includes its day.")
    ] = None,
) -> Response:
    """Answer `{"reopened": how many}`; the next run of the DAG `heal_gaps_…` asks for their bars."""
    kind, named = read_choice("reason", reason, REASONS), read_symbols(symbol)
    stored = read_stored(interval)
    wanted = GapFilter(
        tuple(market.code for market in read_mode(mode, ALL)),
        (stored.value,) if stored else None,
        None if named is None else tuple(named),
        (kind,) if kind else None,
        read_date("start_date", start_date),
        read_date("end_date", end_date, include_day=True),
    )
    return json_response(
        {"reopened": state.warehouse.run(lambda connection: reopen_gaps(connection, wanted))}
    )
