"""Ticks as columns, and as rows of a binary COPY, without a Python object per value.

A numeric(20, 8) of up to twelve digits before the point has at most five base-10 000 digits, three before the point
and two behind it. PostgreSQL strips leading zeros itself, so each value can take the same 18 bytes and whole batches
are built by numpy: with rows of one width, one array is the COPY.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hypertape.stream.model import Tick

Ints = npt.NDArray[np.int64]

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
COPY_TRAILER = struct.pack(">h", -1)
NULL = np.int64(np.iinfo(np.int64).min)
"""Stands for null in columns of prices and volumes."""

VALUES = ("bid", "ask", "bid_volume", "ask_volume")
_EPOCH_2000 = 946_684_800_000_000
_NUMERIC = [
    ("size", ">i4"),
    ("count", ">i2"),
    ("weight", ">i2"),
    ("sign", ">u2"),
    ("scale", ">i2"),
    ("digits", ">i2", (5,)),
]
_NEGATIVE = 0x4000


@dataclass(frozen=True, slots=True)
class TickColumns:
    """Ticks column by column; `values` are bid, ask, bid volume, ask volume in 1e-8, NULL where there is none."""

    symbol_ids: Ints
    times: Ints
    sequences: Ints
    values: tuple[Ints, Ints, Ints, Ints]
    sources: Sequence[str]

    def __len__(self) -> int:
        return len(self.times)

    def take(self, chosen: npt.NDArray[Any]) -> TickColumns:
        """The ticks where a mask is true."""
        sources = [source for source, wanted in zip(self.sources, chosen, strict=True) if wanted]
        values = tuple(column[chosen] for column in self.values)
        return TickColumns(
            self.symbol_ids[chosen],
            self.times[chosen],
            self.sequences[chosen],
            values,
            sources,
        )


def tick_columns(ticks: Sequence[Tick], symbol_ids: dict[str, int]) -> TickColumns:
    """Columns of some ticks. Raises OverflowError, TypeError or ValueError where a value is no 64-bit whole number."""
    symbols, times, sequences, bids, asks, bid_volumes, ask_volumes, sources = zip(*ticks, strict=True)
    return TickColumns(
        np.fromiter(map(symbol_ids.__getitem__, symbols), np.int64, len(ticks)),
        np.array(times, np.int64),
        np.array(sequences, np.int64),
        (_nullable(bids), _nullable(asks), _nullable(bid_volumes), _nullable(ask_volumes)),
        sources,
    )


def _nullable(values: Sequence[int | None]) -> Ints:
    if None in values:
        return np.array([NULL if value is None else value for value in values], np.int64)
    return np.array(values, np.int64)


def copy_rows(columns: TickColumns) -> Iterator[bytes]:
    """The rows of a COPY of symbol_id, tick_time, sequence, the four values and source, between header and trailer.

    Rows of one width go together: those with the same nulls and the same source.
    """
    present = np.stack([column != NULL for column in columns.values])
    one_source = len(set(columns.sources)) == 1
    if one_source and present.all():
        yield _rows(columns, (True, True, True, True), columns.sources[0])
        return
    sources = np.array(columns.sources, object)
    patterns = present.T @ np.array([1, 2, 4, 8])
    for source in dict.fromkeys(columns.sources):
        for pattern in np.unique(patterns[sources == source]):
            chosen = (patterns == pattern) & (sources == source)
            yield _rows(columns.take(chosen), tuple(bool(pattern >> k & 1) for k in range(4)), source)


def _rows(columns: TickColumns, present: Sequence[bool], source: str) -> bytes:
    text = source.encode()
    fields: list[Any] = [("fields", ">i2")]
    for name in ("symbol_id", "time", "sequence"):
        fields += [(f"{name}_size", ">i4"), (name, ">i8")]
    fields += [
        (name, _NUMERIC) if there else (name, ">i4") for name, there in zip(VALUES, present, strict=True)
    ]
    rows = np.zeros(len(columns), [*fields, ("source_size", ">i4"), ("source", f"V{len(text)}")])
    rows["fields"] = 8
    for name, column in (
        ("symbol_id", columns.symbol_ids), ("time", columns.times - _EPOCH_2000), ("sequence", columns.sequences),
    ):  # fmt: skip
        rows[f"{name}_size"] = 8
        rows[name] = column
    for name, there, column in zip(VALUES, present, columns.values, strict=True):
        if there:
            _fill_numeric(rows[name], column)
        else:
            rows[name] = -1
    rows["source_size"] = len(text)
    if text:
        rows["source"] = np.void(text)
    return rows.tobytes()


def _fill_numeric(field: npt.NDArray[Any], values: Ints) -> None:
    field["size"], field["count"], field["weight"], field["scale"] = 18, 5, 2, 8
    field["sign"] = np.where(values < 0, _NEGATIVE, 0)
    whole, part = np.divmod(np.abs(values), 100_000_000)
    digits = field["digits"]
    digits[:, 0] = whole // 100_000_000
    digits[:, 1] = whole // 10_000 % 10_000
    digits[:, 2] = whole % 10_000
    digits[:, 3] = part // 10_000
    digits[:, 4] = part % 10_000
