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
from hypertape.frame import Floats, Micros
from hypertape.model import AVERAGE_COLUMNS, CHANGE_COLUMNS, INDICATOR_COLUMNS, SCORE_COLUMNS

CSV_HEADER = ",".join(("symbol", "time", *PRICES, *INDICATOR_COLUMNS))
"""The first line; the columns of an EMA follow when one was asked for."""

_SLICE = 5_000
"""Bars written at a time: what the memory holds of an answer beside the block it was read in."""

_CHUNK = 64 * 1024
_encode = msgspec.json.Encoder().encode


def as_json(parts: Iterable[BarChunk], query: BarQuery) -> Iterator[bytes]:
    """`{NAME: [bar, …], …}` in chunks; parts of one series come one after the other."""
    make = _bar_type(_indicators(query))
    names, daily = _indicators(query), query.width.is_daily
    open_series: str | None = None
    buffer = bytearray(b"{")
    for name, bars in _sliced(parts):
        if name != open_series:
            buffer += (b"" if open_series is None else b"],") + _encode(name) + b":["
            open_series = name
        else:
            buffer += b","
        buffer += _encode(_rows(make, name, bars, names, daily))[1:-1]
        if len(buffer) >= _CHUNK:
            yield bytes(buffer)
            buffer.clear()
    buffer += b"}" if open_series is None else b"]}"
    yield bytes(buffer)


def as_csv(parts: Iterable[BarChunk], query: BarQuery) -> Iterator[bytes]:
    """One line per bar, oldest first within a series, empty where there is no value."""
    emas = [f"ema{n}" for n in query.emas]
    shown = set(_indicators(query))
    columns = (*INDICATOR_COLUMNS, *emas)
    yield (",".join([CSV_HEADER, *emas]) + "\n").encode()
    for batch in _batched(parts):
        yield _lines(batch, columns, shown, query.width.is_daily)


def time_texts(time: Micros, daily: bool) -> Any:
    """`YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SS`, as a numpy array of text."""
    return np.datetime_as_string(time.astype("datetime64[us]"), unit="D" if daily else "s")


def _indicators(query: BarQuery) -> tuple[str, ...]:
    averages = (*AVERAGE_COLUMNS, *SCORE_COLUMNS) if query.averages else ()
    return (*averages, *CHANGE_COLUMNS, *(f"ema{n}" for n in query.emas))


@cache
def _bar_type(indicators: tuple[str, ...]) -> Any:
    """A record that leaves out what is None; several times faster to fill and to write than a dict."""
    fields: list[Any] = [("time", str), *((name, float) for name in PRICES), ("symbol", str)]
    fields += [(name, float | None, None) for name in indicators]
    return msgspec.defstruct("Bar", fields, omit_defaults=True, gc=False)


def _rows(make: Any, name: str, bars: BarSlice, indicators: Sequence[str], daily: bool) -> list[Any]:
    prices = [bars.columns[column].tolist() for column in PRICES]
    values = [_or_none(bars.columns[column]) for column in indicators]
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
    batch: list[tuple[str, BarSlice]], indicators: Sequence[str], shown: set[str], daily: bool
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
    table = pa.table(cells, names=[str(k) for k in range(len(cells))])
    odd = any(set(name) & set(',"\r\n') for name, _ in batch)
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed" if odd else "none")
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, options)
    text: bytes = sink.getvalue().to_pybytes()
    return text
