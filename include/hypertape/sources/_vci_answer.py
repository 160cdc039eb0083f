"""What VCI's gap-chart answers, read: one object a symbol, `symbol` and the arrays `o h l c v t` of equal length.

`t` is the opening in seconds since 1970, as a number or as text; a daily bar lies somewhere on its local date.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from hypertape.cells import number, row_text, shown
from hypertape.errors import SourceSchemaChanged, SourceUnavailable
from hypertape.frame import Floats, Micros, bar_frame, instant, reject_frame
from hypertape.model import Interval, Market
from hypertape.sources._collect import TickerAnswer
from hypertape.sources._daily_stamps import Mask, daily_times
from hypertape.sources._session import read_json, start_of

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
    answer = read_json("VCI", body)
    if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
        raise SourceSchemaChanged(f"VCI's answer is no list of objects: {start_of(body)}")
    found: dict[str, list[Any]] = {}
    for entry in answer:
        if not isinstance(entry.get("symbol"), str):
            raise SourceSchemaChanged("An object of VCI's answer has no symbol")
        found.setdefault(entry["symbol"].upper(), []).append(entry)
    return found


def refuses(body: bytes) -> bool:
    """True where a refusal is VCI's own: it words them as JSON objects. A page is somebody else's."""
    try:
        return isinstance(read_json("VCI", body), dict)
    except (SourceSchemaChanged, SourceUnavailable):
        return False


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
    seconds = _numbers(times)
    seconds[~((seconds >= 0) & (seconds < _SECONDS))] = np.nan
    return seconds


def read_bars(
    ticker: str, series: Series, seconds: Floats, interval: Interval, market: Market, today: date
) -> TickerAnswer:
    """Make bars of one symbol's arrays, in the vendor's order; `today` is the day whose session may be running.

    Reject rules: bad_time, off_grid (a daily bar stamped where none can be), text_in_number, empty_bar (every price
    missing). A missing number is left to the gate. Raises SourceSchemaChanged when none of the times can be read.
    """
    if len(seconds) and np.isnan(seconds).all():
        raise SourceSchemaChanged(f"VCI's times are no seconds since 1970: {shown(series['t'][0])!r}")
    columns = {name: _column(series[letter]) for name, letter in _ARRAYS.items()}
    stamps, times, stray = _times(seconds, interval, market, today)
    faults = {"bad_time": np.isnan(seconds), "off_grid": stray}
    faults["text_in_number"] = np.any([strange for _, strange in columns.values()], axis=0)
    faults["empty_bar"] = np.all([np.isnan(columns[name][0]) for name in _PRICES], axis=0)
    bad = np.any(list(faults.values()), axis=0)
    values = {name: numbers[~bad] for name, (numbers, _) in columns.items()}
    wrong = {name: strange for name, (_, strange) in columns.items()}
    rejects = [
        _reject(
            ticker, row, series, int(stamps[row]), next(rule for rule in faults if faults[rule][row]), wrong
        )
        for row in map(int, np.flatnonzero(bad))
    ]
    return TickerAnswer(
        bar_frame(ticker, times[~bad], values), reject_frame(rejects), rows_in=len(series["t"])
    )


def _times(seconds: Floats, interval: Interval, market: Market, today: date) -> tuple[Micros, Micros, Mask]:
    """The vendor's own instants, the bars' times and which instants are none of a bar; 0 where there is none."""
    stamps: Micros = (np.nan_to_num(seconds) * 1_000_000).astype(np.int64)
    if interval is not Interval.D1:
        return stamps, stamps, np.zeros(len(stamps), np.bool_)
    days, stray = daily_times(market, stamps, running=today)
    return stamps, days, stray & ~np.isnan(seconds)


def _column(cells: list[Any]) -> tuple[Floats, Mask]:
    """Numbers (NaN: missing), and where a cell is something else."""
    numbers = _numbers(cells)
    missing = np.array([cell is None for cell in cells], np.bool_)
    return numbers, np.isnan(numbers) & ~missing


def _numbers(cells: Sequence[Any]) -> Floats:
    return np.array([np.nan if (value := number(cell)) is None else value for cell in cells], np.float64)


def _reject(
    ticker: str, row: int, series: Series, stamp: int, rule: str, wrong: dict[str, Mask]
) -> tuple[Any, ...]:
    cells = {name: series[letter][row] for name, letter in _ARRAYS.items()}
    time = None if rule == "bad_time" else instant(stamp)
    written = series["t"][row] if time is None else time.isoformat()
    text = row_text({"ticker": ticker, "time": written, **cells})
    strange = next((name for name in cells if wrong[name][row]), "")
    values = {
        "bad_time": shown(series["t"][row]),
        "off_grid": shown(written),
        "text_in_number": f"{strange}={shown(cells[strange])}" if strange else "",
        "empty_bar": "no price",
    }
    return ticker, time, rule, values[rule], text
