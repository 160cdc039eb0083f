"""Bars out of a SQLite table: fast where cells are what they should be, cell by cell where they are not.

ADBC reads a statement whose columns have fixed types; a cell that is no number or no time arrives as a mark. Rows with
a mark are read again as they are stored and judged one by one: into a bar, where a number is merely spelled as text,
else into a reject with the rule it breaks. Rows whose bar time another row has too: the one with the highest row id
wins, the others become rejects.

All of it is one transaction, in which the series' rows are also counted: each has to be in one of the blocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg import sql

from hypertape.cells import number
from hypertape.digest import CANONICAL_COLUMNS, SeriesDigest, digest_blocks
from hypertape.frame import Floats, Micros, bar_frame, floats_of, instant, reject_frame, times_of
from hypertape.model import PRICE_COLUMNS, VALUE_COLUMNS
from hypertape.queries import query
from hypertape.stores import Block, require_all_rows
from hypertape.stores._sqlite_arrow import opened, snapshot, stream
from hypertape.stores._sqlite_cells import Fault, from_literal, row_text, shown
from hypertape.stores._sqlite_file import name, text

Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int64]
Stored = Callable[[Ids], Iterable[tuple[int, dict[str, Any]]]]
"""Gives whole rows by their row ids."""

_RAW_ROWS = 5_000
_CASTS = {0: pa.int64()}
"""Of raw rows: the row id is a number, the literals are bytes, for not all text is UTF-8."""
_ABSENT = sql.SQL("-9e999")
"""How an adjusted close that is not there reaches us."""


@dataclass(frozen=True)
class SeriesQuery:
    """One series of one table.

    `columns` are the table's names of VALUE_COLUMNS (adjusted_close may be absent). `times` turns the time column into
    int64 µs and a mask of the good ones; `judge_time` does the same for one stored cell.
    """

    path: Path
    ticker: str
    table: str
    time: sql.Composable
    time_column: str
    columns: Mapping[str, str]
    condition: sql.Composable
    parameters: tuple[object, ...]
    order: sql.Composable
    times: Callable[[pa.Array], tuple[Micros, Mask]]
    judge_time: Callable[[object], int | Fault]
    same_time_rule: str

    def statement(self) -> str:
        """The statement that reads it."""
        values = {meaning: number_of(self.columns[meaning]) for meaning in (*PRICE_COLUMNS, "volume")}
        statement = query("sqlite_read_bars").format(
            **values,
            adjusted=self._adjusted(),
            time=self.time,
            table=name(self.table),
            condition=self.condition,
            order=self.order,
        )
        return text(statement)

    def _adjusted(self) -> sql.Composable:
        column = self.columns.get("adjusted_close")
        if column is None:
            return _ABSENT
        given = number_of(column)
        return sql.SQL("iif({} is null, {}, {})").format(name(column), _ABSENT, given)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that may become bars: row id, time (int64 µs) and VALUE_COLUMNS, NaN for no adjusted close."""

    ids: npt.NDArray[np.int64]
    time: Micros
    values: Floats  # one row per value column

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Any) -> Rows:
        """Select by slice, mask or positions."""
        return Rows(self.ids[index], self.time[index], self.values[:, index])


def number_of(column: str) -> sql.Composable:
    """The expression of a column's cells as doubles, infinite where a cell is none."""
    return query("sqlite_number").format(column=name(column))


def read_blocks(series: SeriesQuery, *, start: int | None, rows: int) -> Iterator[Block]:
    """Yield the series in blocks of at most `rows` bars, in time order, keys unique.

    With `start` (µs) only what opens from there on, and no row whose time cannot be read.
    """
    held = _no_rows()
    newest: int | None = None
    faults: list[tuple[Any, ...]] = []
    counted = 0
    with opened(series.path) as connection, snapshot(connection):
        stored = partial(_stored, connection, series)
        for batch, is_last in _with_end(_batches(connection, series, max(rows - 1, 1))):
            found, refused = _convert(series, batch, stored)
            ready, refused_same = _settle(series, _join(held, found), newest, stored)
            faults += refused + refused_same
            if not is_last:
                ready, held = ready.take(slice(0, -1)), ready.take(slice(-1, None))
            counted += len(ready) + len(faults)
            yield from _blocks(series, ready, faults, start, rows)
            newest, faults = int(ready.time[-1]) if len(ready) else newest, []
        require_all_rows(f"{series.path} {series.ticker}", _rows_of(connection, series), counted)


def _rows_of(connection: Any, series: SeriesQuery) -> int:
    """The series' rows, counted by the database."""
    statement = text(
        query("sqlite_rows_of_series").format(table=name(series.table), condition=series.condition)
    )
    (batch,) = stream(connection, statement, series.parameters, 1)
    return int(batch.column(0)[0].as_py())


def digest_of(ticker: str, blocks: Iterable[Block]) -> SeriesDigest:
    """The digest over blocks of one series."""
    return digest_blocks(
        ticker,
        (
            (times_of(block.bars), [floats_of(block.bars, column) for column in CANONICAL_COLUMNS])
            for block in blocks
        ),
    )


def _batches(connection: Any, series: SeriesQuery, rows: int) -> Iterator[pa.RecordBatch]:
    return stream(connection, series.statement(), series.parameters, rows)


