"""GET /gaps, /quality, /loads and /revisions: the ledgers that say how far the bars can be trusted.

Each answers `{NAME: [row, …], "next": cursor or null}`; `after=cursor` leads to the following rows.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape import model
from hypertape.api.bar_query import (
    ALL,
    read_date,
    read_flag,
    read_mode,
    read_number,
    read_symbols,
    read_width,
)
from hypertape.api.respond import json_response, listed
from hypertape.api.state import OfApp, State
from hypertape.errors import BadInput
from hypertape.model import SEVERITIES
from hypertape.quality import results
from hypertape.warehouse.gaps import rules

read_router = APIRouter(tags=["trust"])

Mode = Annotated[str | None, Query(description="A market, one of its other names, or all (default).")]
Interval = Annotated[str | None, Query(description="1D, 1H or 1m; default all.")]
Symbol = Annotated[list[str] | None, Query(description="A ticker; may be repeated.")]
Limit = Annotated[str | None, Query(description="Rows; default 100, at most 5000.")]
After = Annotated[str | None, Query(description="`next` of the answer before.")]
Run = Annotated[str | None, Query(description="Only of this run.")]

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
    return _page(state, "gaps", "api_gaps", filters, ("gap_id",), limit, after)


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
    return _page(state, "results", "api_quality", filters, ("result_id",), limit, after)


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
    return _page(state, "loads", "api_loads", filters, ("load_id",), limit, after)


@read_router.get("/revisions", summary="Former values of restated bars", response_class=Response)
def revisions(
    state: OfApp,
    mode: Mode = None,
    interval: Interval = None,
    symbol: Symbol = None,
    start_date: Annotated[str | None, Query(description="Bars from this UTC date or instant.")] = None,
    end_date: Annotated[
        str | None, Query(description="Bars up to this one; a date includes its day.")
    ] = None,
    limit: Limit = None,
    after: After = None,
) -> Response:
    """The former values, ordered by market, interval, ticker and time; valid_from and valid_to are load times."""
    filters = {
        **wanted(mode, interval, symbol),
        "start": read_date("start_date", start_date) or "-infinity",
        "end": read_date("end_date", end_date, include_day=True) or "infinity",
    }
    key = ("market", "interval", "ticker", "time", "replaced_by")
    return _page(state, "revisions", "api_revisions", filters, key, limit, after)


def wanted(mode: str | None, interval: str | None, symbol: list[str] | None) -> dict[str, Any]:
    """Which series are meant; null for all."""
    stored = read_stored(interval)
    return {
        "markets": [market.code for market in read_mode(mode, ALL)],
        "interval": stored.value if stored else None,
        "tickers": read_symbols(symbol),
    }


def read_stored(text: str | None) -> model.Interval | None:
    """Read an interval that is loaded; None when it was not given. Raises BadInput."""
    width = read_width(text) if text else None
    if width is not None and not width.is_stored:
        raise BadInput(f"{width.spelling} bars are not loaded", next_step="The ledgers know 1D, 1H and 1m.")
    return width.interval if width else None


def read_choice(name: str, text: str | None, valid: tuple[str, ...]) -> str | None:
    """Read one of some words; None when it was not given. Raises BadInput."""
    if text and text not in valid:
        raise BadInput(f"{name}={text!r} is not known", next_step=f"Valid: {', '.join(valid)}.")
    return text or None


def read_name(text: str | None) -> str | None:
    """A name to compare with; one with a NUL is nobody's, and PostgreSQL would refuse it."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}") if text else None


def _page(
    state: State,
    name: str,
    statement: str,
    filters: dict[str, Any],
    key: tuple[str, ...],
    limit: str | None,
    after: str | None,
) -> Response:
    page = listed(state.warehouse, statement, filters, key=key, limit=limit, after=after)
    return json_response({name: page["rows"], "next": page["next"]})
