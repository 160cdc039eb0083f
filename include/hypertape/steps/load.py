"""Load a landed batch into the warehouse; fail after the work, with the list of tickers that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from hypertape.errors import BatchIncomplete, BatchRefused, HypertapeError, NoData
from hypertape.frame import BAR_SCHEMA
from hypertape.steps.enrich import enrich
from hypertape.steps.extract import Failure, extract
from hypertape.steps.landed_actions import keep_landed_actions
from hypertape.steps.landing import Landing
from hypertape.steps.plan import Batch, RunSpec
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import register_symbols
from hypertape.warehouse.loading.load import LoadRequest, LoadResult, load_bars, note_asked, record_failures
from hypertape.warehouse.loading.stored import series_states

_COUNTS = ("inserted", "updated", "recomputed", "unchanged", "quarantined", "flagged")


def load(
    dsn: str, reference: Mapping[str, Any], *, plan_head: Mapping[str, Any], now: datetime, attempt: int = 1
) -> dict[str, Any]:
    """Load what landed and return the batch's counts, changed span, short and failed tickers as JSON.

    On a retry the failed tickers are fetched and sifted again first. When tickers failed, everything else is stored and
    recorded first; then BatchIncomplete (a retry may help) or BatchRefused (it will not) is raised.
    """
    head = RunSpec.from_json(plan_head)
    reference = fetch_again(dsn, reference, plan_head=plan_head, now=now, attempt=attempt)
    summary = store(dsn, reference, head, now=now, attempt=attempt)
    raise_if_failed(summary["failed"], head)
    return summary


def fetch_again(
    dsn: str, reference: Mapping[str, Any], *, plan_head: Mapping[str, Any], now: datetime, attempt: int
) -> Mapping[str, Any]:
    """On a retry fetch and sift the tickers that failed once more; return the reference to what has landed then."""
    if attempt == 1 or not reference["failed"]:
        return reference
    again = extract(
        reference["batch"],
        plan_head=plan_head,
        landing=reference["landing"],
        now=now,
        attempt=attempt,
        dsn=dsn,
    )
    return enrich(dsn, again, plan_head=plan_head, now=now)


def store(
    dsn: str,
    reference: Mapping[str, Any],
    head: RunSpec,
    *,
    now: datetime,
    attempt: int,
    rereads: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Load what landed, record what failed, and return the summary without raising for tickers.

    `rereads` are the restatements that the load ends. Any other load watches for new ones, unless it restates.
    """
    part = Batch.from_json(reference["batch"])
    place = Landing(reference["landing"], head.run_id, part.index)
    answer = place.read_json("answer") or {}
    with connect(dsn) as connection:
        failed = (
            dict(reference["failed"]) if rereads else _without_silent(connection, head, reference["failed"])
        )
        request = _request(part, place, answer, head, now, attempt, failed, rereads or {})
        keep_landed_actions(connection, head, part, place, now)
        connection.commit()  # a declared split explains what the scale guard would refuse
        results = load_bars(connection, place.read("enriched").select(BAR_SCHEMA.names), request)
        note_asked(connection, request, answer.get("asked"))
        register_symbols(connection, head.market, [r.ticker for r in results if r.inserted])
        record_failures(
            connection,
            {t: failure["message"] for t, failure in failed.items()},
            request,
            {t: failure["kind"] for t, failure in failed.items()},
        )
        connection.commit()
    failed |= {r.ticker: Failure.of(r.refused).to_json() for r in results if r.refused}
    return {**_summary(results), "short": answer.get("short", []), "failed": failed}


def _without_silent(
    connection: psycopg.Connection[Any], head: RunSpec, failed: Mapping[str, Any]
) -> dict[str, Any]:
    """The failures but for those of a stored series of which the vendor has nothing in the window.

    It has answered then: the ticker is delisted or halted, or the vendor has a hole. The gap ledger tells which, and
    the checks say what is missing. Of a ticker that was never stored the name may be wrong, and it stays failed.
    """
    silent = [ticker for ticker, failure in failed.items() if failure["kind"] == NoData.__name__]
    known = series_states(connection, head.market, head.interval, silent) if silent else {}
    return {ticker: failure for ticker, failure in failed.items() if ticker not in known}


def _request(
    part: Batch,
    place: Landing,
    answer: Mapping[str, Any],
    head: RunSpec,
    now: datetime,
    attempt: int,
    failed: Mapping[str, Any],
    rereads: Mapping[str, int],
) -> LoadRequest:
    sifted = place.read_json("sifted") or {}
    return LoadRequest(
        head.market,
        head.interval,
        head.run_id,
        head.source.name,
        part.window,
        now,
        rejects=place.read("refused"),
        fetched=answer.get("fetched", {}),
        duplicates=sifted.get("duplicates", {}),
        expected={t: (expected, expected - got) for t, (expected, got) in answer.get("counted", {}).items()},
        attempt=attempt,
        tickers=[ticker for ticker in part.tickers if ticker not in failed],
        keep_stored=head.mode == "missing",
        keep_others=head.mode == "regular",
        accept_scale=head.mode == "restate",
        reason="restatement" if rereads else head.reason,
        watch=not rereads and head.mode != "restate",
        rereads=rereads,
        served_by=answer.get("served_by", {}),
    )


def raise_if_failed(failed: Mapping[str, Mapping[str, Any]], head: RunSpec) -> None:
    """Raise for failed tickers: BatchIncomplete when one of them may succeed later, else BatchRefused."""
    if not failed:
        return
    lines = "; ".join(f"{ticker}: {failure['message']}" for ticker, failure in sorted(failed.items()))
    kind: type[HypertapeError] = (
        BatchIncomplete if any(failure["transient"] for failure in failed.values()) else BatchRefused
    )
    raise kind(
        f"{len(failed)} of the batch's tickers failed and the others are stored: {lines}",
        market=head.market.code,
        interval=head.interval.value,
    )


def _summary(results: Sequence[LoadResult]) -> dict[str, Any]:
    firsts = [r.first_changed for r in results if r.first_changed]
    lasts = [r.last_changed for r in results if r.last_changed]
    return {
        **{name: sum(getattr(r, name) for r in results) for name in _COUNTS},
        "tickers": len(results),
        "first_changed": min(firsts).isoformat() if firsts else None,
        "last_changed": max(lasts).isoformat() if lasts else None,
    }
