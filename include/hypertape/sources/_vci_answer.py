"""What VCI's gap-chart answers, read: one object a symbol, `symbol` and the arrays `o h l c v t` of equal length.

`t` is the opening in seconds since 1970, as a number or as text; a daily bar lies somewhere on its local date.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from hypertape.errors import SourceSchemaChanged, SourceUnavailable
from hypertape.frame import Floats, Micros, bar_frame, instant, reject_frame
from hypertape.model import Interval
from hypertape.sources._collect import TickerAnswer

_ARRAYS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_PRICES = ("open", "high", "low", "close")
_SECONDS = 4e9
"""Later than any bar in seconds, and sooner than any in milliseconds."""

Series = dict[str, list[Any]]
"""One symbol's arrays by their letters."""


def read_answer(body: bytes) -> dict[str, list[Any]]:
    """Split an answer by symbol, in capitals; a symbol may come twice.

    Raises SourceUnavailable for a body that is no whole JSON text, SourceSchemaChanged for one of another shape.
    """
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise SourceUnavailable(f"VCI's answer is no whole JSON text: {_start(body)}") from error
    if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
        raise SourceSchemaChanged(f"VCI's answer is no list of objects: {_start(body)}")
    found: dict[str, list[Any]] = {}
    for entry in answer:
        if not isinstance(entry.get("symbol"), str):
            raise SourceSchemaChanged("An object of VCI's answer has no symbol")
        found.setdefault(entry["symbol"].upper(), []).append(entry)
    return found


def read_series(entry: dict[str, Any]) -> Series:
    """The arrays of one symbol, checked for shape. Raises SourceSchemaChanged."""
    letters = (*_ARRAYS.values(), "t")
    missing = [letter for letter in letters if not isinstance(entry.get(letter), list)]
    if missing:
        raise SourceSchemaChanged(f"VCI's answer has no array {', '.join(missing)}")
    lengths = {letter: len(entry[letter]) for letter in letters}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{letter} {length}" for letter, length in lengths.items())
        raise SourceSchemaChanged(f"The arrays of VCI's answer differ in length: {told}")
    return {letter: entry[letter] for letter in letters}


def openings(times: Sequence[Any]) -> Floats:
    """Seconds since 1970 of each bar; NaN where `t` cannot be read as that."""
    seconds = np.array([_number(cell) for cell in times], np.float64)
    seconds[~((seconds >= 0) & (seconds < _SECONDS))] = np.nan
    return seconds


def read_bars(ticker: str, series: Series, seconds: Floats, interval: Interval, zone: str) -> TickerAnswer:
    """Make bars of one symbol's arrays, in the vendor's order.

    Reject rules: bad_time, text_in_number, empty_bar (every price missing). A missing number is left to the gate.
    Raises SourceSchemaChanged when none of the times can be read.
    """
    if len(seconds) and np.isnan(seconds).all():
        raise SourceSchemaChanged(f"VCI's times are no seconds since 1970: {series['t'][0]!r}")
    columns = {name: _column(series[letter]) for name, letter in _ARRAYS.items()}
    empty = np.all([np.isnan(columns[name][0]) & ~columns[name][1] for name in _PRICES], axis=0)
    wrong = {name: strange for name, (_, strange) in columns.items()}
    timeless = np.isnan(seconds)
    bad = np.any([timeless, empty, *wrong.values()], axis=0) if len(seconds) else timeless
    times = session_times(np.where(timeless, 0, seconds), interval, zone)
    values = {name: numbers[~bad] for name, (numbers, _) in columns.items()}
    rejects = [
        _reject(ticker, row, series, None if timeless[row] else instant(int(times[row])), wrong)
        for row in map(int, np.flatnonzero(bad))
    ]
    return TickerAnswer(bar_frame(ticker, times[~bad], values), reject_frame(rejects))


def session_times(seconds: Floats, interval: Interval, zone: str) -> Micros:
    """Openings in µs: the instant itself, for a daily bar 00:00 UTC of its date in the market's zone."""
    instants: Micros = (seconds * 1_000_000).astype(np.int64)
    if interval is not Interval.D1:
        return instants
    local = ZoneInfo(zone)
    dates = [instant(int(at)).astimezone(local).date() for at in instants]
    days: Micros = np.array(dates, "datetime64[us]").astype(np.int64)
    return days


def _column(cells: list[Any]) -> tuple[Floats, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Numbers (NaN: missing), and where a cell is something else."""
    if set(map(type, cells)) <= {int, float}:
        return np.array(cells, np.float64), np.zeros(len(cells), np.bool_)
    numbers = np.array([_number(cell) for cell in cells], np.float64)
    strange = [cell is not None and math.isnan(n) for cell, n in zip(cells, numbers, strict=True)]
    return numbers, np.array(strange, np.bool_)


def _number(cell: Any) -> float:
    if cell is None or isinstance(cell, bool | list | dict):
        return math.nan
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return math.nan


def _reject(
    ticker: str, row: int, series: Series, time: datetime | None, wrong: dict[str, Any]
) -> tuple[str, datetime | None, str, str, str]:
    cells = {name: series[letter][row] for name, letter in _ARRAYS.items()}
    written = str(series["t"][row]) if time is None else time.isoformat()
    text = json.dumps({"ticker": ticker, "time": written, **cells})
    if time is None:
        return ticker, None, "bad_time", str(series["t"][row]), text
    strange = [name for name in cells if wrong[name][row]]
    if strange:
        return ticker, time, "text_in_number", f"{strange[0]}={cells[strange[0]]}", text
    return ticker, time, "empty_bar", "no price", text


def _start(body: bytes) -> str:
    return repr(body[:80].decode(errors="replace"))


def joined(answers: Sequence[TickerAnswer]) -> TickerAnswer:
    """Several answers of one ticker as one, in their order."""
    if not answers:
        return TickerAnswer()
    return TickerAnswer(
        pa.concat_tables([answer.bars for answer in answers]),
        pa.concat_tables([answer.rejects for answer in answers]),
    )
