"""Bars as the text of a CSV file, with the 13 indicators computed over the file's own bars and those told before them.

| format | time | prices, averages | volume | scores, percent | money |
|---|---|---|---|---|---|
| lossless | date, or seconds with `T` | shortest that reads back the same, no `.0` | the same | the same | the same |
| legacy | the same | 2 decimals | whole, else shortest | 4 decimals | whole |

Legacy rounds each price first and computes from the rounded ones. An average is then the sum from the oldest to the
newest close, one addition after the other, divided by N; a half of the last decimal is decided by the double's exact
value, and by the even digit where that is a half too; a small negative number keeps its sign (`-0.0000`). Found by
comparing with the answer files, which it reproduces to the last cell; other orders of summing differ in about a
hundred of their averages.

In the legacy unit (thousands) everything in money has three decimals more, so nothing is lost beyond the rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from hypertape.frame import BAR_SCHEMA, Bars, Floats, Micros
from hypertape.indicators import LOOKBACK, enrich
from hypertape.indicators.changes import change
from hypertape.indicators.scores import score
from hypertape.model import (
    AVERAGE_COLUMNS,
    AVERAGES,
    CHANGE_COLUMNS,
    INDICATOR_COLUMNS,
    PRICE_COLUMNS,
    SCORE_COLUMNS,
    Interval,
)
from hypertape.sources._csv_file import CELLS
from hypertape.stores.addresses import CsvFormat

HEADER = (",".join((*CELLS, *INDICATOR_COLUMNS)) + "\n").encode()
"""The first line of every written file."""

_MONEY = (*PRICE_COLUMNS, *AVERAGE_COLUMNS, "total_money_changed")
_DECIMALS = {
    **dict.fromkeys((*PRICE_COLUMNS, *AVERAGE_COLUMNS), 2),
    **dict.fromkeys((*SCORE_COLUMNS, "close_changed", "volume_changed"), 4),
    "total_money_changed": 0,
}
_REPEATED = frozenset((*PRICE_COLUMNS, "volume", "ma10", "ma20", "close_changed", "total_money_changed"))
"""Columns of few values: prices stand on a tick, and what is reckoned from few of them repeats as well."""

_PIECE = 16_384
"""Bars whose text is made at a time: more are no faster and take 0.5 KB each."""

_POOL = pa.system_memory_pool()
"""Text comes and goes: Arrow's own pool keeps some 50 MB of it, and is no faster."""

_WHOLE = 2.0**53
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND

assert BAR_SCHEMA.names[:2] == list(CELLS[:2])


class Writer:
    """Turns consecutive stretches of one series into the lines of its file.

    `scale` is what the file's prices are divided by (1: the market's own unit).
    """

    def __init__(self, ticker: str, interval: Interval, format: CsvFormat, scale: float = 1.0) -> None:
        self._ticker, self._interval, self._format, self._scale = ticker, interval, format, scale
        self._close, self._volume = np.empty(0), np.empty(0)

    def settle(self, bars: Bars) -> Bars:
        """The bars as the file can hold them: without an adjusted close, and rounded when the format rounds."""
        prices = {name: getattr(bars, name) for name in PRICE_COLUMNS}
        if self._format is CsvFormat.LEGACY:
            prices = {name: _rounded(values, 2) for name, values in prices.items()}
        return replace(bars, **prices, adjusted_close=np.full(len(bars), np.nan))

    def follow(self, before: Bars) -> None:
        """Let the indicators of the next bars see these, which are not written."""
        settled = self.settle(before)
        self._close, self._volume = settled.close[-LOOKBACK:], settled.volume[-LOOKBACK:]

    def lines(self, bars: Bars) -> Iterator[pa.Buffer]:
        """The lines of the next settled bars, in pieces."""
        columns = {name: getattr(bars, name) for name in (*PRICE_COLUMNS, "volume")} | self._indicators(bars)
        if self._scale != 1.0:
            columns |= {name: quotient(columns[name], self._scale) for name in _MONEY}
        for first in range(0, len(bars), _PIECE):
            some = slice(first, first + _PIECE)
            yield self._text(bars.time[some], {name: values[some] for name, values in columns.items()})

    def _text(self, time: Micros, columns: Mapping[str, Floats]) -> pa.Buffer:
        cells = [pa.repeat(self._ticker, len(time)), _time_cells(time, self._interval)]
        cells += [self._cells(name, columns[name]) for name in (*CELLS[2:], *INDICATOR_COLUMNS)]
        sink = pa.BufferOutputStream(_POOL)
        table = pa.table(cells, names=[*CELLS, *INDICATOR_COLUMNS])
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
        pyarrow.csv.write_csv(table, sink, options, memory_pool=_POOL)
        return sink.getvalue()

    def _indicators(self, bars: Bars) -> dict[str, Floats]:
        """The 13 columns, from these bars and as many before them as the longest lookback needs."""
        seen = len(self._close)
        close = np.concatenate([self._close, bars.close])
        volume = np.concatenate([self._volume, bars.volume])
        compute = _legacy_indicators if self._format is CsvFormat.LEGACY else enrich
        columns = compute(close, volume)
        self._close, self._volume = close[-LOOKBACK:].copy(), volume[-LOOKBACK:].copy()
        return {name: columns[name][seen:] for name in INDICATOR_COLUMNS}

    def _cells(self, name: str, values: Floats) -> pa.Array:
        if self._format is CsvFormat.LOSSLESS or name == "volume":
            return _shortest(values, repeated=name in _REPEATED)
        money = name in _MONEY
        more = round(math.log10(self._scale)) if money else 0
        return _fixed(values, _DECIMALS[name] + more)


