"""The load contract: a clean bar frame becomes stored bars, in one transaction, writing only what differs.

Under an advisory lock per series the stored bars of the frame's span are read as arrays and compared. Where nothing
differs nothing is written. Where something does, the neighbours are read too, the indicators are computed over the
merged series, and the affected rows go in by one of three ways: COPY straight into the relation (many new bars), arrays
in one INSERT (few rows), or COPY into a staging table and the same INSERT (many rows that exist). Former values of
final
bars go to `bar_revision`, changed ranges to `rollup_pending`, refused rows to `quarantine`, and each ticker's counts to
`load`.
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from hypertape import __version__
from hypertape.calendars import bar_ends
from hypertape.errors import HypertapeError, SuspectScale
from hypertape.frame import TIME_TYPE, Bars, empty_frame, instant, micros, split_series
from hypertape.model import STORED_INDICATOR_COLUMNS, VALUE_COLUMNS, Interval, Market, Window
from hypertape.queries import query
from hypertape.warehouse.connect import translate_errors
from hypertape.warehouse.locks import lock_series
from hypertape.warehouse.merge import Merged, Writes, guard_scale, join_bars, merge, writes
from hypertape.warehouse.stored import SeriesState, read_neighbours, read_stored, relation, series_states
from hypertape.warehouse.wire import FloatArray, IntArray, TimeArray, array_cursor, copy_in, repeat_strings

Connection = psycopg.Connection[Any]

ARRAY_LIMIT = 10_000
"""Up to this many rows one INSERT from arrays is the fastest way in (measured); above it, COPY is."""

_WRITE_COLUMNS = ("ticker", "time", *VALUE_COLUMNS, *STORED_INDICATOR_COLUMNS, "load_id")


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is loaded beside the bars: where it comes from and what its source said.

    `rejects` (REJECT_SCHEMA) go to quarantine; `fetched` counts the source's rows per ticker before the gate; `now`
    (UTC)
    decides which bars are still open.
    """

    market: Market
    interval: Interval
    run_id: str
    source: str
    window: Window
    now: datetime
    rejects: pa.Table | None = None
    fetched: Mapping[str, int] = field(default_factory=dict)
    duplicates: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # bars expected, missing
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one ticker's load did. `first_changed` and `last_changed` (UTC) span the bars whose prices changed."""

    ticker: str
    load_id: int
    inserted: int = 0
    updated: int = 0
    recomputed: int = 0
    unchanged: int = 0
    quarantined: int = 0
    first_changed: datetime | None = None
    last_changed: datetime | None = None
    refused: SuspectScale | None = None


@dataclass(slots=True)
class _Series:
    """One ticker on its way through the load."""

    ticker: str
    incoming: Bars
    merged: Merged | None = None
    writes: Writes | None = None
    refused: SuspectScale | None = None
    load_id: int = 0

    @property
    def span(self) -> tuple[int, int]:
        return int(self.incoming.time[0]), int(self.incoming.time[-1])


def load_bars(connection: Connection, bars: pa.Table, request: LoadRequest) -> list[LoadResult]:
    """Load a normalised, gated bar frame and return one result per ticker of the frame and of the rejects.

    One transaction: an error or a kill leaves the warehouse as it was. A ticker whose prices look scaled is refused
    whole
    (its result carries SuspectScale) and the others load. Raises what `translate_errors` raises.
    """
    started = clock.perf_counter()
    with translate_errors(connection), connection.transaction():
        connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        batch = _open(bars, request)
        lock_series(
            connection, request.market.code, request.interval.value, [entry.ticker for entry in batch]
        )
        states = series_states(
            connection, request.market, request.interval, [entry.ticker for entry in batch]
        )
        _compare(connection, request, batch, states)
        _record_loads(connection, request, batch, started)
        _revise(connection, request, batch, states)
        written = _write(connection, request, batch)
        _keep_series(connection, request, batch, states)
        _note_pending(connection, request, batch)
        quarantined = _quarantine(connection, request, batch)
        results = [
            _result(entry, written.get(entry.ticker, 0), quarantined.get(entry.ticker, 0)) for entry in batch
        ]
        _count_loads(connection, results, clock.perf_counter() - started)
    return results


