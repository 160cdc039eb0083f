"""Hold what is stored against another source, on demand. Nothing is written but the outcome, in `quality_result`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import pyarrow as pa

from hypertape.calendars import provisional_from
from hypertape.errors import BadInput, HypertapeError, UnknownTicker
from hypertape.frame import BAR_SCHEMA
from hypertape.model import WARNING, Interval, Market, Window
from hypertape.quality.gate import gate
from hypertape.quality.reconciliation import PRESENCE, Comparison, Tolerance, compare
from hypertape.quality.results import NOT_EVALUATED, QualityResult, record, status_of
from hypertape.settings import Settings
from hypertape.sources import SourceConfig
from hypertape.steps.fetch import ask_sources
from hypertape.steps.run_spec import Batch, BatchKind, OnStep, RunSpec, silent
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import read_bars, stored_tickers

SUITE = "reconciliation"


@dataclass(slots=True)
class Reconciled:
    """What came of it: one comparison per column and one of the bars' presence, and the tickers without an answer."""

    run_id: str
    source: str
    window: Window
    tickers: int
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    failed: dict[str, HypertapeError] = field(default_factory=dict)
    refused: int = 0

    @property
    def agrees(self) -> bool:
        """True when nothing compared disagrees."""
        return all(found.disagree == 0 for found in self.comparisons.values())

    @property
    def compared(self) -> int:
        """Bars that either side has: 0 when nothing was there to compare."""
        return self.comparisons[PRESENCE].compared if PRESENCE in self.comparisons else 0

    @property
    def why_nothing(self) -> str:
        """Why nothing was compared."""
        if len(self.failed) == self.tickers:
            return f"{self.source} served no ticker"
        return f"neither the warehouse nor {self.source} has a final bar of these tickers in the window"


def reconcile(
    dsn: str,
    market: Market,
    interval: Interval,
    config: SourceConfig,
    window: Window,
    *,
    tickers: Sequence[str] | None,
    tolerance: Tolerance,
    now: datetime,
    run_id: str,
    settings: Settings,
    on_step: OnStep = silent,
) -> Reconciled:
    """Compare the stored final bars of a window with those of another source, and record what was found.

    Without `tickers` every stored one is compared. Rows of the other source that cannot be bars are left out and
    counted (`refused`); a ticker it cannot serve is in `failed` and takes no batch. Raises BadInput when nothing is
    stored, and UnknownTicker for one that is neither stored nor in the market's file.
    """
    judged = Window(window.start, max(window.start, min(window.end, provisional_from(market, interval, now))))
    with connect(dsn) as connection:
        wanted = _wanted(connection, market, interval, tickers)
        connection.commit()  # nothing is held while a source is waited for
        done = Reconciled(run_id, config.name, judged, len(wanted))
        spec = RunSpec(run_id, market, interval, config, judged)
        for index, first in enumerate(range(0, len(wanted), settings.batch_size)):
            batch = Batch(BatchKind.PLAN, index, wanted[first : first + settings.batch_size], judged)
            _compare(connection, dsn, done, spec, batch, tolerance, settings, now)
            on_step("compare", first + len(batch.tickers), len(wanted))
        record(connection, _results(done, market, interval, tolerance))
        connection.commit()
    return done


def _wanted(
    connection: psycopg.Connection[Any], market: Market, interval: Interval, tickers: Sequence[str] | None
) -> tuple[str, ...]:
    stored = stored_tickers(connection, market, interval)
    if not stored:
        raise BadInput(
            f"No {market.code} {interval.value} bars are stored",
            next_step=f"Load some first: `hypertape sync -m {market.code} -i {interval.value}`.",
        )
    unknown = [ticker for ticker in tickers or () if ticker not in {*stored, *market.by_ticker}]
    if unknown:
        raise UnknownTicker.among(market.code, unknown, stored)
    return tuple(tickers or stored)


def _compare(
    connection: psycopg.Connection[tuple[object, ...]],
    dsn: str,
    done: Reconciled,
    spec: RunSpec,
    batch: Batch,
    tolerance: Tolerance,
    settings: Settings,
    now: datetime,
) -> None:
    fetched = ask_sources(spec, batch, batch.tickers, settings=settings, now=now, dsn=dsn)
    gated = gate(fetched.bars, spec.market, spec.interval, now=now)
    served = [ticker for ticker in batch.tickers if ticker not in fetched.failures]
    stored = read_bars(connection, spec.market, spec.interval, served, window=batch.window)
    connection.commit()
    done.failed |= dict(fetched.failures)
    done.refused += len(gated.rejects) + len(fetched.rejects)
    for name, found in compare(_bars(stored), gated.bars, tolerance).items():
        done.comparisons.setdefault(name, Comparison(name)).add(found)


def _bars(stored: pa.Table) -> pa.Table:
    return stored.select(BAR_SCHEMA.names).cast(BAR_SCHEMA)


def _results(
    done: Reconciled, market: Market, interval: Interval, tolerance: Tolerance
) -> list[QualityResult]:
    return [
        QualityResult(
            done.run_id,
            market.code,
            interval.value,
            SUITE,
            _expectation(found.column),
            _description(found.column, done.source, tolerance),
            WARNING,
            status_of(found.compared, found.disagree),
            done.window,
            target=done.source,
            evaluated=found.compared,
            unexpected=found.disagree,
            sample=tuple(found.sample),
            details={"largest": found.largest, **_more(done, found), **_why(done, found)},
        )
        for found in done.comparisons.values()
    ]


def _more(done: Reconciled, found: Comparison) -> Mapping[str, object]:
    if found.column != PRESENCE:
        return {}
    return {"refused": done.refused, "failed": {ticker: str(error) for ticker, error in done.failed.items()}}


def _why(done: Reconciled, found: Comparison) -> Mapping[str, object]:
    if status_of(found.compared, found.disagree) != NOT_EVALUATED:
        return {}
    return {"why": "no bar is on both sides" if done.compared else done.why_nothing}


def _expectation(column: str) -> str:
    return "same_bars" if column == PRESENCE else f"{column}_agrees"


def _description(column: str, source: str, tolerance: Tolerance) -> str:
    if column == PRESENCE:
        return f"the warehouse and {source} have the same bars"
    return f"{column} is within {100 * (tolerance.of(column) or 0.0):g} % of {source}'s"