def _with_end(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """Say of each batch whether it is the last."""
    waiting = next(batches, None)
    while waiting is not None:
        following = next(batches, None)
        yield waiting, following is None
        waiting = following


def _convert(
    series: SeriesQuery, batch: pa.RecordBatch, stored: Stored
) -> tuple[Rows, list[tuple[Any, ...]]]:
    ids = batch.column(0).to_numpy()
    time, good = series.times(batch.column(1))
    values = np.array([batch.column(2 + at).to_numpy() for at in range(len(VALUE_COLUMNS))])
    adjusted = values[-1]
    adjusted[np.isneginf(adjusted)] = np.nan
    marked = ~good | ~np.isfinite(values[:-1]).all(axis=0) | np.isinf(adjusted)
    if not marked.any():
        return Rows(ids, time, values), []
    mended, refused = _judge_all(series, stored(ids[marked]))
    return _join(Rows(ids, time, values).take(~marked), mended), refused


def _judge_all(
    series: SeriesQuery, found_rows: Iterable[tuple[int, dict[str, Any]]]
) -> tuple[Rows, list[tuple[Any, ...]]]:
    """Judge rows as they are stored, each by itself: mended rows, and rejects."""
    good: list[tuple[int, int, list[float]]] = []
    refused: list[tuple[Any, ...]] = []
    for row_id, row in found_rows:
        verdict = _judge(series, row)
        if isinstance(verdict, Fault):
            refused.append(_reject(series, row, verdict))
        else:
            good.append((row_id, *verdict))
    if not good:
        return _no_rows(), refused
    found, times, values = zip(*good, strict=True)
    return Rows(np.array(found, np.int64), np.array(times, np.int64), np.array(values).T), refused


def _stored(connection: Any, series: SeriesQuery, ids: Ids) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield rows with all their columns. A row that was deleted meanwhile is not there."""
    names = [
        b.column(0).to_pylist()
        for b in stream(connection, text(query("sqlite_columns")), (series.table,), 999)
    ]
    columns = [column for part in names for column in part]
    (encodings,) = stream(connection, text(query("sqlite_encoding")), (), 1)
    read = partial(from_literal, encoding=encodings.column(0)[0].as_py())
    cells = sql.SQL(", ").join(query("sqlite_literal").format(column=name(column)) for column in columns)
    statement = text(query("sqlite_raw_rows").format(table=name(series.table), cells=cells))
    for first in range(0, len(ids), _RAW_ROWS):
        chunk = json.dumps(ids[first : first + _RAW_ROWS].tolist())
        for batch in stream(connection, statement, (chunk,), _RAW_ROWS):
            row_ids, *quoted = (
                column.cast(_CASTS.get(at, pa.binary())).to_pylist() for at, column in enumerate(batch)
            )
            for row_id, *literals in zip(row_ids, *quoted, strict=True):
                yield row_id, dict(zip(columns, map(read, literals), strict=True))


def _judge(series: SeriesQuery, row: Mapping[str, Any]) -> tuple[int, list[float]] | Fault:
    time = series.judge_time(row[series.time_column])
    if isinstance(time, Fault):
        return time
    values = []
    for meaning in VALUE_COLUMNS:
        cell = row[series.columns[meaning]] if meaning in series.columns else None
        value = float("nan") if cell is None and meaning == "adjusted_close" else number(cell)
        if value is None:
            return _value_fault(series.columns[meaning], meaning, cell)
        values.append(value)
    return time, values


def _value_fault(column: str, meaning: str, cell: object) -> Fault:
    if cell is None:
        return Fault("null_volume" if meaning == "volume" else "null_price", f"{column}=NULL")
    return Fault("text_in_number", f"{column}={shown(cell)}")


def _reject(series: SeriesQuery, row: Mapping[str, Any], fault: Fault) -> tuple[Any, ...]:
    time = series.judge_time(row[series.time_column])
    moment = None if isinstance(time, Fault) else instant(time)
    return series.ticker, moment, fault.rule, fault.value, row_text(row)


def _settle(
    series: SeriesQuery, rows: Rows, newest: int | None, stored: Stored
) -> tuple[Rows, list[tuple[Any, ...]]]:
    """Sort rows by time; of rows with one time the highest row id stays, as does what was yielded before."""
    if len(rows) == 0 or (
        np.all(rows.time[1:] > rows.time[:-1]) and (newest is None or rows.time[0] > newest)
    ):
        return rows, []
    rows = rows.take(np.lexsort((rows.ids, rows.time)))
    beaten = np.append(rows.time[1:] == rows.time[:-1], False)
    if newest is not None:
        beaten |= rows.time <= newest
    if not beaten.any():
        return rows, []
    refused = [
        _reject(
            series,
            row,
            Fault(series.same_time_rule, f"{series.time_column}={shown(row[series.time_column])}"),
        )
        for _, row in stored(rows.ids[beaten])
    ]
    return rows.take(~beaten), refused


def _blocks(
    series: SeriesQuery, rows: Rows, faults: list[tuple[Any, ...]], start: int | None, most: int
) -> Iterator[Block]:
    if start is not None:
        rows = rows.take(slice(int(np.searchsorted(rows.time, start)), None))
        faults = [fault for fault in faults if fault[1] is not None and fault[1] >= instant(start)]
    for first in range(0, len(rows), most):
        part = rows.take(slice(first, first + most))
        bars = bar_frame(series.ticker, part.time, dict(zip(VALUE_COLUMNS, part.values, strict=True)))
        yield Block(bars, reject_frame(faults))
        faults = []
    if faults:
        yield Block(bar_frame(series.ticker, np.empty(0, np.int64), {}), reject_frame(faults))


def _no_rows() -> Rows:
    return Rows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((len(VALUE_COLUMNS), 0)))


def _join(*parts: Rows) -> Rows:
    found = [part for part in parts if len(part)]
    if len(found) < 2:
        return found[0] if found else _no_rows()
    return Rows(
        np.concatenate([part.ids for part in found]),
        np.concatenate([part.time for part in found]),
        np.concatenate([part.values for part in found], axis=1),
    )
