"""Fetch one batch from its source and land it. One bad ticker never costs the batch."""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hypertape.errors import HypertapeError, TransientError
from hypertape.sources import Fetched
from hypertape.steps.fetch import ask_sources
from hypertape.steps.landing import Landing
from hypertape.steps.plan import Batch, RunSpec

REUSE = timedelta(hours=1)
"""A retry within this time fetches only the tickers that failed; later everything is fetched anew."""

_TABLES = ("bars", "rejects", "dividends", "splits")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a ticker has no bars, in a form that travels as JSON."""

    kind: str
    transient: bool
    message: str

    @classmethod
    def of(cls, error: HypertapeError) -> Failure:
        """Describe an error."""
        return cls(type(error).__name__, isinstance(error, TransientError), str(error))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"kind": self.kind, "transient": self.transient, "message": self.message}


def extract(
    batch: Mapping[str, Any],
    *,
    plan_head: Mapping[str, Any],
    landing: str,
    now: datetime,
    attempt: int = 1,
    on_ticker: Callable[[str], None] | None = None,
    dsn: str | None = None,
) -> dict[str, Any]:
    """Fetch a batch's window, land bars, rejects and actions, and return a reference to them.

    With the warehouse's `dsn` the sources' rates and circuit breakers are those of all workers, else of this process.

    The reference holds the batch, the landing root and the tickers that failed, with their errors. On a retry
    (`attempt` > 1) soon after, only those are fetched again. Raises only for a problem of the whole source.
    """
    head, part = RunSpec.from_json(plan_head), Batch.from_json(batch)
    place = Landing(landing, head.run_id, part.index)
    landed = place.read_json("answer") if attempt > 1 else None
    fresh = landed is not None and now - datetime.fromisoformat(landed["at"]) < REUSE
    wanted = [t for t in part.tickers if not fresh or (landed is not None and t in landed["failed"])]
    failed: dict[str, Any] = {}
    if wanted:
        began = clock.perf_counter()
        fetched = ask_sources(head, part, wanted, landing=landing, now=now, dsn=dsn, on_ticker=on_ticker)
        answer = _answer(fetched, landed if fresh else None, now)
        if not head.source.replay:
            answer["asked"] = {"tickers": wanted, "seconds": (clock.perf_counter() - began) / len(wanted)}
        _land(place, fetched, keep=fresh)
        place.write_json("answer", answer)
        failed = answer["failed"]
    return {"batch": part.to_json(), "landing": landing, "failed": failed}


def _answer(fetched: Fetched, before: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    counts = Counter(fetched.bars["ticker"].to_pylist() if len(fetched.bars) else ())
    counts.update(fetched.rejects["ticker"].to_pylist())
    return {
        "at": now.isoformat(),
        "failed": {ticker: Failure.of(error).to_json() for ticker, error in sorted(fetched.failures.items())},
        "fetched": {**(before["fetched"] if before else {}), **counts},
        "counted": {
            **(before["counted"] if before else {}),
            **{t: list(p) for t, p in fetched.counted.items()},
        },
        "short": sorted({*(before["short"] if before else ()), *fetched.short}),
        "served_by": {**(before.get("served_by", {}) if before else {}), **fetched.served_by},
    }


def _land(place: Landing, fetched: Fetched, *, keep: bool) -> None:
    for name in _TABLES:
        table: pa.Table = getattr(fetched, name)
        if keep:
            table = pa.concat_tables([_without(place.read(name), table), table])
        place.write(name, table)


def _without(landed: pa.Table, fresh: pa.Table) -> pa.Table:
    return landed.filter(pc.invert(pc.is_in(landed["ticker"], pc.unique(fresh["ticker"]))))
