"""The digest that says two stores hold the same truth: sha256 over canonical bars."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from hypertape.frame import Micros, instant

CANONICAL_COLUMNS = ("open", "high", "low", "close", "volume")
"""What a canonical bar holds after its time."""


@dataclass(frozen=True, slots=True)
class SeriesDigest:
    """One line of `hypertape digest`: a series' length, span (UTC) and the sha256 over its canonical bars."""

    ticker: str
    rows: int
    first: datetime | None
    last: datetime | None
    sha256: str


def canonical(time: Micros, columns: Sequence[Any]) -> bytes:
    """Serialise bars for a digest: per bar the time as little-endian int64, then each column as a double.

    Equal bars give equal bytes: every NaN is the same one, and a negative zero is a zero.
    """
    record = np.empty(
        len(time), np.dtype([("time", "<i8"), *((f"c{i}", "<f8") for i in range(len(columns)))])
    )
    record["time"] = time
    for position, column in enumerate(columns):
        record[f"c{position}"] = np.where(np.isnan(column), np.nan, column + 0.0)
    return record.tobytes()


class RunningDigest:
    """The digest of a series that comes in blocks, in time order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._rows = 0
        self._first: datetime | None = None
        self._last: datetime | None = None

    def add(self, time: Micros, columns: Sequence[Any]) -> None:
        """Take the next block: a time array (int64 µs) and its columns."""
        if len(time):
            self._digest.update(canonical(time, columns))
            self._rows += len(time)
            self._first = instant(int(time[0])) if self._first is None else self._first
            self._last = instant(int(time[-1]))

    def result(self, ticker: str) -> SeriesDigest:
        """The digest of what was taken so far."""
        return SeriesDigest(ticker, self._rows, self._first, self._last, self._digest.hexdigest())


def digest_blocks(ticker: str, blocks: Iterable[tuple[Micros, Sequence[Any]]]) -> SeriesDigest:
    """Digest a series that comes in blocks, in time order, each a time array (int64 µs) and its columns."""
    running = RunningDigest()
    for time, columns in blocks:
        running.add(time, columns)
    return running.result(ticker)
