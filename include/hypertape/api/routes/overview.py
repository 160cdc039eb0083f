"""GET /overview and /runs: the state of every market and interval, and what the newest runs did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from hypertape import calendars
from hypertape.api.bar_query import ALL, read_mode, read_number, read_width
from hypertape.api.list_filters import Interval, Mode
from hypertape.api.respond import json_response, rows_of
from hypertape.api.state import OfApp, State
from hypertape.errors import BadInput
from hypertape.markets import all_markets
from hypertape.model import EXPLAINED, STORED_INTERVALS, Market
from hypertape.warehouse.findings import headline, open_findings

read_router = APIRouter(tags=["trust"])

Row = dict[str, Any]

MOST_RUNS, USUAL_RUNS = 500, 30
MOST_FAILING = 100
MOST_FINDINGS = 100
MOST_TRIES = 50
"""How often a run may have been cleared and still be found by the id that Airflow knows it by."""

TREND_DAYS, MOST_TREND_DAYS = 90, 730
MOST_OFFENDERS = 200


@read_router.get(
    "/overview", summary="Freshness in session time, by market and interval", response_class=Response
)
def overview(state: OfApp) -> Response:
    """Answer `{now, headline, findings, markets: [{…, intervals: [{…}]}], failing, failing_total}`.

    `behind` counts sessions that have closed since the newest bar's; weekends and holidays never count. `late` is true
    when that is more than the market allows.
    """
    now = state.clock()
    every = {"markets": None}
    held = rows_of(state.warehouse, "report_holdings", every)
    runs = {
        (run["market"], run["interval"]): run for run in rows_of(state.warehouse, "report_last_runs", every)
    }
    entries = {(row["market"], row["interval"]): row for row in open_entries(state)}
    failing = rows_of(state.warehouse, "pages_failing", {"rows": MOST_FAILING})
    found = state.warehouse.run(lambda connection: open_findings(connection, now))
    content = {
        "now": now,
        "headline": headline(found, empty=not held).to_json(),
        "findings": [each.to_json() for each in found[:MOST_FINDINGS]],
        "markets": [_market(market, held, runs, entries, now) for market in all_markets().values()],
        "failing": [{name: value for name, value in row.items() if name != "total"} for row in failing],
        "failing_total": failing[0]["total"] if failing else 0,
    }
    return json_response(content)


def open_entries(state: State) -> list[Row]:
    """Missing bars that are defects, refused rows and failed checks of each market and interval."""
    found: list[Row] = state.cache.get(
        "open", lambda: rows_of(state.warehouse, "api_open_entries", {"explained": list(EXPLAINED)})
    )
    return found


@read_router.get(
    "/runs", summary="The newest runs, what they loaded and what their checks said", response_class=Response
)
def runs(
    state: OfApp,
    mode: Mode = None,
    interval: Interval = None,
    dag_id: Annotated[
        str | None, Query(description="With run_id: an Airflow run, and its repetitions.")
    ] = None,
    run_id: Annotated[
        str | None, Query(description="A run as the ledgers name it, or with dag_id as Airflow.")
    ] = None,
    limit: Annotated[str | None, Query(description="Runs; default 30, at most 500.")] = None,
) -> Response:
    """Answer `{"runs": [run, …]}`, the newest first: one entry per run, market and interval."""
    width = read_width(interval) if interval else None
    if width is not None and not width.is_stored:
        raise BadInput(f"{width.spelling} bars are not loaded", next_step="Runs load 1D, 1H and 1m.")
    parameters = {
        "markets": [market.code for market in read_mode(mode, ALL)],
        "interval": width.interval.value if width else None,
        "runs": _names(dag_id, run_id),
        "rows": read_number("limit", limit, MOST_RUNS) or USUAL_RUNS,
    }
    return json_response({"runs": rows_of(state.warehouse, "pages_runs", parameters)})


@read_router.get(
    "/quality/trend", summary="Checks over time, and tickers that need attention", response_class=Response
)
def trend(
    state: OfApp,
    mode: Mode = None,
    days: Annotated[str | None, Query(description="How far back; default 90, at most 730.")] = None,
) -> Response:
    """Answer `{since, now, trend: [day, …], latest: [run, …], offenders: [ticker, …]}`.

    `trend` has one entry per market, interval and UTC day with checks or refused rows; `latest` the newest checked run
    of each market and interval.
    """
    now = state.clock()
    since = now - timedelta(days=read_number("days", days, MOST_TREND_DAYS) or TREND_DAYS)
    chosen = {"markets": [market.code for market in read_mode(mode, ALL)]}
    dated = {**chosen, "since": since}
    content = {
        "now": now,
        "since": since,
        "trend": rows_of(state.warehouse, "report_trend", dated),
        "latest": rows_of(state.warehouse, "report_last_runs", chosen),
        "offenders": rows_of(state.warehouse, "report_offenders", {**dated, "most": MOST_OFFENDERS}),
    }
    return json_response(content)


def _market(
    market: Market,
    held: list[Row],
    runs: dict[tuple[str, str], Row],
    entries: dict[tuple[str, str], Row],
    now: datetime,
) -> Row:
    closed = calendars.last_closed_session(market, now)
    return {
        "market": market.code,
        "title": market.title,
        "zone": market.timezone,
        "price_unit": market.price_unit,
        "trading": calendars.is_open(market, now),
        "last_session": closed and {"date": closed.date, "opens": closed.opens, "closes": closed.closes},
        "allowed": market.freshness_sessions,
        "intervals": [
            _interval(market, row, runs.get(key), entries.get(key), now)
            for interval in STORED_INTERVALS
            for row in held
            if (key := (row["market"], row["interval"])) == (market.code, interval.value)
        ],
    }


def _interval(market: Market, row: Row, run: Row | None, entries: Row | None, now: datetime) -> Row:
    behind = calendars.session_lag(market, row["last_time"], now)
    counted = entries or {"gap_bars": 0, "quarantined": 0}
    names = (
        "interval",
        "tickers",
        "bars",
        "first_time",
        "last_time",
        "oldest_last",
        "watermark",
        "synthetic",
        "synthetic_tickers",
        "synthetic_named",
    )
    return {
        **{name: row[name] for name in names},
        "behind": behind,
        "late": behind > market.freshness_sessions,
        "gap_bars": counted["gap_bars"],
        "quarantined": counted["quarantined"],
        "last_run": run,
    }


def _names(dag_id: str | None, run_id: str | None) -> list[str] | None:
    """The ledgers' names of a run: a cleared one is asked anew and gets a number (see orchestration.form_fields)."""
    if not run_id or "\x00" in run_id + (dag_id or ""):
        return [] if run_id else None
    if not dag_id:
        return [run_id]
    name = f"{dag_id}__{run_id}"
    return [name, *(f"{name}__{number}" for number in range(2, MOST_TRIES + 1))]
