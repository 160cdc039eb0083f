"""Stretches of a series on their way to a reader: made wider, followed by indicators, cut to what was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from hypertape.api.bar_query import BarQuery
from hypertape.frame import Floats, Micros, micros
from hypertape.indicators import LOOKBACK, enrich
from hypertape.indicators.ema import RunningEma
from hypertape.model import (
    AVERAGE_COLUMNS,
    INDICATOR_COLUMNS,
    PRICE_COLUMNS,
    Market,
)
from hypertape.stores.csv_format import quotient

PRICES = (*PRICE_COLUMNS, "volume")
_MONEY = (*PRICE_COLUMNS, *AVERAGE_COLUMNS, "total_money_changed")
_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class BarSlice:
    """Consecutive bars of one series: opening times (int64 µs since 1970 UTC, ascending) and columns, NaN for null."""

    time: Micros
    columns: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.time)

    def cut(self, first: int, last: int | None = None) -> BarSlice:
        """The bars `first` to `last`."""
        part = slice(first, last)
        return BarSlice(self.time[part], {name: values[part] for name, values in self.columns.items()})

    def since(self, opening: datetime) -> BarSlice:
        """The bars that open at an instant or later."""
        return self.cut(int(np.searchsorted(self.time, micros(opening))))


@dataclass(frozen=True, slots=True)
class BarChunk:
    """Some bars of the answer, under the name the reader knows the series by."""

    name: str
    bars: BarSlice


class IndicatorStream:
    """Computes the indicators of a series that comes stretch by stretch, each from as many earlier bars as it needs.

    The 13 columns have the bits of a run over the whole series once `LOOKBACK` bars have passed, or from the first
    bar on when that is the series' own. An EMA depends on every bar before: it is right only from the series' begin.
    """

    def __init__(self, emas: tuple[int, ...] = ()) -> None:
        self._emas = {f"ema{n}": RunningEma(n) for n in emas}
        self._close, self._volume = np.empty(0), np.empty(0)

    def follow(self, bars: BarSlice) -> BarSlice:
        """The same bars with their indicators."""
        close = np.concatenate([self._close, bars.columns["close"]])
        volume = np.concatenate([self._volume, bars.columns["volume"]])
        new = len(close) - len(bars)
        known = max(new - LOOKBACK, 0)
        made = enrich(close[known:], volume[known:])
        columns = {name: made[name][new - known :] for name in INDICATOR_COLUMNS}
        columns |= {name: ema.follow(bars.columns["close"]) for name, ema in self._emas.items()}
        keep = max(len(close) - LOOKBACK, 0)
        self._close, self._volume = close[keep:], volume[keep:]
        return BarSlice(bars.time, {**{name: bars.columns[name] for name in PRICES}, **columns})


def resampled(slices: Iterable[BarSlice], hours: int) -> Iterator[BarSlice]:
    """Hourly bars as bars of so many hours, opening at multiples of them since 00:00 UTC.

    open is the first, close the last, high, low and volume as expected; hours that are not there count for nothing.
    """
    step = hours * _HOUR
    kept: BarSlice | None = None
    for bars in slices:
        bars = bars if kept is None else _joined(kept, bars)
        if not len(bars):
            continue
        whole = int(np.searchsorted(bars.time, bars.time[-1] // step * step))
        if whole:
            yield _grouped(bars.cut(0, whole), step)
        kept = bars.cut(whole)
    if kept is not None and len(kept):
        yield _grouped(kept, step)


def _joined(one: BarSlice, other: BarSlice) -> BarSlice:
    columns = {name: np.concatenate([one.columns[name], other.columns[name]]) for name in PRICES}
    return BarSlice(np.concatenate([one.time, other.time]), columns)


def _grouped(bars: BarSlice, step: int) -> BarSlice:
    opening = bars.time // step * step
    first = np.flatnonzero(np.append(True, opening[1:] != opening[:-1]))
    last = np.append(first[1:], len(bars)) - 1
    columns = {
        "open": bars.columns["open"][first],
        "high": np.maximum.reduceat(bars.columns["high"], first),
        "low": np.minimum.reduceat(bars.columns["low"], first),
        "close": bars.columns["close"][last],
        "volume": np.add.reduceat(bars.columns["volume"], first),
    }
    return BarSlice(opening[first], columns)


def cut_to(slices: Iterable[BarSlice], query: BarQuery) -> Iterator[BarSlice]:
    """The bars of a series that were asked for, out of slices that hold at least those."""
    low = micros(query.start) if query.start else None
    high = micros(query.end) if query.end else None
    inside = _between(slices, low, high)
    if query.limit is None:
        return inside
    return _newest(inside, query.limit) if query.newest else _oldest(inside, query.limit)


def _between(slices: Iterable[BarSlice], low: int | None, high: int | None) -> Iterator[BarSlice]:
    for bars in slices:
        first = 0 if low is None else int(np.searchsorted(bars.time, low))
        last = len(bars) if high is None else int(np.searchsorted(bars.time, high))
        if first < last:
            yield bars.cut(first, last)
        if last < len(bars):
            return


def _oldest(slices: Iterable[BarSlice], most: int) -> Iterator[BarSlice]:
    for bars in slices:
        yield bars.cut(0, most)
        most -= len(bars)
        if most <= 0:
            return


def _newest(slices: Iterable[BarSlice], most: int) -> Iterator[BarSlice]:
    kept: deque[BarSlice] = deque()
    held = 0
    for bars in slices:
        kept.append(bars)
        held += len(bars)
        while held - len(kept[0]) >= most:
            held -= len(kept.popleft())
    if kept:
        kept[0] = kept[0].cut(max(held - most, 0))
    yield from kept


def in_legacy_unit(bars: BarSlice, market: Market, ticker: str, also: Sequence[str] = ()) -> BarSlice:
    """Prices, averages, money and `also` in the unit of the documents' files: thousands, but for an index."""
    if market.file_scale == 1.0 or market.is_index(ticker):
        return bars
    money = [name for name in bars.columns if name in (*_MONEY, *also)]
    return BarSlice(
        bars.time,
        {**bars.columns, **{name: quotient(bars.columns[name], market.file_scale) for name in money}},
    )
