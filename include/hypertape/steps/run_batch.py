"""One batch on its way from its source to the table: extract → gate → load.

Every run that asks a source goes this way: the tasks of a DAG call the three one by one (`batch_tasks`), everything
else `run_batch`.
Between them lie Parquet files in the landing area: bars, rejects and actions (`sources.TABLES`) as they were fetched,
`clean` and `refused` as the gate parted them.
"""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from hypertape.quality.gate import Gated
from hypertape.quality.gate import gate as judge
from hypertape.rows import RowCount, require_all
from hypertape.settings import Settings
from hypertape.sources import TABLES, Fetched, Limits, calls_for
from hypertape.steps.failures import Failure, Failures
from hypertape.steps.fetch import ask_sources, told_from_outage
from hypertape.steps.landing import Landing, Received, keep_landed_actions
from hypertape.steps.run_spec import Batch, BatchResult, Counts, Landed, RunSpec
from hypertape.steps.share import ask_shared
from hypertape.warehouse.connect import connect
from hypertape.warehouse.ledger import register_symbols
from hypertape.warehouse.loading.load import (
    LoadRequest,
    LoadResult,
    load_bars,
    note_asked,
    record_failures,
    record_skipped,
)
from hypertape.warehouse.loading.stored import series_states

Connection = psycopg.Connection[Any]
Guard = Callable[[Connection], None]
"""Called in the transaction of a load; what it raises stops it."""

REUSE = timedelta(hours=1)
"""A retry within this time fetches only the tickers that failed; later everything is fetched anew."""


def run_batch(
    dsn: str,
    spec: RunSpec,
    batch: Batch,
    *,
    settings: Settings,
    now: datetime,
    attempt: int = 1,
    rereads: Mapping[str, int] | None = None,
    guard: Guard | None = None,
) -> BatchResult:
    """Fetch a batch, gate it, load it, and return what came of it. Tickers that failed are in the result.

    `rereads` are the restatements that the load ends, by ticker. `guard` is called in the transaction that writes, and
    what it raises stops it. Raises only for a problem of the whole source or of the warehouse.
    """
    landed = extract(spec, batch, settings=settings, now=now, attempt=attempt, dsn=dsn)
    landed = gate(spec, landed, settings=settings, now=now)
    return load(dsn, spec, landed, settings=settings, now=now, attempt=attempt, rereads=rereads, guard=guard)


def extract(
    spec: RunSpec,
    batch: Batch,
    *,
    settings: Settings,
    now: datetime,
    attempt: int = 1,
    on_ticker: Callable[[str], None] | None = None,
    dsn: str | None = None,
    task: str | None = None,
) -> Landed:
    """Fetch a batch's window and land bars, rejects and actions.

    With the warehouse's `dsn` the sources' rates and circuit breakers are those of all workers, else of this process.
    `task`, the unique name of a try, lets a run of the schedule share its round with workers (`share`).
    On a retry (`attempt` > 1) soon after, only what failed is fetched again. Raises only for a problem of the source.
    """
    place = Landing(settings.landing, spec.run_id, batch.name)
    before = Received.read(place) if attempt > 1 else None
    if before is not None and now - before.at >= REUSE:
        before = None
    wanted = [ticker for ticker in batch.tickers if before is None or ticker in before.failed]
    if not wanted:
        return Landed(batch)
    began = clock.perf_counter()
    left: tuple[str, ...] = ()

    def ask(tickers: Sequence[str]) -> Fetched:
        return ask_sources(spec, batch, tickers, settings=settings, now=now, dsn=dsn, on_ticker=on_ticker)

    if dsn is not None and task is not None and spec.shared:
        fetched, left = ask_shared(dsn, spec, batch, wanted, settings=settings, now=now, name=task, ask=ask)
        wanted = [ticker for ticker in wanted if ticker not in left]
    else:
        fetched = ask(wanted)
    seconds = (clock.perf_counter() - began) / max(1, len(wanted))
    if dsn is not None and wanted:
        fetched = told_from_outage(fetched, spec, batch, wanted, settings=settings, now=now, dsn=dsn)
    received = Received.of(fetched, before, now)
    received = replace(received, left=(*received.left, *left))
    if not spec.source.replay:
        received = replace(received, asked=tuple(wanted), seconds=seconds)
    for name in TABLES:
        table: pa.Table = getattr(fetched, name)
        place.write(name, table if before is None else _over(place.read(name), table))
    place.write_json("answer", received.to_json())
    return Landed(batch, received.failed)


def gate(spec: RunSpec, landed: Landed, *, settings: Settings, now: datetime) -> Landed:
    """Part what landed into `clean` bars and `refused` rows, those for quarantine."""
    place = Landing(settings.landing, spec.run_id, landed.batch.name)
    gated = judge(place.read("bars"), spec.market, spec.interval, now=now)
    refused = pa.concat_tables([place.read("rejects"), gated.rejects])
    received = Received.read(place) or Received(now)
    _require_all_rows(received, gated, refused)
    place.write("clean", gated.bars)
    place.write("refused", refused)
    place.write_json("gated", {"duplicates": gated.duplicates})
    return Landed(landed.batch, received.failed)


