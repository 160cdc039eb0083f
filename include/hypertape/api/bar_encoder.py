"""Parts of an answer as JSON or CSV, a few thousand bars at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv

from hypertape.api.bar_chunks import PRICES, BarChunk, BarSlice
from hypertape.api.bar_query import BarQuery
from hypertape.api.provisional import NONE_OPEN, Openings, marks
from hypertape.api.read_time import more_columns
from hypertape.calendars import Mask
from hypertape.frame import TIME_TYPE, Floats, Micros
from hypertape.model import AVERAGE_COLUMNS, CHANGE_COLUMNS, INDICATOR_COLUMNS, SCORE_COLUMNS
from hypertape.reader.ipc import as_stream

CSV_HEADER = ",".join(("symbol", "time", *PRICES, *INDICATOR_COLUMNS))
"""The first line; the columns of what is computed at read time follow."""

MARK = "provisional"
"""The key, and the last column, of a bar that may still change."""

_SLICE = 5_000
"""Bars written at a time: what the memory holds of an answer beside the block it was read in."""

_CHUNK = 64 * 1024
_encode = msgspec.json.Encoder().encode


def as_json(parts: Iterable[BarChunk], query: BarQuery, openings: Openings = NONE_OPEN) -> Iterator[bytes]:
    """`{NAME: [bar, …], …}` in chunks; parts of one series come one after the other.

    A bar that may still change has a key more, `"provisional": true`; see `provisional.marks` for `openings`.
    """
    names, daily = _indicators(query), query.width.is_daily
    open_series: str | None = None
    buffer = bytearray(b"{")
    for name, bars in _sliced(parts):
        if name != open_series:
            buffer += (b"" if open_series is None else b"],") + _encode(name) + b":["
            open_series = name
        else:
            buffer += b","
        marked = marks(query, bars.time, openings.get(name))
        buffer += _encode(_rows(name, bars, names, daily, marked))[1:-1]
        if len(buffer) >= _CHUNK:
            yield bytes(buffer)
            buffer.clear()
    buffer += b"}" if open_series is None else b"]}"
    yield bytes(buffer)


def as_csv(parts: Iterable[BarChunk], query: BarQuery, openings: Openings = NONE_OPEN) -> Iterator[bytes]:
    """One line per bar, oldest first within a series, empty where there is no value.

    Where the query asks for marks, the last column is `true` for a bar that may still change.
    """
    more = more_columns(query.emas, query.indicators)
    shown = set(_indicators(query))
    columns = (*INDICATOR_COLUMNS, *more)
    yield (",".join([CSV_HEADER, *more, *([MARK] if query.provisional else [])]) + "\n").encode()
    for batch in _batched(parts):
        marked = None
        if query.provisional:
            found = [marks(query, bars.time, openings.get(name)) for name, bars in batch]
            every = zip(found, batch, strict=True)
            marked = np.concatenate([np.zeros(len(bars), bool) if m is None else m for m, (_, bars) in every])
        yield _lines(batch, columns, shown, query.width.is_daily, marked)


def as_arrow(parts: Iterable[BarChunk], query: BarQuery, openings: Openings = NONE_OPEN) -> Iterator[bytes]:
    """A stream of Arrow's: symbol, time (timestamp[us, UTC]), then float64, null where there is no value.

    Where the query asks for marks, the last column says of each bar whether it may still change.
    """
    columns = (*PRICES, *_indicators(query))
    fields = [("symbol", pa.string()), ("time", TIME_TYPE), *((name, pa.float64()) for name in columns)]
    schema = pa.schema([*fields, *([(MARK, pa.bool_())] if query.provisional else [])])
    yield from as_stream(schema, (_record(part, query, columns, schema, openings) for part in parts))


def _record(
    part: BarChunk, query: BarQuery, columns: Sequence[str], schema: pa.Schema, openings: Openings
) -> pa.RecordBatch:
    bars = part.bars
    name = pa.array([part.name]).take(pa.array(np.zeros(len(bars), np.int32)))
    time = pa.array(bars.time).cast(pa.timestamp("us")).cast(TIME_TYPE)
    values = [pa.array(bars.columns[column], pa.float64(), from_pandas=True) for column in columns]
    if query.provisional:
        marked = marks(query, bars.time, openings.get(part.name))
        values.append(pa.array(np.zeros(len(bars), bool) if marked is None else marked))
    return pa.RecordBatch.from_arrays([name, time, *values], schema=schema)


def time_texts(time: Micros, daily: bool) -> Any:
    """`YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SS`, as a numpy array of text."""
    return np.datetime_as_string(time.astype("datetime64[us]"), unit="D" if daily else "s")


def _indicators(query: BarQuery) -> tuple[str, ...]:
    averages = (*AVERAGE_COLUMNS, *SCORE_COLUMNS) if query.averages else ()
    return (*averages, *CHANGE_COLUMNS, *more_columns(query.emas, query.indicators))


@cache
def _bar_type(indicators: tuple[str, ...], marked: bool) -> Any:
    """A record that leaves out what is None; several times faster to fill and to write than a dict."""
    fields: list[Any] = [("time", str), *((name, float) for name in PRICES), ("symbol", str)]
    fields += [(name, float | None, None) for name in indicators]
    fields += [(MARK, bool | None, None)] if marked else []
    return msgspec.defstruct("Bar", fields, omit_defaults=True, gc=False)


def _rows(
    name: str, bars: BarSlice, indicators: tuple[str, ...], daily: bool, marked: Mask | None
) -> list[Any]:
    make = _bar_type(indicators, marked is not None)
    prices = [bars.columns[column].tolist() for column in PRICES]
    values: list[Any] = [_or_none(bars.columns[column]) for column in indicators]
    if marked is not None:
        values.append([True if one else None for one in marked.tolist()])
    return list(map(make, time_texts(bars.time, daily).tolist(), *prices, repeat(name), *values))


def _or_none(values: Floats) -> list[float | None]:
    listed: list[float | None] = values.tolist()
    known = np.isfinite(values)
    if not known.all():
        for position in np.flatnonzero(~known).tolist():
            listed[position] = None
    return listed


def _sliced(parts: Iterable[BarChunk]) -> Iterator[tuple[str, BarSlice]]:
    for part in parts:
        for first in range(0, len(part.bars), _SLICE):
            yield part.name, part.bars.cut(first, first + _SLICE)


def _batched(parts: Iterable[BarChunk]) -> Iterator[list[tuple[str, BarSlice]]]:
    batch: list[tuple[str, BarSlice]] = []
    rows = 0
    for name, bars in _sliced(parts):
        batch.append((name, bars))
        rows += len(bars)
        if rows >= _SLICE:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _lines(
    batch: list[tuple[str, BarSlice]],
    indicators: Sequence[str],
    shown: set[str],
    daily: bool,
    marked: Mask | None,
) -> bytes:
    names = pa.array([name for name, _ in batch]).take(
        pa.array(np.repeat(np.arange(len(batch)), [len(bars) for _, bars in batch]))
    )
    times = np.concatenate([bars.time for _, bars in batch])
    rows = len(times)
    cells = [names, pa.array(time_texts(times, daily).tolist(), pa.string())]
    for column in (*PRICES, *indicators):
        if column in PRICES or column in shown:
            values = np.concatenate([bars.columns[column] for _, bars in batch])
            cells.append(pa.array(values + 0.0, pa.float64(), mask=~np.isfinite(values)))
        else:
            cells.append(pa.nulls(rows, pa.string()))
    if marked is not None:
        cells.append(pa.array(["true" if one else None for one in marked.tolist()], pa.string()))
    table = pa.table(cells, names=[str(k) for k in range(len(cells))])
    odd = any(set(name) & set(',"\r\n') for name, _ in batch)
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed" if odd else "none")
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, options)
    text: bytes = sink.getvalue().to_pybytes()
    return text
