"""Getting rows in: COPY, arrays in one INSERT, or COPY into a staging table, whichever is fastest for their number.

Compressed chunks that a load changes in bulk are opened before it and closed after it: rows that are changed in place
leave a chunk several times as large. Where a load changes a good part of one, decompressing it, writing, and
compressing it again takes about as long and leaves it as small as it was. On plain PostgreSQL there are no chunks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.pq import TransactionStatus

from hypertape.errors import HypertapeError
from hypertape.frame import TIME_TYPE, instant, micros
from hypertape.model import STORED_INDICATOR_COLUMNS, VALUE_COLUMNS
from hypertape.queries import query
from hypertape.warehouse.loading.batch import LoadRequest, SeriesLoad
from hypertape.warehouse.loading.stored import relation
from hypertape.warehouse.pg_binary import (
    FloatArray,
    IntArray,
    TimeArray,
    array_cursor,
    copy_in,
    repeat_strings,
)

Connection = psycopg.Connection[Any]

ARRAY_LIMIT = 10_000
"""Up to this many rows one INSERT from arrays is faster than a staging table (measured)."""

COPY_FROM = 1_000
"""From this many new rows on COPY straight into the relation is faster than one INSERT from arrays (measured)."""

CHUNK_SHARE = 0.05
"""From this share of its rows on a chunk is opened: 5 % changed in place make it a fifth larger (measured)."""

FEWEST = 5_000
"""Loads that change fewer stored rows do not ask: whatever they leave behind is small."""

_log = logging.getLogger(__name__)


def write_rows(connection: Connection, request: LoadRequest, batch: list[SeriesLoad]) -> dict[str, int]:
    """Write the rows that differ; return how many rows each ticker had written."""
    todo = [entry for entry in batch if entry.writes is not None and len(entry.writes.bars)]
    if not todo:
        return {}
    target = relation(request.market, request.interval)
    new_rows = sum(int(entry.writes.added.sum()) for entry in todo if entry.writes is not None)
    written: dict[str, int] = {}
    if new_rows >= COPY_FROM:
        copy_in(connection, target, _write_table(todo, only_added=True))
        written = {e.ticker: int(e.writes.added.sum()) for e in todo if e.writes is not None}
    rest = _write_table(todo, only_added=False, leave_added=bool(written))
    if len(rest):
        for ticker, count in _upsert(connection, target, rest).items():
            written[ticker] = written.get(ticker, 0) + count
    return written


def _write_table(todo: Sequence[SeriesLoad], *, only_added: bool, leave_added: bool = False) -> pa.Table:
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


class ChunksInTheWay(Exception):
    """A load would change these compressed chunks in bulk. Nothing is written yet."""

    def __init__(self, chunks: Sequence[str]) -> None:
        self.chunks = tuple(chunks)
        super().__init__(", ".join(chunks))


def can_open(connection: Connection) -> bool:
    """Chunks are opened and closed in transactions of their own, so not within somebody else's."""
    return connection.info.transaction_status == TransactionStatus.IDLE


def chunks_in_the_way(connection: Connection, request: LoadRequest, batch: Sequence[SeriesLoad]) -> list[str]:
    """The compressed chunks of which this load changes CHUNK_SHARE or more, oldest first."""
    changing = [entry.writes.bars.time[~entry.writes.added] for entry in batch if entry.writes is not None]
    times = np.sort(np.concatenate(changing)) if changing else np.empty(0, np.int64)
    if len(times) < FEWEST:
        return []
    relation = f"bars.{request.market.relation(request.interval)}"
    found = connection.execute(
        query("compressed_chunks"), (relation, instant(int(times[0])), instant(int(times[-1])))
    ).fetchall()
    return [
        chunk
        for chunk, start, end, rows in found
        if np.diff(np.searchsorted(times, [micros(start), micros(end)]))[0] >= CHUNK_SHARE * max(rows, 1)
    ]


@contextmanager
def opened(connection: Connection, chunks: Sequence[str]) -> Iterator[None]:
    """Keep chunks open for the length of the block, each opened and closed in a transaction of its own.

    Killed in between, a chunk stays open: right, but large, until the compression policy closes it. So it does where
    closing fails.
    """
    try:
        for chunk in chunks:
            with connection.transaction():
                connection.execute(query("open_chunk"), (chunk,))
        yield
    finally:
        for chunk in chunks:
            _close(connection, chunk)


def _close(connection: Connection, chunk: str) -> None:
    try:
        with connection.transaction():
            connection.execute(query("close_chunk"), (chunk,))
    except HypertapeError as error:
        _log.warning("%s stays decompressed until the compression policy runs: %s", chunk, error)
