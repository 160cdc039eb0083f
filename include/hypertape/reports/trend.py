"""The trend of failed expectations: each check that failed, over the newest runs of its market and interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import psycopg

from hypertape.reports.run import rows

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

RUNS = 20


def gather_runs(connection: Connection, since: datetime, markets: Collection[str] | None) -> list[Row]:
    """One table per market and interval: its newest runs, oldest first, and a line per check that failed in one."""
    chosen = {"markets": sorted(markets) if markets is not None else None}
    found = rows(connection, "report_runs", since=since, most=RUNS, **chosen)
    places: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in found:
        places[row["market"], row["interval"]].append(row)
    return [_table(market, interval, results) for (market, interval), results in places.items()]


def _table(market: str, interval: str, results: Sequence[Row]) -> Row:
    runs = list({row["run_id"]: row["checked_at"] for row in results}.items())
    checks: dict[tuple[str, str, str], dict[str, Row]] = defaultdict(dict)
    for row in results:
        if row["expectation"] is not None:
            checks[row["severity"], row["expectation"], row["target"]][row["run_id"]] = row
    lines = [_line(key, by_run, [run_id for run_id, _ in runs]) for key, by_run in checks.items()]
    lines.sort(key=lambda line: (line["severity"] != "critical", -line["failed"], line["expectation"]))
    return {
        "market": market,
        "interval": interval,
        "runs": [{"run_id": run_id, "checked_at": at} for run_id, at in runs],
        "lines": lines,
    }


def _line(key: tuple[str, str, str], by_run: dict[str, Row], runs: Sequence[str]) -> Row:
    severity, expectation, target = key
    cells = [_cell(by_run.get(run_id), severity) for run_id in runs]
    return {
        "severity": severity,
        "expectation": expectation,
        "target": target,
        "cells": cells,
        "failed": len(by_run),
        "tendency": _tendency([cell["count"] for cell in cells]),
    }


def _cell(row: Row | None, severity: str) -> Row:
    if row is None:
        return {"kind": "good", "text": "✓", "count": 0}
    if row["status"] != "failed":
        return {"kind": "unknown", "text": "?", "count": 0}
    kind = "bad" if severity == "critical" else "note"
    return {"kind": kind, "text": str(row["unexpected"] or 0), "count": row["unexpected"] or 0}


def _tendency(counts: Sequence[int]) -> str:
    """The newer half of the runs against the older one."""
    half = len(counts) // 2
    if not half:
        return "–"
    older, newer = sum(counts[:half]), sum(counts[-half:])
    return "rising" if newer > older else "falling" if newer < older else "steady"