def record_failures(
    connection: Connection, failures: Mapping[str, HypertapeError | str], request: LoadRequest
) -> None:
    """Write a `failed` row to `load` for each ticker that could not be fetched, with its error."""
    if not failures:
        return
    batch = [_Series(ticker, Bars.empty()) for ticker in sorted(failures)]
    with translate_errors(connection), connection.transaction():
        rows = [(*_load_row(request, entry, "failed"), str(failures[entry.ticker])) for entry in batch]
        with connection.cursor() as cursor:
            cursor.executemany(query("record_failed_load"), rows)


def _open(bars: pa.Table, request: LoadRequest) -> list[_Series]:
    """Return the tickers of the frame and of the rejects, sorted: locks are always taken in this order."""
    found = dict(split_series(bars if len(bars) else empty_frame()))
    rejected = set(request.rejects["ticker"].to_pylist()) if request.rejects is not None else set()
    return [_Series(ticker, found.get(ticker, Bars.empty())) for ticker in sorted(found.keys() | rejected)]


def _compare(
    connection: Connection, request: LoadRequest, batch: list[_Series], states: Mapping[str, SeriesState]
) -> None:
    """Find what differs; for the series where something does, read the neighbours and compute the rows to write."""
    known = [entry for entry in batch if len(entry.incoming) and entry.ticker in states]
    stored = _stored_spans(connection, request, known)
    for entry in batch:
        if len(entry.incoming):
            entry.merged = merge(stored.get(entry.ticker, Bars.empty()), entry.incoming)
    touched = [entry for entry in batch if entry.merged is not None and entry.merged.touches]
    spans = {entry.ticker: entry.span for entry in touched if entry.ticker in states}
    neighbours = read_neighbours(connection, request.market, request.interval, states, spans)
    for entry in touched:
        before, after = neighbours.get(entry.ticker, (Bars.empty(), Bars.empty()))
        whole = join_bars(before, stored.get(entry.ticker, Bars.empty()), after)
        try:
            guard_scale(whole, entry.incoming)
        except SuspectScale as error:
            entry.refused, entry.merged = error, None
            continue
        if len(before) or len(after):
            entry.merged = merge(whole, entry.incoming)
        assert entry.merged is not None
        entry.writes = writes(entry.merged)


def _stored_spans(connection: Connection, request: LoadRequest, known: list[_Series]) -> dict[str, Bars]:
    if not known:
        return {}
    first, last = min(entry.span[0] for entry in known), max(entry.span[1] for entry in known)
    found = read_stored(
        connection, request.market, request.interval, [entry.ticker for entry in known], first, last + 1
    )
    clipped = {}
    for entry in known:
        if entry.ticker in found:
            bars, (first, last) = found[entry.ticker], entry.span
            clipped[entry.ticker] = bars.take(slice(*np.searchsorted(bars.time, [first, last + 1])))
    return clipped


def _load_row(request: LoadRequest, entry: _Series, status: str) -> tuple[object, ...]:
    expected, missing = request.expected.get(entry.ticker, (None, None))
    open_bar = _open_bar(request, entry)
    return (
        request.run_id, request.market.code, request.interval.value, entry.ticker, request.attempt, request.source,
        request.window.start, request.window.end, status, request.fetched.get(entry.ticker, len(entry.incoming)),
        request.duplicates.get(entry.ticker, 0), expected, missing,
        None if open_bar is None else instant(open_bar), __version__,
    )  # fmt: skip


def _open_bar(request: LoadRequest, entry: _Series) -> int | None:
    """The opening time (µs) of the incoming bar that had not ended at `now`, if there is one."""
    if len(entry.incoming) == 0:
        return None
    newest = entry.incoming.time[-1:]
    return (
        int(newest[0])
        if bar_ends(request.market, request.interval, newest)[0] > micros(request.now)
        else None
    )


def _record_loads(connection: Connection, request: LoadRequest, batch: list[_Series], started: float) -> None:
    if not batch:
        return
    rows = [_load_row(request, entry, "failed" if entry.refused else "loaded") for entry in batch]
    errors = [str(entry.refused) if entry.refused else None for entry in batch]
    columns = [list(column) for column in zip(*rows, strict=True)]
    found = connection.execute(query("record_loads"), (*columns, errors)).fetchall()
    for entry, (load_id,) in zip(batch, found, strict=True):
        entry.load_id = load_id


