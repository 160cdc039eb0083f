"""What the tasks `extract` and `load` of a bar DAG do with a batch: `run_batch`'s steps, and what they raise."""

from __future__ import annotations

from datetime import datetime

from hypertape.errors import SourceUnavailable
from hypertape.settings import Settings
from hypertape.steps.run_batch import extract, gate, load
from hypertape.steps.run_spec import Batch, BatchResult, Landed, RunSpec, raise_if_failed


def extract_or_raise(
    dsn: str,
    spec: RunSpec,
    batch: Batch,
    *,
    settings: Settings,
    now: datetime,
    attempt: int = 1,
    task: str | None = None,
) -> Landed:
    """What the task `extract` does, in the rounds of workers where the run is shared (`task`: the try's unique name).

    Raises SourceUnavailable, once for all, when the source answered for no ticker.

    The failures are recorded then: there will be no load that does.
    """
    landed = extract(spec, batch, settings=settings, now=now, attempt=attempt, dsn=dsn, task=task)
    if landed.source_away:
        gated = gate(spec, landed, settings=settings, now=now)
        load(dsn, spec, gated, settings=settings, now=now, attempt=attempt)
        causes = dict.fromkeys(failure.cause for failure in landed.failed.values())
        raise SourceUnavailable(
            f"No ticker of {len(batch.tickers)} was served: {'; '.join(causes)}",
            market=spec.market.code,
            interval=spec.interval.value,
            window=batch.window,
        )
    return landed


def load_or_raise(
    dsn: str, spec: RunSpec, landed: Landed, *, settings: Settings, now: datetime, attempt: int = 1
) -> BatchResult:
    """What the task `load` does: load, on a retry after fetching what failed once more.

    Tickers that failed raise at last, when all else is stored: BatchIncomplete (a retry may help) or BatchRefused.
    """
    landed = fetch_again(dsn, spec, landed, settings=settings, now=now, attempt=attempt)
    result = load(dsn, spec, landed, settings=settings, now=now, attempt=attempt)
    raise_if_failed(result.failed, spec, result.tickers)
    return result


def fetch_again(
    dsn: str, spec: RunSpec, landed: Landed, *, settings: Settings, now: datetime, attempt: int
) -> Landed:
    """On a retry fetch and gate the tickers that failed once more, and return what has landed then."""
    if attempt == 1 or not landed.failed:
        return landed
    again = extract(spec, landed.batch, settings=settings, now=now, attempt=attempt, dsn=dsn)
    return gate(spec, again, settings=settings, now=now)
