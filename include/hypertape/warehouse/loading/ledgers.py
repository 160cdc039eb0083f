"""The ledgers a load writes in its own transaction: loads, revisions, series, pending rollups, quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from hypertape import __version__
from hypertape.errors import HypertapeError
from hypertape.frame import Bars, instant, micros
from hypertape.quality.gate_rules import flags_of
from hypertape.queries import query
from hypertape.warehouse.loading.batch import LoadRequest, LoadResult, SeriesLoad
from hypertape.warehouse.loading.stored import SeriesState, relation
from hypertape.warehouse.pg_binary import IntArray, TimeArray, array_cursor

Connection = psycopg.Connection[Any]


def open_loads(connection: Connection, request: LoadRequest, batch: Sequence[SeriesLoad]) -> None:
    """Insert one `load` row per ticker and note its id."""
    if not batch:
        return
    statuses = ["failed" if entry.refused else "loaded" for entry in batch]
    errors = [str(entry.refused) if entry.refused else None for entry in batch]
    found = _record(connection, request, batch, statuses, errors, [None] * len(batch))
    for entry, load_id in zip(batch, found, strict=True):
        entry.load_id = load_id


def record_failures(
    connection: Connection,
    failures: Mapping[str, HypertapeError | str],
    request: LoadRequest,
    kinds: Mapping[str, str] | None = None,
) -> None:
    """Write a `failed` row to `load` for each ticker that could not be fetched, with its error and the error's kind."""
    if not failures:
        return
    batch = [SeriesLoad(ticker, Bars.empty()) for ticker in sorted(failures)]
    errors = [failures[entry.ticker] for entry in batch]
    named = [(kinds or {}).get(e.ticker, type(failures[e.ticker]).__name__) for e in batch]
    with connection.transaction():
        _record(connection, request, batch, ["failed"] * len(batch), list(map(str, errors)), named)


def record_skipped(connection: Connection, tickers: Sequence[str], request: LoadRequest) -> None:
    """Write a `skipped` row to `load` for each ticker that a worker loaded in this run's place."""
    if not tickers:
        return
    batch = [SeriesLoad(ticker, Bars.empty()) for ticker in sorted(tickers)]
    nothing = [None] * len(batch)
    _record(connection, request, batch, ["skipped"] * len(batch), nothing, nothing)


def _record(
    connection: Connection,
    request: LoadRequest,
    batch: Sequence[SeriesLoad],
    statuses: Sequence[str],
    errors: Sequence[str | None],
    kinds: Sequence[str | None],
) -> list[int]:
    """Insert `load` rows; the ids come back in the order of the batch."""
    windows = [request.window_of(entry.ticker) for entry in batch]
    open_bars = [entry.open_bar(request) for entry in batch]
    expected = [request.expected.get(entry.ticker, (None, None)) for entry in batch]
    fetched = [request.fetched.get(entry.ticker, len(entry.incoming)) for entry in batch]
    parameters = {
        "run_id": request.run_id,
        "market": request.market.code,
        "interval": request.interval.value,
        "attempt": request.attempt,
        "code_version": __version__,
        "reason": request.reason,
        "tickers": [entry.ticker for entry in batch],
        "sources": [request.source_of(entry.ticker) for entry in batch],
        "window_starts": _instants(window.start for window in windows),
        "window_ends": _instants(window.end for window in windows),
        "statuses": list(statuses),
        "fetched": _numbers(fetched),
        "duplicates": _numbers(request.duplicates.get(entry.ticker, 0) for entry in batch),
        "expected": [bars for bars, _ in expected],
        "missing": [missing for _, missing in expected],
        "provisional_from": [None if time is None else instant(time) for time in open_bars],
        "finalised": [None if entry.finalised is None else instant(entry.finalised) for entry in batch],
        "answered_until": [request.answered_until.get(entry.ticker) for entry in batch],
        "errors": list(errors),
        "error_kinds": list(kinds),
    }
    with array_cursor(connection) as cursor:
        return [load_id for (load_id,) in cursor.execute(query("record_loads"), parameters).fetchall()]


def _instants(moments: Iterable[datetime]) -> TimeArray:
    """Instants without nulls, in a form that costs nothing to hand over."""
    return TimeArray(np.array([micros(moment) for moment in moments], np.int64))


def _numbers(values: Iterable[int]) -> IntArray:
    return IntArray(np.array(list(values), np.int64))


def keep_revisions(connection: Connection, request: LoadRequest, batch: list[SeriesLoad]) -> None:
    """Keep the former values of the final bars that are about to change."""
    changing = [entry for entry in batch if len(entry.restated)]
    if not changing:
        return
    moments = np.concatenate([entry.restated.time for entry in changing])
    counts = [len(entry.restated) for entry in changing]
    statement = query("keep_revisions").format(bars=relation(request.market, request.interval))
    parameters = {
        "market": request.market.code,
        "interval": request.interval.value,
        "tickers": list(np.repeat([entry.ticker for entry in changing], counts)),
        "times": TimeArray(moments),
        "load_ids": IntArray(np.repeat(np.array([entry.load_id for entry in changing], np.int64), counts)),
        "first": instant(int(moments.min())),
        "last": instant(int(moments.max())),
    }
    with array_cursor(connection) as cursor:
        cursor.execute(statement, parameters)


