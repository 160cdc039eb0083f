"""What the report of one run shows, gathered from the ledgers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from hypertape.errors import BadInput
from hypertape.markets import all_markets
from hypertape.model import CRITICAL, EXPLAINED, WARNING, Interval
from hypertape.quality.results import (
    FAILED,
    NOT_EVALUATED,
    PASSED,
    QualityResult,
    results_of,
)
from hypertape.quality.rules import RULES, Rule
from hypertape.quality.scope import Scope, names_for
from hypertape.queries import query
from hypertape.reports.verdict import answers, said
from hypertape.warehouse.findings import Finding, headline, open_findings
from hypertape.warehouse.ledger import database_now

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

MOST = 200
"""Rows of one list in a report; what is left out is counted, and the report says how to query it."""

RESTATED_COLUMNS = ("open", "high", "low", "close", "volume", "adjusted_close")
_MISSING_RULES = ("sessions_complete", "sessions_covered", "sessions_after_last")


def gather_run(connection: Connection, run_id: str) -> Row:
    """Everything the template `run.html` needs. Raises BadInput for an unknown run."""
    loads = rows(connection, "report_loads", run_id=run_id)
    results = results_of(connection, run_id)
    if not loads and not results:
        raise BadInput(
            f"No run {run_id!r} in the ledger", next_step="See `select distinct run_id from load`."
        )
    refused = rows(connection, "report_quarantine", run_id=run_id, most=MOST)
    flagged = rows(connection, "report_flags", run_id=run_id, most=MOST)
    places = sorted(
        {(load["market"], load["interval"]) for load in loads} | {(r.market, r.interval) for r in results}
    )
    at: Row = {
        "markets": sorted({place[0] for place in places}),
        "intervals": sorted({place[1] for place in places}),
    }
    gaps = rows(connection, "report_gaps", since=None, **at)
    early = sum(row["early"] for row in gaps if row["reason"] not in EXPLAINED)
    return {
        "run_id": run_id,
        "synthetic": [load["ticker"] for load in loads if load["source"] == "sample"],
        "sources": sorted({load["source"] for load in loads}),
        "scopes": [_scope_line(place, loads, results) for place in places],
        "verdict": said(headline(_found(connection, places))),
        "answers": answers(loads, results, sum(load["quarantined"] for load in loads), early),
        "loads": loads[:MOST],
        "loads_total": len(loads),
        "totals": _totals(loads),
        "critical": [r for r in results if r.severity == CRITICAL and r.status in (PASSED, FAILED)],
        "warnings": [r for r in results if r.severity == WARNING and r.status in (PASSED, FAILED)],
        "idle": [r for r in results if r.status == NOT_EVALUATED and not r.did_not_run],
        "broken": [result for result in results if result.did_not_run],
        "quarantine": refused,
        "quarantine_total": refused[0]["total"] if refused else 0,
        "flags": flagged,
        "flags_total": flagged[0]["total"] if flagged else 0,
        "revisions": _revisions(connection, run_id),
        "missing": [found for result in results for found in _missing(connection, result)],
        "pending": rows(connection, "report_pending", **at),
        "gaps": gaps,
        "seconds": {
            "load": sum(load["seconds"] for load in loads),
            "checks": sum(r.seconds for r in results),
        },
        "checked_at": max((r.checked_at for r in results if r.checked_at), default=None),
        "code_version": ", ".join(sorted({load["code_version"] for load in loads})),
    }


def _found(connection: Connection, places: Iterable[tuple[str, str]]) -> list[Finding]:
    """The open findings of some places, and of what is derived from them."""
    wanted = {
        (market, level.value)
        for market, interval in places
        for level in Interval
        if level.base == Interval(interval).base
    }
    found = open_findings(
        connection, database_now(connection), markets=sorted({market for market, _ in wanted})
    )
    return [
        each
        for each in found
        if each.market is None or each.interval is None or (each.market, each.interval) in wanted
    ]


def rows(connection: Connection, name: str, **parameters: Any) -> list[Row]:
    """The rows of a report query, as dicts."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(name), parameters).fetchall()


