"""GET /gaps, /quality, /loads and /revisions: the ledgers that say how far the bars can be trusted.

Each answers a page of `list_filters`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape.api.bar_query import read_flag, read_number
from hypertape.api.list_filters import (
    After,
    FirstBar,
    Interval,
    LastBar,
    Limit,
    Mode,
    Run,
    Symbol,
    between,
    page,
    read_choice,
    read_name,
    wanted,
)
from hypertape.api.state import OfApp
from hypertape.model import SEVERITIES
from hypertape.quality import results
from hypertape.warehouse.gaps import rules

read_router = APIRouter(tags=["trust"])

REASONS = rules.REASONS[1:]
STATUSES = ("loaded", "failed", "skipped")


@read_router.get("/gaps", summary="Missing bars and why", response_class=Response)
def gaps(
    state: OfApp,
    mode: Mode = None,
    interval: Interval = None,
    symbol: Symbol = None,
    reason: Annotated[str | None, Query(description=f"One of: {', '.join(REASONS)}.")] = None,
    open: Annotated[str | None, Query(description="false: closed gaps too.")] = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """The gap ledger, the newest entries first."""
    filters = {
        **wanted(mode, interval, symbol),
        "reason": read_choice("reason", reason, REASONS),
        "open": read_flag("open", open, True),
    }
    return page(state, "gaps", "api_gaps", filters, ("gap_id",), limit, after)


@read_router.get("/quality", summary="Results of the checks", response_class=Response)
def quality(
    state: OfApp,
    mode: Mode = None,
    interval: Interval = None,
    run_id: Run = None,
    status: Annotated[str | None, Query(description="passed, failed, broken or not_evaluated.")] = None,
    severity: Annotated[str | None, Query(description="critical or warning.")] = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """The kept results, the newest first."""
    filters = {
        **wanted(mode, interval, None),
        "run_id": read_name(run_id),
        "status": read_choice("status", status, results.STATUSES),
        "severity": read_choice("severity", severity, SEVERITIES),
    }
    return page(state, "results", "api_quality", filters, ("result_id",), limit, after)


@read_router.get("/loads", summary="Who loaded what, when, from where", response_class=Response)
def loads(
    state: OfApp,
    mode: Mode = None,
    interval: Interval = None,
    symbol: Symbol = None,
    run_id: Run = None,
    status: Annotated[str | None, Query(description="loaded, failed or skipped.")] = None,
    load_id: Annotated[str | None, Query(description="One load, as a bar or revision names it.")] = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """The load ledger, the newest first."""
    filters = {
        **wanted(mode, interval, symbol),
        "run_id": read_name(run_id),
        "status": read_choice("status", status, STATUSES),
        "load_id": read_number("load_id", load_id, 2**62),
    }
    return page(state, "loads", "api_loads", filters, ("load_id",), limit, after)


@read_router.get("/revisions", summary="Former values of restated bars", response_class=Response)
def revisions(
    state: OfApp,
    mode: Mode = None,
    interval: Interval = None,
    symbol: Symbol = None,
    start_date: FirstBar = None,
    end_date: LastBar = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """The former values, ordered by market, interval, ticker and time; valid_from and valid_to are load times."""
    filters = {
        **wanted(mode, interval, symbol),
        **between(start_date, end_date),
    }
    key = ("market", "interval", "ticker", "time", "replaced_by")
    return page(state, "revisions", "api_revisions", filters, key, limit, after)