def _require_all_rows(received: Received, gated: Gated, refused: pa.Table) -> None:
    """Account for the batch's rows, of those that came in as the source counted them. Raises RowsLost."""
    came = sum(received.rows.values(), start=RowCount())
    duplicates = came.duplicates + sum(gated.duplicates.values())
    by_rule = Counter(refused["rule"].to_pylist())
    count = RowCount(came.rows_in, len(gated.bars), duplicates, by_rule, came.outside)
    require_all({"the batch": count}, "The gate")


def load(
    dsn: str,
    spec: RunSpec,
    landed: Landed,
    *,
    settings: Settings,
    now: datetime,
    attempt: int = 1,
    rereads: Mapping[str, int] | None = None,
    guard: Guard | None = None,
) -> BatchResult:
    """Load what landed, record what failed, and return what came of it without raising for tickers.

    `rereads` are the restatements that the load ends. Any other load watches for new ones, unless it restates.
    """
    batch = landed.batch
    place = Landing(settings.landing, spec.run_id, batch.name)
    received = Received.read(place) or Received(now)
    with connect(dsn) as connection:
        failed = dict(landed.failed) if rereads else _without_silent(connection, spec, landed.failed)
        unloaded = {*failed, *received.left}
        request = _request(batch, place, received, spec, now, attempt, unloaded, rereads or {})
        keep_landed_actions(connection, spec, batch, settings=settings, now=now)
        connection.commit()  # a declared split explains what the scale guard would refuse
        if guard is not None:
            guard(connection)
        results = load_bars(connection, place.read("clean"), request)
        if received.asked:
            calls = _calls(request, received, settings)
            note_asked(connection, request, received.asked, seconds=received.seconds, calls=calls)
        register_symbols(connection, spec.market, [r.ticker for r in results if r.inserted])
        record_failures(
            connection,
            {ticker: failure.message for ticker, failure in failed.items()},
            request,
            {ticker: failure.kind for ticker, failure in failed.items()},
        )
        record_skipped(connection, received.left, request)
        connection.commit()
    failed |= {r.ticker: Failure.of(r.refused) for r in results if r.refused}
    return _result(results, received.short, failed)


def _over(landed: pa.Table, fresh: pa.Table) -> pa.Table:
    """What landed, with the rows of some tickers replaced."""
    kept = landed.filter(pc.invert(pc.is_in(landed["ticker"], pc.unique(fresh["ticker"]))))
    return pa.concat_tables([kept, fresh])


def _without_silent(connection: Connection, spec: RunSpec, failed: Failures) -> dict[str, Failure]:
    """The failures but for those of a stored series of which the vendor has nothing in the window.

    It has answered then: the ticker is delisted or halted, or the vendor has a hole. The gap ledger tells which, and
    the checks say what is missing. Of a ticker that was never stored the name may be wrong, and it stays failed.
    """
    silent = [ticker for ticker, failure in failed.items() if failure.kind == "NoData"]
    known = series_states(connection, spec.market, spec.interval, silent) if silent else {}
    return {ticker: failure for ticker, failure in failed.items() if ticker not in known}


def _request(
    batch: Batch,
    place: Landing,
    received: Received,
    spec: RunSpec,
    now: datetime,
    attempt: int,
    unloaded: Collection[str],
    rereads: Mapping[str, int],
) -> LoadRequest:
    gated = place.read_json("gated") or {}
    return LoadRequest(
        spec.market,
        spec.interval,
        spec.run_id,
        spec.source.name,
        batch.window,
        now,
        rejects=place.read("refused"),
        fetched=received.fetched,
        duplicates=gated.get("duplicates", {}),
        expected={t: (expected, expected - got) for t, (expected, got) in received.counted.items()},
        answered_until=received.answered_until,
        attempt=attempt,
        tickers=[ticker for ticker in batch.tickers if ticker not in unloaded],
        keep_stored=spec.mode == "missing",
        keep_others=spec.mode == "regular",
        accept_scale=spec.mode == "restate",
        reason="restatement" if rereads else spec.reason,
        watch=not rereads and spec.mode != "restate",
        rereads=rereads,
        served_by=received.served_by,
    )


def _calls(request: LoadRequest, received: Received, settings: Settings) -> int:
    """The requests that the source took for what it was asked for."""
    bars = max((expected for expected, _ in request.expected.values()), default=1)
    return calls_for(
        request.source,
        request.interval,
        request.window,
        request.now,
        Limits.of(settings),
        bars,
        len(received.asked),
    )


def _result(results: Sequence[LoadResult], short: tuple[str, ...], failed: Failures) -> BatchResult:
    firsts = [r.first_changed for r in results if r.first_changed]
    lasts = [r.last_changed for r in results if r.last_changed]
    counts = [
        Counts(r.inserted, r.updated, r.recomputed, r.unchanged, r.quarantined, r.flagged) for r in results
    ]
    return BatchResult(
        sum(r.refused is None for r in results),
        sum(counts, start=Counts()),
        short,
        failed,
        min(firsts, default=None),
        max(lasts, default=None),
    )
