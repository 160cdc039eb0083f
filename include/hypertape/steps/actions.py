"""Dividends and splits of a market: fetch, keep, and hold the vendor's adjusted closes against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from hypertape.errors import BatchIncomplete, BatchRefused
from hypertape.frame import instant
from hypertape.markets import all_markets, get_market
from hypertape.model import Interval, Window, asked_window
from hypertape.quality.results import NOT_EVALUATED, SAMPLE_KEYS, WARNING, QualityResult, record, status_of
from hypertape.settings import Settings, load_settings
from hypertape.steps.extract import extract
from hypertape.steps.landed_actions import keep_landed_actions
from hypertape.steps.landing import Landing
from hypertape.steps.plan import Batch, RunSpec, plan
from hypertape.warehouse.actions import (
    SPLIT_ADJUSTED,
    Kept,
    adjusted,
    differs_from_vendor,
    tickers_with_actions,
)
from hypertape.warehouse.connect import connect

LOOK_BACK = timedelta(days=400)
"""How far back a run without a start asks: vendors add and correct actions for months."""

TOLERANCE = 2e-3
"""Relative difference between the vendor's adjusted close and the computed one that rounding explains: vendors round
amounts to cents and factors to six digits."""

SUITE = "corporate_actions"

NO_ACTION = "no ticker with daily bars has a dividend or split that stands"
NO_ADJUSTED_CLOSE = "no bar in the window has an adjusted close of its vendor's"
"""Why there was nothing to compare."""

CHANGES = tuple(field.name for field in fields(Kept))
"""What may become of an action, as a run counts it."""


def plan_actions(
    dsn: str,
    market: str | None,
    *,
    run_id: str,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    tickers: Sequence[str] | None = None,
    source: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> list[dict[str, Any]]:
    """Return the batches to ask for as JSON, each with the `head` of its market (without a market: of each).

    Raises what `steps.plan.plan` raises.
    """
    window = asked_window(start, end, earliest=(end or now) - LOOK_BACK, now=now)
    batches: list[dict[str, Any]] = []
    settings = settings or load_settings()
    for code in [market] if market else all_markets():
        head = plan(
            dsn, code, Interval.D1.value, run_id=run_id, data_interval=window.to_json(), exact=True,
            source=_asked(source, code, settings), tickers=tickers, settings=settings,
        )  # fmt: skip
        batches += [
            {**batch, "index": len(batches) + at, "head": head}
            for at, batch in enumerate(head.pop("batches"))
        ]
    return batches


def _asked(source: Mapping[str, Any] | None, market: str, settings: Settings) -> Mapping[str, Any] | None:
    """The source to ask: the one that was named, else the market's first that has actions at all."""
    if (source and source.get("name")) or settings.source:
        return source
    having = [name for name in get_market(market).sources if name in SPLIT_ADJUSTED]
    return {**(source or {}), "name": having[0]} if having else source


def sync_actions(
    dsn: str, batch: Mapping[str, Any], *, now: datetime, settings: Settings | None = None
) -> dict[str, Any]:
    """Fetch the actions of a batch and keep them; return the counts and the failed tickers as JSON.

    The bars of the answer are left alone: they are the bar runs' work, and what an action changes in them is found as a
    restatement there.
    """
    settings = settings or load_settings()
    head = RunSpec.from_json(batch["head"])
    part = Batch.from_json(batch)
    landed = extract(part.to_json(), plan_head=batch["head"], landing=settings.landing, now=now, dsn=dsn)
    place = Landing(settings.landing, head.run_id, part.index)
    with connect(dsn) as connection:
        counts = keep_landed_actions(connection, head, part, place, now)
        connection.commit()
    failed = {t: failure for t, failure in landed["failed"].items() if failure["kind"] != "NoData"}
    return {
        "market": head.market.code,
        "window": part.window.to_json(),
        "tickers": [t for t in part.tickers if t not in failed],
        **counts,
        "failed": failed,
    }