def _scope_line(place: tuple[str, str], loads: Sequence[Row], results: Sequence[QualityResult]) -> Row:
    market, interval = place
    known = all_markets().get(market)
    spans = [
        (r.window.start, r.window.end)
        for r in results
        if (r.market, r.interval) == place and r.suite != "rollups"
    ]
    spans += [(x["window_start"], x["window_end"]) for x in loads if (x["market"], x["interval"]) == place]
    return {
        "market": market,
        "title": known.title if known else market,
        "interval": interval,
        "start": min((start for start, _ in spans), default=None),
        "end": max((end for _, end in spans), default=None),
    }


def _totals(loads: Iterable[Row]) -> Row:
    names = (
        "fetched",
        "inserted",
        "updated",
        "recomputed",
        "unchanged",
        "quarantined",
        "duplicates",
        "expected",
        "missing",
    )
    loads = list(loads)
    counted = {name: sum(load[name] or 0 for load in loads) for name in names}
    statuses = [load["status"] for load in loads]
    return {**counted, **{status: statuses.count(status) for status in ("loaded", "failed", "skipped")}}


def _revisions(connection: Connection, run_id: str) -> Row:
    """The former values of restated bars beside what is stored now."""
    former = rows(connection, "report_revisions", run_id=run_id, most=MOST)
    stored: dict[tuple[Any, ...], Row] = {}
    for market, interval in {(row["market"], row["interval"]) for row in former}:
        stored |= _stored(
            connection,
            market,
            interval,
            [r for r in former if (r["market"], r["interval"]) == (market, interval)],
        )
    keys = [(row["market"], row["interval"], row["ticker"], row["time"]) for row in former]
    shown = [_before_and_after(row, stored.get(key, {})) for key, row in zip(keys, former, strict=True)]
    tickers = rows(connection, "report_restated", run_id=run_id)
    for row in tickers:
        place = (row["market"], row["interval"], row["ticker"])
        ours = [bar for bar in shown if (bar["market"], bar["interval"], bar["ticker"]) == place]
        row["columns"] = list(dict.fromkeys(name for bar in ours for name, _, _ in bar["changes"]))
    return {"rows": shown, "tickers": tickers[:MOST], "total": former[0]["total"] if former else 0}


def _stored(
    connection: Connection, market: str, interval: str, bars: Sequence[Row]
) -> dict[tuple[Any, ...], Row]:
    known = all_markets().get(market)
    if known is None:
        return {}
    relation = sql.Identifier("bars", known.relation(Interval(interval)))
    parameters = {"tickers": [bar["ticker"] for bar in bars], "times": [bar["time"] for bar in bars]}
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query("report_bars").format(relation=relation), parameters).fetchall()
    return {(market, interval, bar["ticker"], bar["time"]): bar for bar in found}


def _before_and_after(former: Row, stored: Row) -> Row:
    changed = [name for name in RESTATED_COLUMNS if name in stored and stored[name] != former[name]]
    return {**former, "changes": [(name, former[name], stored[name]) for name in changed]}


def _missing(connection: Connection, result: QualityResult) -> list[Row]:
    """Sessions still without a bar, by ticker, for each completeness rule that found some."""
    market = all_markets().get(result.market)
    if result.expectation not in _MISSING_RULES or result.status != FAILED or market is None:
        return []
    rule: Rule = next(rule for rule in RULES if rule.name == result.expectation)
    at = result.checked_at or result.window.end
    names = names_for(Scope(market, Interval(result.interval), result.window, result.run_id, at), rule)
    statement = query("report_missing").format(
        rows=query("quality_rows").format(**names),
        rule=query(rule.query_name).format(**names),
        market=names["market"],
        interval=names["interval"],
        most=sql.Literal(MOST),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        found: list[Mapping[str, Any]] = cursor.execute(statement).fetchall()  # type: ignore[assignment]
    if not found:
        return []
    return [
        {
            "rule": rule.name,
            "description": rule.description,
            "rows": found,
            **{k: found[0][k] for k in ("tickers", "total")},
        }
    ]