def quotient(values: Floats, factor: float) -> Floats:
    """Divide decimals as they are written: 20483.33 ÷ 1000 is 20.48333.

    A value of at most nine decimals becomes an integer, exactly, and one correctly rounded division gives the double
    nearest to the true decimal; what has more digits is divided as it is. Where the quotient has at most nine decimals,
    `exact_product` brings the value back.
    """
    result = values / factor
    for digits in range(9, -1, -1):
        unit = 10.0**digits
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.rint(values * unit)
            fits = (whole / unit == values) & (np.abs(whole) < _WHOLE) & (unit * factor < _WHOLE)
        result[fits] = whole[fits] / (unit * factor)
    return result


def _legacy_indicators(close: Floats, volume: Floats) -> dict[str, Floats]:
    averages = {name: _summed_forward(close, n) for name, n in zip(AVERAGE_COLUMNS, AVERAGES, strict=True)}
    scores = {
        name: score(close, average) for name, average in zip(SCORE_COLUMNS, averages.values(), strict=True)
    }
    before, volume_before = _shifted(close), _shifted(volume)
    changes = (change(close, before), change(volume, volume_before), (close - before) * volume)
    return {**averages, **scores, **dict(zip(CHANGE_COLUMNS, changes, strict=True))}


def _summed_forward(close: Floats, n: int) -> Floats:
    """The mean of the last n closes, added from the oldest on; NaN for the first n − 1."""
    result = np.full(len(close), np.nan)
    if len(close) >= n:
        total = np.zeros(len(close) - n + 1)
        for offset in range(n):
            total += close[offset : offset + len(total)]
        result[n - 1 :] = total / n
    return result


def _shifted(values: Floats) -> Floats:
    return np.concatenate([[np.nan], values[:-1]])


def _rounded(values: Floats, decimals: int) -> Floats:
    """The doubles that the texts with so many decimals read back as."""
    unit = 10.0**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * unit
        whole = np.rint(scaled)
        near_half = ~(np.abs(np.abs(scaled - whole) - 0.5) > 1e-3)
    result = whole / unit
    exact = near_half | ~(np.abs(scaled) < _WHOLE / 2**20)  # there the product may have crossed the half
    result[exact] = [float(f"{value:.{decimals}f}") for value in values[exact].tolist()]
    return result


def _fixed(values: Floats, decimals: int) -> pa.Array:
    texts = [None if value != value else f"{value:.{decimals}f}" for value in values.tolist()]
    return pa.array(texts, pa.string())


def _shortest(values: Floats, *, repeated: bool = False) -> pa.Array:
    """The shortest text that reads back as the same double; empty for NaN, and a negative zero is a zero.

    Of values that are `repeated` each is written once.
    """
    numbers = pa.array(values + 0.0, pa.float64(), from_pandas=True)
    if not repeated:
        return numbers
    encoded = pc.dictionary_encode(numbers, memory_pool=_POOL)
    texts = pc.cast(encoded.dictionary, pa.string(), memory_pool=_POOL)
    return pc.take(texts, encoded.indices, memory_pool=_POOL)


def _time_cells(time: Micros, interval: Interval) -> pa.Array:
    instants = pa.array(time).cast(pa.timestamp("us"))
    if interval is Interval.D1 and bool((time % _DAY == 0).all()):
        return instants.cast(pa.date32())
    if bool((time % _SECOND == 0).all()):
        instants = instants.cast(pa.timestamp("s"))
    return pc.utf8_replace_slice(instants.cast(pa.string()), 10, 11, "T")
