"""GET /api/v1/stream…: how the streams do, what their feeds missed, what nobody could store, and what mends it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape.api.bar_query import read_flag, read_number
from hypertape.api.pool import Connection
from hypertape.api.respond import MOST_ROWS, USUAL_ROWS, json_response, rows_of
from hypertape.api.state import OfApp
from hypertape.model import STREAM_KINDS
from hypertape.stream.gaps import feed_gaps
from hypertape.stream.letters import dead_letters
from hypertape.stream.status import stream_status
from hypertape.stream.symbols import MARKET
from hypertape.warehouse.findings import Finding, headline, open_findings

read_router = APIRouter(prefix="/api/v1/stream", tags=["ticks"])

Source = Annotated[str | None, Query(description="Only of this feed.")]
Limit = Annotated[str | None, Query(description=f"Rows; default {USUAL_ROWS}, at most {MOST_ROWS}.")]

SHOWN_BYTES = 1000
"""So much of a record is shown; `hypertape stream dead-letters --output` writes it whole."""


@read_router.get("", summary="How the streams do", response_class=Response)
def stream(state: OfApp) -> Response:
    """Answer what `hypertape stream status --json` says of the warehouse, and `now`."""
    now = state.clock()
    found = state.warehouse.run(lambda connection: stream_status(connection, now))
    return json_response({"now": now, **found})


@read_router.get("/gaps", summary="What feeds know that they missed", response_class=Response)
def gaps(
    state: OfApp,
    source: Source = None,
    open: Annotated[str | None, Query(description="false: closed gaps too.")] = None,
    limit: Limit = None,
) -> Response:
    """Answer `{"gaps": [gap, …]}`, the newest first."""
    closed, most = not read_flag("open", open, True), _rows(limit)
    found = state.warehouse.run(
        lambda connection: feed_gaps(connection, source=_text(source), closed=closed, limit=most)
    )
    return json_response({"gaps": [asdict(gap) for gap in found]})


@read_router.get("/dead-letters", summary="What nobody could store, and why", response_class=Response)
def letters(state: OfApp, source: Source = None, limit: Limit = None) -> Response:
    """Answer `{"dead_letters": [letter, …]}` in the order they came; `record` is its first 1000 bytes as text."""
    most = _rows(limit)
    found = state.warehouse.run(lambda connection: dead_letters(connection, source=_text(source), limit=most))
    rows = [
        {**asdict(letter), "record": letter.record[:SHOWN_BYTES].decode("utf-8", "backslashreplace")}
        for letter in found
    ]
    return json_response({"dead_letters": rows})


@read_router.get("/symbols", summary="The symbols of feeds", response_class=Response)
def symbols(state: OfApp) -> Response:
    """Answer `{"symbols": [symbol, …]}` by name, at most 5000."""
    rows = rows_of(state.warehouse, "api_feed_symbols", {"market": MARKET, "rows": MOST_ROWS})
    return json_response({"symbols": rows})


@read_router.get("/findings", summary="What is wrong with the stream", response_class=Response)
def findings(state: OfApp) -> Response:
    """Answer `{now, headline, findings: [finding, …]}` of the stream's kinds that nobody acknowledged."""
    now = state.clock()

    def work(connection: Connection) -> list[Finding]:
        return [each for each in open_findings(connection, now) if _is_ours(each)]

    found = state.warehouse.run(work)
    rows: list[dict[str, Any]] = [each.to_json() for each in found]
    return json_response({"now": now, "headline": headline(found).to_json(), "findings": rows})


def _is_ours(finding: Finding) -> bool:
    return finding.kind in STREAM_KINDS or finding.cause.startswith("worker/stream/")


def _rows(limit: str | None) -> int:
    return read_number("limit", limit, MOST_ROWS, "Name a feed with `source`.") or USUAL_ROWS


def _text(source: str | None) -> str | None:
    return source.replace("\x00", "") if source else None
