"""The ledgers a load writes in its own transaction: loads, revisions, series, pending rollups, quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg

from hypertape import __version__
from hypertape.frame import Bars, instant
from hypertape.quality.gate_rules import flags_of
from hypertape.queries import query
from hypertape.warehouse.loading.batch import LoadRequest, LoadResult, SeriesLoad
from hypertape.warehouse.loading.stored import SeriesState, relation
from hypertape.warehouse.pg_binary import IntArray, TimeArray, array_cursor

Connection = psycopg.Connection[Any]


def load_row(request: LoadRequest, entry: SeriesLoad, status: str) -> tuple[object, ...]:
    """The columns of one `load` row, but for its error."""
    expected, missing = request.expected.get(entry.ticker, (None, None))
    open_bar, window = entry.open_bar(request), request.window_of(entry.ticker)
    return (
        request.run_id, request.market.code, request.interval.value, entry.ticker, request.attempt,
        request.source_of(entry.ticker), window.start, window.end, status,
        request.fetched.get(entry.ticker, len(entry.incoming)),
        request.duplicates.get(entry.ticker, 0), expected, missing,
        None if open_bar is None else instant(open_bar), __version__, request.reason,
        None if entry.finalised is None else instant(entry.finalised),
        request.answered_until.get(entry.ticker),
    )  # fmt: skip


def open_loads(connection: Connection, request: LoadRequest, batch: list[SeriesLoad]) -> None:
    """Insert one `load` row per ticker and note its id."""
    if not batch:
        return
    rows = [load_row(request, entry, "failed" if entry.refused else "loaded") for entry in batch]
    errors = [str(entry.refused) if entry.refused else None for entry in batch]
    columns = [list(column) for column in zip(*rows, strict=True)]
    found = connection.execute(query("record_loads"), (*columns, errors)).fetchall()
    for entry, (load_id,) in zip(batch, found, strict=True):
        entry.load_id = load_id


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
        connection.execute(
            query("keep_series"),
            (
                request.market.code, request.interval.value, list(tickers), [instant(t) for t in firsts],
                [instant(t) for t in lasts], [None if t is None else instant(t) for t in opens],
            ),
        )  # fmt: skip


def note_pending(connection: Connection, request: LoadRequest, batch: list[SeriesLoad]) -> None:
    """Note the ranges whose rollups this load makes stale, and for each mirror the rows it has to receive."""
    spans = [(entry, span) for entry in batch if (span := entry.changed_span) is not None]
    if spans:
        parameters = {
            "market": request.market.code,
            "interval": request.interval.value,
            "tickers": [entry.ticker for entry, _ in spans],
            "load_ids": [entry.load_id for entry, _ in spans],
            "firsts": [first for _, (first, _) in spans],
            "lasts": [last for _, (_, last) in spans],
            "last_written": [entry.last_written for entry, _ in spans],
        }
        connection.execute(query("note_pending"), parameters)


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
    share = seconds / len(results)
    rows = [
        (
            r.load_id,
            r.inserted,
            r.updated,
            r.recomputed,
            r.unchanged,
            r.quarantined,
            r.flagged,
            r.first_changed,
            r.last_changed,
            share,
        )
        for r in results
    ]
    connection.execute(query("count_loads"), [list(column) for column in zip(*rows, strict=True)])
    if any(result.restated for result in results):
        connection.execute(query("end_validity"), ([r.load_id for r in results if r.restated],))
    connection.execute(query("note_unpublished"), {"load_ids": [r.load_id for r in results]})
