"""Keep the dividends and splits that landed with a batch, and withdraw those its sources no longer report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import psycopg
import pyarrow as pa

from hypertape.model import Interval
from hypertape.steps.landing import Landing
from hypertape.steps.plan import Batch, RunSpec
from hypertape.warehouse.actions import VALUES, Answer, Span, keep_actions


def keep_landed_actions(
    connection: psycopg.Connection[Any], head: RunSpec, part: Batch, place: Landing, now: datetime
) -> dict[str, int]:
    """Keep the actions of a landed answer and return the counts (`splits_new`, `dividends_withdrawn`, …).

    The caller commits.
    """
    answer = _answer(head, part, place.read_json("answer") or {}, place.read("bars"), now)
    counts: Counter[str] = Counter()
    for table in VALUES:
        kept = keep_actions(connection, head.market, table, place.read(table), answer)
        counts.update({f"{table}_{what}": count for what, count in asdict(kept).items()})
    return dict(counts)


def _answer(head: RunSpec, part: Batch, landed: Mapping[str, Any], bars: pa.Table, now: datetime) -> Answer:
    """Whose word it is, and of which tickers it is whole: those that neither failed nor came short, of daily bars.

    Minutes and hours come by parts, of which a vendor may skip one without an error.
    """
    served_by = landed.get("served_by", {})
    sources = {ticker: served_by.get(ticker, head.source.name) for ticker in part.tickers}
    doubtful = {*landed.get("failed", part.tickers), *landed.get("short", ())}
    spans = _spans(bars) if head.interval is Interval.D1 else {}
    complete = {ticker: span for ticker, span in spans.items() if ticker not in doubtful}
    return Answer(head.run_id, now, part.window, sources, complete, replayed=bool(head.source.replay))


def _spans(bars: pa.Table) -> dict[str, Span]:
    """The times of each ticker's first and last bar."""
    found = bars.group_by("ticker").aggregate([("time", "min"), ("time", "max")])
    return {row["ticker"]: (row["time_min"], row["time_max"]) for row in found.to_pylist()}
