"""Columns to and from PostgreSQL's binary format without a Python object per value."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

from hypertape.frame import Floats, Micros

_FLOAT8, _FLOAT8_ARRAY = 701, 1022
_INT8, _INT8_ARRAY = 20, 1016
_TIMESTAMPTZ, _TIMESTAMPTZ_ARRAY = 1184, 1185
_EPOCH_2000 = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL counts from."""

_HEADER = struct.Struct(">iiIii")  # dimensions, has nulls, element type, length, lower bound
_ROWS_PER_BATCH = 16_384  # four times as many take 12 MB more and are no faster


@dataclass(frozen=True, slots=True)
class FloatArray:
    """A float8[] parameter."""

    values: Floats


@dataclass(frozen=True, slots=True)
class IntArray:
    """An int8[] parameter."""

    values: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TimeArray:
    """A timestamptz[] parameter, from int64 microseconds since 1970 UTC."""

    values: Micros


def _encode(values: npt.NDArray[Any], element: int, code: str) -> bytes:
    records = np.empty(len(values), np.dtype([("size", ">i4"), ("value", code)]))
    records["size"] = 8
    records["value"] = values
    return _HEADER.pack(1, 0, element, len(values), 1) + records.tobytes()


class _FloatDumper(Dumper):
    format = Format.BINARY
    oid = _FLOAT8_ARRAY

    def dump(self, obj: FloatArray) -> bytes:
        return _encode(obj.values, _FLOAT8, ">f8")


class _IntDumper(Dumper):
    format = Format.BINARY
    oid = _INT8_ARRAY

    def dump(self, obj: IntArray) -> bytes:
        return _encode(obj.values, _INT8, ">i8")


class _TimeDumper(Dumper):
    format = Format.BINARY
    oid = _TIMESTAMPTZ_ARRAY

    def dump(self, obj: TimeArray) -> bytes:
        return _encode(obj.values - _EPOCH_2000, _TIMESTAMPTZ, ">i8")


_RECORDS = {code: np.dtype([("size", ">i4"), ("value", code)]) for code in (">f8", ">i8")}


def _decode(data: bytes | bytearray | memoryview, code: str) -> npt.NDArray[Any]:
    view = memoryview(data)
    dimensions, has_nulls, _, length, _ = (
        _HEADER.unpack_from(view) if len(view) >= _HEADER.size else (0, 0, 0, 0, 0)
    )
    if dimensions == 0:
        return np.empty(0, code)
    assert not has_nulls, "the query must replace null in arrays"
    records = np.frombuffer(view, _RECORDS[code], length, _HEADER.size)
    return records["value"]


class _FloatLoader(Loader):
    format = Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> Floats:
        return _decode(data, ">f8").astype(np.float64)


class _TimeLoader(Loader):
    format = Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> Micros:
        return _decode(data, ">i8").astype(np.int64) + _EPOCH_2000


class _IntLoader(Loader):
    format = Format.BINARY

    def load(self, data: bytes | bytearray | memoryview) -> Micros:
        return _decode(data, ">i8").astype(np.int64)


def array_cursor(connection: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    """A binary cursor that takes and returns float8[], int8[], timestamptz[] (int64 µs since 1970) as numpy arrays."""
    cursor = connection.cursor(binary=True)
    for kind, dumper in ((FloatArray, _FloatDumper), (IntArray, _IntDumper), (TimeArray, _TimeDumper)):
        cursor.adapters.register_dumper(kind, dumper)
    cursor.adapters.register_loader(_FLOAT8_ARRAY, _FloatLoader)
    cursor.adapters.register_loader(_INT8_ARRAY, _IntLoader)
    cursor.adapters.register_loader(_TIMESTAMPTZ_ARRAY, _TimeLoader)
    return cursor


def copy_in(connection: psycopg.Connection[Any], relation: sql.Composable, table: pa.Table) -> None:
    """COPY an Arrow table into a relation's columns of the same names, in binary."""
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    columns = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(relation, columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(encoder.write_header())
        for batch in table.to_batches(max_chunksize=_ROWS_PER_BATCH):
            copy.write(encoder.write_batch(batch))
        copy.write(encoder.finish())


def repeat_strings(values: Iterable[str], counts: Iterable[int]) -> pa.Array:
    """An Arrow string array with each value repeated its count of times."""
    names = pa.array(list(values), pa.string())
    return names.take(pa.array(np.repeat(np.arange(len(names)), list(counts))))
