"""GET /findings: what is wrong, since when, and what mends it; POST to put one out of the way and to take that back."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hypertape.api.bar_query import ALL, read_date, read_flag, read_mode, read_number, read_width
from hypertape.api.list_filters import Limit, Mode, read_choice
from hypertape.api.pool import Connection
from hypertape.api.respond import MOST_ROWS, USUAL_ROWS, json_response
from hypertape.api.state import OfApp
from hypertape.errors import BadInput
from hypertape.model import FINDING_KINDS, FINDING_SEVERITIES, Interval
from hypertape.warehouse.findings import acknowledge as put_away
from hypertape.warehouse.findings import findings as read
from hypertape.warehouse.findings import headline, open_findings
from hypertape.warehouse.findings import reopen as take_back
from hypertape.warehouse.findings.ledger import Finding

read_router = APIRouter(tags=["trust"])
write_router = APIRouter(tags=["trust"])
log = logging.getLogger("hypertape.api")

MOST_REASON = 500


@read_router.get(
    "/findings", summary="What is wrong, the worst first, and what mends it", response_class=Response
)
def findings(
    state: OfApp,
    mode: Mode = None,
    interval: Annotated[str | None, Query(description="An interval; default all.")] = None,
    kind: Annotated[str | None, Query(description=f"One of: {', '.join(FINDING_KINDS)}.")] = None,
    severity: Annotated[str | None, Query(description="critical, warning or note.")] = None,
    closed: Annotated[str | None, Query(description="true: those that are over, too.")] = None,
    limit: Limit = None,
) -> Response:
    """Answer `{now, headline, findings: [finding, …]}`; the headline is of the place's that nobody acknowledged."""
    now, width = state.clock(), read_width(interval) if interval else None
    place: dict[str, Any] = {
        "markets": None if mode in (None, "", ALL) else [market.code for market in read_mode(mode, ALL)],
        "intervals": [level.value for level in _with_derived(width.interval)] if width else None,
    }
    kinds, severities = (
        read_choice("kind", kind, tuple(FINDING_KINDS)),
        read_choice("severity", severity, FINDING_SEVERITIES),
    )
    most = read_number("limit", limit, MOST_ROWS) or USUAL_ROWS
    over = read_flag("closed", closed, False)

    def work(connection: Connection) -> tuple[list[Finding], list[Finding]]:
        chosen: dict[str, Any] = {
            "kinds": [kinds] if kinds else None,
            "severities": [severities] if severities else None,
        }
        return open_findings(connection, now, **place), read(
            connection, now, **place, **chosen, closed=over, most=most
        )

    wrong, found = state.warehouse.run(work)
    rows = [each.to_json() for each in found]
    return json_response({"now": now, "headline": headline(wrong).to_json(), "findings": rows})


@write_router.post(
    "/findings/{finding_id}/acknowledge", summary="Put a finding out of the way", response_class=Response
)
def acknowledge(
    finding_id: str,
    request: Request,
    state: OfApp,
    reason: Annotated[str | None, Query(description="Why it may wait.")] = None,
    until: Annotated[
        str | None, Query(description="When it comes back (UTC); default: when it changes.")
    ] = None,
) -> Response:
    """Answer the finding; it comes back when it changes or its time is up."""
    number, ends, by = _number(finding_id), read_date("until", until), getattr(request.state, "caller", "-")
    text = (reason or "").replace("\x00", "")
    if len(text) > MOST_REASON:
        raise BadInput(f"The reason is {len(text)} letters long", next_step=f"Use {MOST_REASON} at most.")
    found = state.writer.run(
        lambda connection: put_away(
            connection, number, now=state.clock(), by=str(by), reason=text, until=ends
        )
    )
    log.info("%s acknowledged finding %d until %s: %s", by, number, ends, text)
    return json_response(found.to_json())


@write_router.post(
    "/findings/{finding_id}/reopen", summary="Take an acknowledgement back", response_class=Response
)
def reopen(finding_id: str, request: Request, state: OfApp) -> Response:
    """Answer the finding."""
    number = _number(finding_id)
    found = state.writer.run(lambda connection: take_back(connection, number, now=state.clock()))
    log.info("%s reopened finding %d", getattr(request.state, "caller", "-"), number)
    return json_response(found.to_json())


def _with_derived(interval: Interval) -> tuple[Interval, ...]:
    """An interval, and of a stored one those that are derived from it."""
    return tuple(level for level in Interval if interval in (level, level.base))


def _number(text: str) -> int:
    number = read_number("finding_id", text, 2**62)
    if number is None:
        raise BadInput("Which finding is not said", next_step="GET /findings lists them.")
    return number
