"""GET /metrics: the ledgers and this app's requests in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from hypertape.api.request_metrics import escaped
from hypertape.api.respond import rows_of
from hypertape.api.routes.health import holdings
from hypertape.api.state import OfApp, State
from hypertape.model import EXPLAINED

read_router = APIRouter(tags=["health"])

FORMAT = "text/plain; version=0.0.4; charset=utf-8"


@read_router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def metrics(state: OfApp) -> Response:
    """Answer the figures; those of the warehouse are at most 15 seconds old."""
    held = holdings(state)
    open_rows = open_entries(state)
    lines = [
        *_gauge("bars", "Bars loaded, by the load ledger.", held, "bars"),
        *_gauge("tickers", "Tickers with bars.", held, "tickers"),
        *_gauge("last_bar_timestamp_seconds", "Opening of the newest bar.", held, "last_bar"),
        *_gauge("last_sync_timestamp_seconds", "The newest load.", held, "last_sync"),
        *_gauge("watermark_timestamp_seconds", "Oldest watermark of a series.", held, "watermark"),
        *_gauge("open_gap_bars", "Bars that are missing and not explained away.", open_rows, "gap_bars"),
        *_gauge("open_quarantine_rows", "Refused rows that were not released.", open_rows, "quarantined"),
        *_gauge("failed_checks", "Checks that failed in the newest checked run.", open_rows, "failed_checks"),
        *_gauge(
            "not_evaluated_checks",
            "Checks of the newest checked run that had nothing to look at.",
            open_rows,
            "not_evaluated_checks",
        ),
        *_findings(state),
        *state.meter.lines(),
    ]
    return Response("\n".join(lines) + "\n", media_type=FORMAT)


def open_entries(state: State) -> list[dict[str, Any]]:
    """Missing bars that are defects, refused rows and failed checks of each market and interval."""
    found: list[dict[str, Any]] = state.cache.get(
        "open", lambda: rows_of(state.warehouse, "api_open_entries", {"explained": list(EXPLAINED)})
    )
    return found


def _findings(state: State) -> list[str]:
    """Open findings by place, kind and severity."""
    now = state.clock()
    found = state.cache.get("findings", lambda: rows_of(state.warehouse, "finding_counts", {"now": now}))
    lines = [
        "# HELP hypertape_findings Findings that are open and not acknowledged.",
        "# TYPE hypertape_findings gauge",
    ]
    for row in found:
        labels = ",".join(
            f'{name}="{escaped(row[name])}"' for name in ("market", "interval", "kind", "severity")
        )
        lines.append(f"hypertape_findings{{{labels}}} {row['findings']}")
    return lines


def _gauge(name: str, help_text: str, rows: Iterable[dict[str, Any]], column: str) -> list[str]:
    name = f"hypertape_{name}"
    lines = [f"# HELP {name} {help_text}", f"# TYPE {name} gauge"]
    for row in rows:
        if row[column] is not None:
            labels = f'market="{escaped(row["market"])}",interval="{escaped(row["interval"])}"'
            lines.append(f"{name}{{{labels}}} {_number(row[column])}")
    return lines


def _number(value: Any) -> str:
    return f"{value.timestamp():.3f}" if isinstance(value, datetime) else str(value)