def _revise(
    connection: Connection, request: LoadRequest, batch: list[_Series], states: Mapping[str, SeriesState]
) -> None:
    """Keep the former values of final bars that are about to change. An open bar has no former value worth keeping."""
    tickers: list[str] = []
    times: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    load_ids: list[int] = []
    for entry in batch:
        if entry.writes is None:
            continue
        changed = entry.writes.bars.time[entry.writes.changed]
        state = states.get(entry.ticker)
        if state is not None and state.provisional is not None:
            changed = changed[changed != state.provisional]
        tickers += [entry.ticker] * len(changed)
        load_ids += [entry.load_id] * len(changed)
        times.append(changed)
    if not tickers:
        return
    moments = np.concatenate(times)
    statement = query("keep_revisions").format(bars=relation(request.market, request.interval))
    parameters = {
        "market": request.market.code,
        "interval": request.interval.value,
        "tickers": tickers,
        "times": TimeArray(moments),
        "load_ids": IntArray(np.array(load_ids)),
        "first": instant(int(moments.min())),
        "last": instant(int(moments.max())),
    }
    with array_cursor(connection) as cursor:
        cursor.execute(statement, parameters)


def _write(connection: Connection, request: LoadRequest, batch: list[_Series]) -> dict[str, int]:
    """Write the rows that differ; return how many rows each ticker had written."""
    todo = [entry for entry in batch if entry.writes is not None and len(entry.writes.bars)]
    if not todo:
        return {}
    target = relation(request.market, request.interval)
    new_rows = sum(int(entry.writes.added.sum()) for entry in todo if entry.writes is not None)
    written: dict[str, int] = {}
    if new_rows > ARRAY_LIMIT:
        copy_in(connection, target, _write_table(todo, only_added=True))
        written = {e.ticker: int(e.writes.added.sum()) for e in todo if e.writes is not None}
    rest = _write_table(todo, only_added=False, leave_added=bool(written))
    if len(rest):
        for ticker, count in _upsert(connection, target, rest).items():
            written[ticker] = written.get(ticker, 0) + count
    return written


def _write_table(todo: Sequence[_Series], *, only_added: bool, leave_added: bool = False) -> pa.Table:
    """The rows to write as an Arrow table of the stored columns, NaN as null."""
    tickers, load_ids, counts = [], [], []
    columns: dict[str, list[Any]] = {name: [] for name in ("time", *VALUE_COLUMNS, *STORED_INDICATOR_COLUMNS)}
    for entry in todo:
        assert entry.writes is not None
        chosen: Any = slice(None)
        if only_added or leave_added:
            chosen = entry.writes.added if only_added else ~entry.writes.added
        bars = entry.writes.bars.take(chosen)
        tickers.append(entry.ticker)
        load_ids.append(entry.load_id)
        counts.append(len(bars))
        for name in ("time", *VALUE_COLUMNS):
            columns[name].append(getattr(bars, name))
        for name in STORED_INDICATOR_COLUMNS:
            columns[name].append(entry.writes.indicators[name][chosen])
    arrays: dict[str, Any] = {"ticker": repeat_strings(tickers, counts)}
    arrays["time"] = pa.array(np.concatenate(columns.pop("time"))).cast(pa.timestamp("us")).cast(TIME_TYPE)
    for name, parts in columns.items():
        arrays[name] = pa.array(np.concatenate(parts), pa.float64(), from_pandas=True)
    arrays["load_id"] = pa.array(np.repeat(np.array(load_ids, np.int64), counts))
    return pa.table(arrays)


def _upsert(connection: Connection, target: sql.Identifier, rows: pa.Table) -> dict[str, int]:
    """Insert or update the rows that differ from what is stored; return the count written per ticker."""
    times = rows["time"].cast(pa.int64()).to_numpy()
    if len(rows) > ARRAY_LIMIT:
        connection.execute(query("create_staging").format(bars=target))
        copy_in(connection, sql.Identifier("staging"), rows)
        source: sql.Composable = query("incoming_staged")
        parameters: dict[str, Any] = {}
    else:
        source = query("incoming_arrays")
        parameters = {
            "tickers": rows["ticker"].to_pylist(),
            "times": TimeArray(times),
            "load_ids": IntArray(rows["load_id"].to_numpy()),
            **{name: FloatArray(_floats(rows, name)) for name in (*VALUE_COLUMNS, *STORED_INDICATOR_COLUMNS)},
        }
    with array_cursor(connection) as cursor:
        cursor.execute(query("write_bars").format(bars=target, incoming=source), parameters)
        counts = dict(cursor.fetchall())
    if not parameters:
        connection.execute("drop table staging")
    return counts