def keep_series(
    connection: Connection, request: LoadRequest, batch: list[SeriesLoad], states: Mapping[str, SeriesState]
) -> None:
    """Widen each series' span and name its open bar."""
    rows = []
    for entry in batch:
        if len(entry.incoming) == 0 or entry.refused:
            continue
        first, last = entry.span
        state = states.get(entry.ticker)
        open_bar = entry.next_open(request, state)
        if state is None or (min(first, state.first), max(last, state.last), open_bar) != (
            state.first, state.last, state.provisional,
        ):  # fmt: skip
            rows.append((entry.ticker, first, last, open_bar))
    if rows:
        tickers, firsts, lasts, opens = zip(*rows, strict=True)
        parameters = {
            "market": request.market.code,
            "interval": request.interval.value,
            "tickers": list(tickers),
            "firsts": TimeArray(np.array(firsts, np.int64)),
            "lasts": TimeArray(np.array(lasts, np.int64)),
            "opens": [None if time is None else instant(time) for time in opens],
        }
        with array_cursor(connection) as cursor:
            cursor.execute(query("keep_series"), parameters)


def note_pending(connection: Connection, request: LoadRequest, batch: list[SeriesLoad]) -> None:
    """Note the ranges whose rollups this load makes stale, and for each mirror the rows it has to receive."""
    spans = [(entry, span) for entry in batch if (span := entry.changed_span) is not None]
    if spans:
        parameters = {
            "market": request.market.code,
            "interval": request.interval.value,
            "tickers": [entry.ticker for entry, _ in spans],
            "load_ids": _numbers(entry.load_id for entry, _ in spans),
            "firsts": _instants(first for _, (first, _) in spans),
            "lasts": _instants(last for _, (_, last) in spans),
            "last_written": [entry.last_written for entry, _ in spans],
        }
        with array_cursor(connection) as cursor:
            cursor.execute(query("note_pending"), parameters)


def quarantine(connection: Connection, request: LoadRequest, batch: list[SeriesLoad]) -> dict[str, int]:
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
        "sources": [request.source_of(ticker) for ticker in columns["ticker"]],
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


def keep_flags(connection: Connection, request: LoadRequest, batch: list[SeriesLoad]) -> dict[str, int]:
    """Flag the bars that are written although they break a rule, clear what others earned before; count by ticker."""
    written = {
        entry: entry.writes.bars.take(entry.writes.added | entry.writes.changed)
        for entry in batch
        if entry.writes is not None
    }
    _clear_flags(connection, request, {entry.ticker: bars for entry, bars in written.items() if len(bars)})
    found = [(entry, flag) for entry, bars in written.items() for flag in flags_of(bars, request.market)]
    if found:
        parameters = {
            "market": request.market.code,
            "interval": request.interval.value,
            "tickers": [entry.ticker for entry, _ in found],
            "times": TimeArray(np.array([flag.time for _, flag in found], np.int64)),
            "rules": [flag.rule for _, flag in found],
            "values": [flag.value for _, flag in found],
            "load_ids": [entry.load_id for entry, _ in found],
        }
        with array_cursor(connection) as cursor:
            cursor.execute(query("keep_flags"), parameters)
    return dict(Counter(entry.ticker for entry, _ in found))


def _clear_flags(connection: Connection, request: LoadRequest, written: Mapping[str, Bars]) -> None:
    if not written:
        return
    names = {"market": request.market.code, "interval": request.interval.value}
    rows = connection.execute(query("flagged_tickers"), names | {"tickers": list(written)}).fetchall()
    some = [ticker for (ticker,) in rows]
    if some:
        parameters = {
            **names,
            "tickers": list(np.repeat(some, [len(written[ticker]) for ticker in some])),
            "times": TimeArray(np.concatenate([written[ticker].time for ticker in some])),
        }
        with array_cursor(connection) as cursor:
            cursor.execute(query("clear_flags"), parameters)


def close_loads(connection: Connection, results: list[LoadResult], seconds: float) -> None:
    """Complete the `load` rows with their counts and the instant since when their bars are known, and note what is not
    published of them."""
    if not results:
        return
    counted = ("load_id", "inserted", "updated", "recomputed", "unchanged", "quarantined", "flagged")
    counts = {name: _numbers(getattr(result, name) for result in results) for name in counted}
    parameters = {
        **counts,
        "first_changed": [result.first_changed for result in results],
        "last_changed": [result.last_changed for result in results],
        "seconds": seconds / len(results),
    }
    with array_cursor(connection) as cursor:
        cursor.execute(query("count_loads"), parameters)
    if any(result.restated for result in results):
        connection.execute(query("end_validity"), ([r.load_id for r in results if r.restated],))
    connection.execute(query("note_unpublished"), {"load_ids": [r.load_id for r in results]})