def check_adjusted(
    dsn: str, market: str, tickers: Sequence[str], window: Window, *, run_id: str, now: datetime
) -> QualityResult:
    """Compare the vendor's adjusted closes with those computed from closes and actions; keep the outcome.

    Looks at the tickers that have an action, over the window; a warning where more than TOLERANCE lies between, not
    evaluated where there is nothing to compare.
    """
    of_market = get_market(market)
    evaluated = unexpected = 0
    sample: list[dict[str, Any]] = []
    with connect(dsn) as connection:
        found = tickers_with_actions(connection, of_market, tickers)
        for ticker, source in found:
            series = adjusted(
                connection, of_market, ticker, window, split_adjusted=SPLIT_ADJUSTED.get(source or "")
            )
            far = differs_from_vendor(series, TOLERANCE)
            evaluated += int((~np.isnan(series.adjusted_close)).sum())
            unexpected += int(far.sum())
            sample += [
                {
                    "ticker": ticker,
                    "time": instant(int(series.time[at])).isoformat(),
                    "vendor": float(series.adjusted_close[at]),
                    "computed": float(series.adjusted[at]),
                }
                for at in np.flatnonzero(far)[-2:]
            ]
        status = status_of(evaluated, unexpected)
        details: dict[str, Any] = {"tickers": len(found)}
        if status == NOT_EVALUATED:
            details |= {"why": NO_ADJUSTED_CLOSE if found else NO_ACTION}
        result = QualityResult(
            run_id, market, Interval.D1.value, SUITE, "adjusted_close_reproduced",
            f"adjusted_close is the close times the factors of the later dividends and splits (within {TOLERANCE:.1%})",
            WARNING, status, window, target="adjusted_close", evaluated=evaluated, unexpected=unexpected,
            sample=tuple(sample[:SAMPLE_KEYS]), details=details, checked_at=now,
        )  # fmt: skip
        record(connection, [result])
        connection.commit()
    return result


def finish(dsn: str, synced: Sequence[Mapping[str, Any]], *, run_id: str, now: datetime) -> dict[str, Any]:
    """Check the markets of a run's batches; return the sums, the checks and the failed tickers as JSON."""
    total: dict[str, Any] = {
        f"{table}_{what}": sum(batch[f"{table}_{what}"] for batch in synced)
        for table in ("dividends", "splits")
        for what in CHANGES
    }
    checks = {}
    for market in dict.fromkeys(batch["market"] for batch in synced):
        tickers = [ticker for batch in synced if batch["market"] == market for ticker in batch["tickers"]]
        window = _fetched(batch for batch in synced if batch["market"] == market)
        checked = check_adjusted(dsn, market, tickers, window, run_id=run_id, now=now)
        checks[market] = {
            "evaluated": checked.evaluated,
            "differing": checked.unexpected,
            "status": checked.status,
            "why": checked.details.get("why"),
        }
    failed = {ticker: failure for batch in synced for ticker, failure in batch["failed"].items()}
    return {**total, "checks": checks, "failed": failed}


def _fetched(synced: Iterable[Mapping[str, Any]]) -> Window:
    """The window that was asked for: all batches of a market share it."""
    windows = [Window.from_json(batch["window"]) for batch in synced]
    return Window(min(w.start for w in windows), max(w.end for w in windows))


def raise_if_failed(done: Mapping[str, Any]) -> None:
    """Raise for failed tickers: BatchIncomplete when one of them may succeed later, else BatchRefused."""
    failed = done["failed"]
    if failed:
        lines = "; ".join(f"{ticker}: {failure['message']}" for ticker, failure in sorted(failed.items()))
        transient = any(failure["transient"] for failure in failed.values())
        raise (BatchIncomplete if transient else BatchRefused)(
            f"{len(failed)} tickers failed and the actions of the others are kept: {lines}"
        )