def _floats(rows: pa.Table, name: str) -> Any:
    return rows[name].to_numpy(zero_copy_only=False)


def _keep_series(
    connection: Connection, request: LoadRequest, batch: list[_Series], states: Mapping[str, SeriesState]
) -> None:
    """Widen each series' span and name its open bar."""
    rows = []
    for entry in batch:
        if len(entry.incoming) == 0 or entry.refused:
            continue
        first, last = entry.span
        state = states.get(entry.ticker)
        open_bar = _open_bar(request, entry)
        if open_bar is None and state is not None and state.provisional not in entry.incoming.time:
            open_bar = state.provisional  # this load did not bring it again
        if state is None or (min(first, state.first), max(last, state.last), open_bar) != (
            state.first, state.last, state.provisional,
        ):  # fmt: skip
            rows.append((entry.ticker, first, last, open_bar))
    if rows:
        tickers, firsts, lasts, opens = zip(*rows, strict=True)
        connection.execute(
            query("keep_series"),
            (
                request.market.code, request.interval.value, list(tickers), [instant(t) for t in firsts],
                [instant(t) for t in lasts], [None if t is None else instant(t) for t in opens],
            ),
        )  # fmt: skip


def _changed_span(entry: _Series) -> tuple[datetime, datetime] | None:
    if entry.writes is None:
        return None
    times = entry.writes.bars.time[entry.writes.added | entry.writes.changed]
    return (instant(int(times[0])), instant(int(times[-1]))) if len(times) else None


def _note_pending(connection: Connection, request: LoadRequest, batch: list[_Series]) -> None:
    spans = [(entry.load_id, span) for entry in batch if (span := _changed_span(entry)) is not None]
    if spans:
        connection.execute(
            query("note_pending"),
            (
                request.market.code, request.interval.value, [load_id for load_id, _ in spans],
                [span[0] for _, span in spans], [span[1] for _, span in spans],
            ),
        )  # fmt: skip


def _quarantine(connection: Connection, request: LoadRequest, batch: list[_Series]) -> dict[str, int]:
    """Keep the refused rows, each once, and return how many each ticker had."""
    if request.rejects is None or len(request.rejects) == 0:
        return {}
    load_ids = {entry.ticker: entry.load_id for entry in batch}
    columns = request.rejects.to_pydict()
    parameters = {
        "load_ids": [load_ids[ticker] for ticker in columns["ticker"]],
        "run_id": request.run_id,
        "market": request.market.code,
        "interval": request.interval.value,
        "source": request.source,
        "tickers": columns["ticker"],
        "times": columns["time"],
        "rules": columns["rule"],
        "values": columns["value"],
        "rows": columns["row"],
    }
    connection.execute(query("quarantine_rows"), parameters)
    counts: dict[str, int] = {}
    for ticker in columns["ticker"]:
        counts[ticker] = counts.get(ticker, 0) + 1
    return counts


def _result(entry: _Series, written: int, quarantined: int) -> LoadResult:
    inserted = int(entry.writes.added.sum()) if entry.writes else 0
    updated = int(entry.writes.changed.sum()) if entry.writes else 0
    span = _changed_span(entry)
    return LoadResult(
        ticker=entry.ticker,
        load_id=entry.load_id,
        inserted=inserted,
        updated=updated,
        recomputed=written - inserted - updated,
        unchanged=0 if entry.refused else len(entry.incoming) - inserted - updated,
        quarantined=quarantined,
        first_changed=span[0] if span else None,
        last_changed=span[1] if span else None,
        refused=entry.refused,
    )


def _count_loads(connection: Connection, results: list[LoadResult], seconds: float) -> None:
    if not results:
        return
    share = seconds / len(results)
    rows = [
        (
            r.load_id,
            r.inserted,
            r.updated,
            r.recomputed,
            r.unchanged,
            r.quarantined,
            r.first_changed,
            r.last_changed,
            share,
        )
        for r in results
    ]
    connection.execute(query("count_loads"), [list(column) for column in zip(*rows, strict=True)])
