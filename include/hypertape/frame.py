"""The bar frame: an Arrow table that every room passes to the next.

Columns and dtypes (`BAR_SCHEMA`): ticker string, time timestamp[us, UTC] (opening instant), open, high, low, close and
volume float64, adjusted_close float64 that may be null. Rows are sorted by (ticker, time) with unique keys once
`normalise` has seen them. Rows that cannot be bars travel beside it as a reject table (`REJECT_SCHEMA`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hypertape.model import BAR_COLUMNS, INDICATOR_COLUMNS, VALUE_COLUMNS

Floats = npt.NDArray[np.float64]
Micros = npt.NDArray[np.int64]

TIME_TYPE = pa.timestamp("us", tz="UTC")
BAR_SCHEMA = pa.schema(
    [("ticker", pa.string()), ("time", TIME_TYPE), *((name, pa.float64()) for name in VALUE_COLUMNS)]
)
ENRICHED_SCHEMA = pa.schema([*BAR_SCHEMA, *(pa.field(name, pa.float64()) for name in INDICATOR_COLUMNS)])
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

REJECT_SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("time", TIME_TYPE),  # null where the time itself cannot be read
        ("rule", pa.string()),
        ("value", pa.string()),
        ("row", pa.string()),  # the whole row as JSON, so that it can be replayed
    ]
)


@dataclass(frozen=True, slots=True)
class Bars:
    """One series as plain arrays, sorted by time, keys unique. `time` is int64 microseconds since 1970 UTC."""

    time: Micros
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    adjusted_close: Floats

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def empty(cls) -> Bars:
        """A series without bars."""
        return _NO_BARS

    def take(self, index: Any) -> Bars:
        """Select rows by slice, mask or positions."""
        return Bars(self.time[index], *(getattr(self, name)[index] for name in VALUE_COLUMNS))


_NO_BARS = Bars(np.empty(0, np.int64), *(np.empty(0, np.float64) for _ in VALUE_COLUMNS))


def bar_frame(ticker: str | Iterable[str], time: Any, values: Mapping[str, Any]) -> pa.Table:
    """Build a bar frame from columns; `time` is int64 microseconds or datetimes, adjusted_close may be left out.

    NaN in adjusted_close becomes null; in the other columns it stays for the gate to find.
    """
    times = np.asarray(time) if not isinstance(time, pa.Array | pa.ChunkedArray) else time
    length = len(times)
    tickers = pa.array([ticker] * length if isinstance(ticker, str) else list(ticker), pa.string())
    columns: list[Any] = [tickers, _time_array(times)]
    for name in VALUE_COLUMNS:
        column = values.get(name)
        if column is None:
            columns.append(pa.nulls(length, pa.float64()))
        else:
            columns.append(pa.array(column, pa.float64(), from_pandas=name == "adjusted_close"))
    return pa.table(columns, schema=BAR_SCHEMA)


def empty_frame() -> pa.Table:
    """A bar frame without rows."""
    return BAR_SCHEMA.empty_table()


def empty_rejects() -> pa.Table:
    """A reject table without rows."""
    return REJECT_SCHEMA.empty_table()


def reject_frame(rows: Iterable[tuple[str, datetime | None, str, str, str]]) -> pa.Table:
    """Build a reject table from (ticker, time, rule, value, row-as-JSON) tuples."""
    return pa.Table.from_pylist(
        [dict(zip(REJECT_SCHEMA.names, row, strict=True)) for row in rows], schema=REJECT_SCHEMA
    )


def normalise(frame: pa.Table) -> tuple[pa.Table, int]:
    """Sort by (ticker, time) and keep the last row of each key.

    Returns the frame and how many duplicates were dropped. "Last" is the order of the input.
    """
    frame = frame.select(BAR_COLUMNS).cast(BAR_SCHEMA)
    order = pc.sort_indices(
        frame.select(["ticker", "time"]).append_column("row", pa.array(np.arange(len(frame)))),
        sort_keys=[("ticker", "ascending"), ("time", "ascending"), ("row", "ascending")],
    )
    frame = frame.take(order).combine_chunks()
    if len(frame) < 2:
        return frame, 0
    same_time = pc.equal(frame["time"].slice(1), frame["time"].slice(0, len(frame) - 1))
    same_ticker = pc.equal(frame["ticker"].slice(1), frame["ticker"].slice(0, len(frame) - 1))
    followed = np.append(np.asarray(pc.and_(same_time, same_ticker)), False)
    return (frame.filter(pa.array(~followed)), int(followed.sum())) if followed.any() else (frame, 0)


def split_series(frame: pa.Table) -> Iterator[tuple[str, Bars]]:
    """Yield (ticker, Bars) for each ticker of a normalised frame, in order."""
    frame = frame.combine_chunks()
    if len(frame) == 0:
        return
    runs = pc.run_end_encode(frame["ticker"].chunk(0))
    time = times_of(frame)
    values = [floats_of(frame, name) for name in VALUE_COLUMNS]
    start = 0
    for ticker, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield ticker, Bars(time[start:end], *(column[start:end] for column in values))
        start = end


def times_of(frame: pa.Table) -> Micros:
    """The time column as int64 microseconds since 1970 UTC."""
    return np.asarray(
        frame["time"].cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False), np.int64
    )


def floats_of(frame: pa.Table, name: str) -> Floats:
    """A value column as float64, null as NaN."""
    return np.asarray(frame[name].combine_chunks().to_numpy(zero_copy_only=False), np.float64)


def micros(instant: datetime) -> int:
    """An aware instant as microseconds since 1970 UTC, exactly; Airflow's own kind of datetime too."""
    return datetime.__sub__(instant, _EPOCH) // _MICROSECOND  # pendulum's difference cannot be divided


def ceiling(instant: datetime, step: timedelta) -> datetime:
    """The first multiple of `step` since 1970 at or after an instant, the end of time at most."""
    wide = int(step / timedelta(microseconds=1))
    late = -(-micros(instant) // wide) * wide - micros(instant)
    try:
        return instant + timedelta(microseconds=late)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def find_times(time: Micros, held: Micros) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """For each time, whether it is among `held`, and where (any position where it is not)."""
    if len(held) == 0:
        return np.zeros(len(time), bool), np.zeros(len(time), np.intp)
    at = np.minimum(np.searchsorted(held, time), len(held) - 1)
    return np.asarray(held[at] == time), at


def instant(value: int) -> datetime:
    """Microseconds since 1970 UTC as an aware instant."""
    return _EPOCH + timedelta(microseconds=int(value))


def _time_array(times: Any) -> Any:
    if len(times) == 0:
        return pa.array([], TIME_TYPE)
    if isinstance(times, np.ndarray) and times.dtype.kind in "iu":
        return pa.array(times.astype(np.int64)).cast(pa.timestamp("us")).cast(TIME_TYPE)
    return pa.array(times).cast(TIME_TYPE)
