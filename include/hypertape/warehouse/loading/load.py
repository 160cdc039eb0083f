"""The load contract: a clean bar frame becomes stored bars, in one transaction, writing only what differs.

Under an advisory lock per series the stored bars of the frame's span are read as arrays and compared. Where nothing
differs nothing is written. Where something does, the neighbours are read too, the indicators are computed over the
merged series, and the affected rows are written (`write`). In the same transaction former values of final bars go to
`bar_revision`, changed ranges to `rollup_pending`, refused rows to `quarantine`, and each ticker's counts to `load`
(`load_ledger`), and what a vendor changed of its own bars to `restatement` (`load_restatements`).
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import pyarrow as pa

from hypertape.errors import SuspectScale, UnknownTicker
from hypertape.frame import Bars, empty_frame, split_series
from hypertape.queries import query
from hypertape.warehouse.loading.batch import LoadRequest, LoadResult, SeriesLoad
from hypertape.warehouse.loading.ledgers import (
    close_loads,
    keep_flags,
    keep_revisions,
    keep_series,
    note_pending,
    open_loads,
    quarantine,
    record_failures,
    record_skipped,
)
from hypertape.warehouse.loading.merge import join_bars, merge, writes
from hypertape.warehouse.loading.restatements import find_stand_ins, find_unread, note_restatements
from hypertape.warehouse.loading.scale import implausible, refused_scale
from hypertape.warehouse.loading.stored import (
    SeriesState,
    adopt_series,
    read_neighbours,
    read_spans,
    series_states,
)
from hypertape.warehouse.loading.write import (
    ChunksInTheWay,
    can_open,
    chunks_in_the_way,
    opened,
    write_rows,
)
from hypertape.warehouse.locks import lock_series
from hypertape.warehouse.symbology import former_names

__all__ = [
    "LoadRequest",
    "LoadResult",
    "load_bars",
    "note_asked",
    "record_failures",
    "record_skipped",
    "refused_scales",
]

Connection = psycopg.Connection[Any]

_SEEN = ("close", "volume")
"""What indicators, and the guard of the scale, see of the bars before those of a load."""


def load_bars(connection: Connection, bars: pa.Table, request: LoadRequest) -> list[LoadResult]:
    """Load a normalised, gated bar frame and return one result per ticker of the frame, the rejects and the request.

    One transaction: an error or a kill leaves the warehouse as it was. A ticker whose prices look scaled is refused
    whole (its result carries SuspectScale) and the others load. Raises what `translate_errors` raises.

    Where a good part of a compressed chunk changes, the chunk is opened before and closed after it, in transactions of
    their own (not within a transaction of the caller's).
    """
    try:
        return _load_opened(connection, bars, request)
    except psycopg.errors.UniqueViolation:
        # Another program, which takes no locks of ours, wrote one of these bars just now.
        return _load_opened(connection, bars, request)


def _load_opened(connection: Connection, bars: pa.Table, request: LoadRequest) -> list[LoadResult]:
    """Load, with the compressed chunks opened that are in the way."""
    try:
        return _load(connection, bars, request, open_first=can_open(connection))
    except ChunksInTheWay as found:
        with opened(connection, found.chunks):
            return _load(connection, bars, request, open_first=False)


def _load(
    connection: Connection, bars: pa.Table, request: LoadRequest, *, open_first: bool
) -> list[LoadResult]:
    started = clock.perf_counter()
    with connection.transaction():
        connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        batch = _open(bars, request)
        tickers = [entry.ticker for entry in batch]
        lock_series(connection, request.market.code, request.interval.value, tickers)
        states = series_states(connection, request.market, request.interval, tickers)
        _refuse_former(connection, request, batch, states)
        _compare(connection, request, batch, states)
        if open_first and (chunks := chunks_in_the_way(connection, request, batch)):
            raise ChunksInTheWay(chunks)
        find_unread(connection, request, batch, states)
        open_loads(connection, request, batch)
        keep_revisions(connection, request, batch)
        written = write_rows(connection, request, batch)
        keep_series(connection, request, batch, states)
        note_pending(connection, request, batch)
        note_restatements(connection, request, batch, states)
        counts = (written, quarantine(connection, request, batch), keep_flags(connection, request, batch))
        results = [_result(entry, *(count.get(entry.ticker, 0) for count in counts)) for entry in batch]
        close_loads(connection, results, clock.perf_counter() - started)
    return results


def refused_scales(connection: Connection, bars: pa.Table, request: LoadRequest) -> dict[str, SuspectScale]:
    """Say of which tickers of a normalised, gated frame a load would refuse the prices; nothing is written."""
    with connection.transaction(force_rollback=True):
        batch = _open(bars, request)
        tickers = [entry.ticker for entry in batch]
        states = series_states(connection, request.market, request.interval, tickers)
        _compare(connection, request, batch, states)
        return {entry.ticker: entry.refused for entry in batch if isinstance(entry.refused, SuspectScale)}


def note_asked(
    connection: Connection, request: LoadRequest, tickers: Sequence[str], *, seconds: float, calls: int
) -> None:
    """Note in `load` how often the source was asked for some tickers, and each one's share of the seconds it took."""
    parameters = {
        "run_id": request.run_id,
        "market": request.market.code,
        "interval": request.interval.value,
        "attempt": request.attempt,
        "window_start": request.window.start,
        "tickers": list(tickers),
        "seconds": seconds,
        "calls": calls,
    }
    connection.execute(query("note_asked_seconds"), parameters)


def _open(bars: pa.Table, request: LoadRequest) -> list[SeriesLoad]:
    """Return every ticker of the load, sorted: locks are always taken in this order."""
    found = dict(split_series(bars if len(bars) else empty_frame()))
    rejected = set(request.rejects["ticker"].to_pylist()) if request.rejects is not None else set()
    tickers = sorted(found.keys() | rejected | set(request.tickers))
    return [SeriesLoad(ticker, found.get(ticker, Bars.empty())) for ticker in tickers]


def _refuse_former(
    connection: Connection,
    request: LoadRequest,
    batch: Sequence[SeriesLoad],
    states: Mapping[str, SeriesState],
) -> None:
    """Refuse the tickers that were renamed since they were asked for: a second series would begin under the old name.

    To be called under the locks of the series, which a rename takes too.
    """
    new = [entry.ticker for entry in batch if entry.ticker not in states]
    former = former_names(connection, request.market, new) if new else {}
    for entry in batch:
        if entry.ticker in former:
            entry.refused = UnknownTicker(
                f"{former[entry.ticker]}, which is later than this was asked for",
                next_step="Run it again: it asks by the new name.",
                market=request.market.code,
                interval=request.interval.value,
            )


def _compare(
    connection: Connection, request: LoadRequest, batch: list[SeriesLoad], states: dict[str, SeriesState]
) -> None:
    """Find what differs; for the series where something does, read the neighbours and compute the rows to write."""
    spans = {entry.ticker: entry.span for entry in batch if len(entry.incoming)}
    stored = read_spans(connection, request.market, request.interval, spans)
    if foreign := [ticker for ticker in stored if ticker not in states]:
        states |= adopt_series(connection, request.market, request.interval, foreign)
    own = find_stand_ins(connection, request, batch, states)
    for entry in batch:
        if len(entry.incoming) and not entry.refused:
            there = stored.get(entry.ticker, Bars.empty())
            entry.refused = implausible(request, entry, there)
            if entry.refused:
                continue
            entry.choose_fresh(request, there, states.get(entry.ticker), own.get(entry.ticker))
            entry.merged = merge(there, entry.fresh)
    touched = [entry for entry in batch if entry.merged is not None and entry.merged.touches]
    spans = {entry.ticker: entry.span for entry in touched if entry.ticker in states}
    neighbours = read_neighbours(
        connection, request.market, request.interval, states, spans, before_columns=_SEEN
    )
    _find_writes(connection, request, touched, states, stored, neighbours)
    for entry in batch:
        entry.note_finalised(request, states.get(entry.ticker))


def _find_writes(
    connection: Connection,
    request: LoadRequest,
    touched: Sequence[SeriesLoad],
    states: Mapping[str, SeriesState],
    stored: Mapping[str, Bars],
    neighbours: Mapping[str, tuple[Bars, Bars]],
) -> None:
    """Compute the rows to write of the series where something differs, but of those whose prices look scaled."""
    wholes: dict[str, Bars] = {}
    for entry in touched:
        before, after = neighbours.get(entry.ticker, (Bars.empty(), Bars.empty()))
        whole = join_bars(before, stored.get(entry.ticker, Bars.empty()), after)
        entry.refused = refused_scale(connection, request, entry, whole, states.get(entry.ticker))
        if entry.refused:
            entry.merged = None
            continue
        if len(before) or len(after):
            entry.merged = merge(whole, entry.fresh)
        wholes[entry.ticker] = whole
    loading = [entry for entry in touched if entry.merged is not None]
    for entry, found in zip(loading, writes([e.merged for e in loading if e.merged]), strict=True):
        entry.writes = found
        entry.note_restated(wholes[entry.ticker], states.get(entry.ticker))


def _result(entry: SeriesLoad, written: int, quarantined: int, flagged: int) -> LoadResult:
    inserted = int(entry.writes.added.sum()) if entry.writes else 0
    updated = int(entry.writes.changed.sum()) if entry.writes else 0
    span = entry.changed_span
    return LoadResult(
        ticker=entry.ticker,
        load_id=entry.load_id,
        inserted=inserted,
        updated=updated,
        recomputed=written - inserted - updated,
        unchanged=0 if entry.refused else len(entry.incoming) - inserted - updated,
        quarantined=quarantined,
        flagged=flagged,
        first_changed=span[0] if span else None,
        last_changed=span[1] if span else None,
        refused=entry.refused,
        restated=len(entry.restated),
    )
