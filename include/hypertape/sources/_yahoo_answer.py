"""What Yahoo's chart endpoint answers, read: `{"chart": {"result": [...], "error": {...}}}`.

yfinance would read it too, and loses rows on the way: of two rows of a day it keeps the first and tells nobody, a fund
whose capital gains have a currency fails whole, and a dividend in another currency passes for one in the price's.

| in the answer | what it becomes |
|---|---|
| a row of a day or instant that comes again | a bar: the gate keeps the last one and counts the others |
| the running bar's last deal, as a row of its own | part of that bar, counted as a duplicate |
| a row outside regular trading hours, where none were asked for | outside |
| a row without any price; with a cell that is no number; at no time of a bar | a reject |
| a distribution in another currency than the prices', or that is no number | a refused action |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from hypertape.calendars import on_grid
from hypertape.cells import number, row_text, shown
from hypertape.errors import HypertapeError, NoData, SourceSchemaChanged, SourceUnavailable, UnknownTicker
from hypertape.frame import Floats, Micros, bar_frame, instant, reject_frame
from hypertape.model import Interval, Market
from hypertape.sources._collect import TickerAnswer
from hypertape.sources._daily_stamps import Mask, daily_times, usual_hours
from hypertape.sources._session import read_json, start_of
from hypertape.sources._yahoo_actions import with_actions

_PRICES = ("open", "high", "low", "close")
_COLUMNS = (*_PRICES, "volume", "adjusted_close")
_SECONDS = 4e9
"""Later than any bar in seconds, and sooner than any in milliseconds."""

_NOTHING_THERE = re.compile(r"doesn't exist|not available|no data|no price|not have data", re.IGNORECASE)
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is an answer to, and when it was asked."""

    market: Market
    ticker: str
    interval: Interval
    now: datetime


def read_chart(body: bytes, status: int) -> dict[str, Any]:
    """The one result of an answer.

    Raises UnknownTicker and NoData where Yahoo says so in its own shape, SourceUnavailable for what it would not say
    (another server's page, a refusal for another reason), SourceSchemaChanged for an answer of another shape.
    """
    answer = read_json("Yahoo", body)
    chart = answer.get("chart") if isinstance(answer, dict) else None
    if not isinstance(chart, dict):
        kind = SourceSchemaChanged if status < 400 else SourceUnavailable
        raise kind(f"Yahoo's answer (HTTP status {status}) is no chart: {start_of(body)}")
    error, results = chart.get("error"), chart.get("result")
    if isinstance(error, dict):
        raise _said(error, status)
    if not isinstance(results, list) or not results or not isinstance(results[0], dict):
        raise SourceSchemaChanged(f"Yahoo's chart has no result: {start_of(body)}")
    found: dict[str, Any] = results[0]
    return found


def _said(error: Mapping[str, Any], status: int) -> HypertapeError:
    """What Yahoo's own explanation means."""
    said = shown(error.get("description") or error.get("code") or "no reason")
    if error.get("code") == "Not Found":
        return UnknownTicker(
            f"Yahoo knows no such ticker, or no longer: {said}", next_step="Correct it in the ticker file."
        )
    if _NOTHING_THERE.search(said):
        return NoData(f"Yahoo has no bars: {said}")
    return SourceUnavailable(f"Yahoo refuses (HTTP status {status}): {said}")


def read_result(asked: Asked, result: Mapping[str, Any]) -> TickerAnswer:
    """The bars, rejects and actions of a result. Raises NoData where it has no rows, SourceSchemaChanged."""
    stamps = result.get("timestamp") or []
    if not isinstance(stamps, list):
        raise SourceSchemaChanged("Yahoo's timestamps are no list")
    meta = result.get("meta")
    if not isinstance(meta, dict):
        raise SourceSchemaChanged("Yahoo's chart has no meta data")
    if not stamps:
        if _first(result.get("indicators"), "quote") is None:
            raise SourceSchemaChanged("Yahoo's answer has another shape: no quotes")
        raise NoData("Yahoo has no bars there")
    cells = _cells(result, len(stamps))
    zone = _zone(asked.market, meta)
    bars = _read_rows(asked, stamps, cells, meta, zone)
    return with_actions(asked.ticker, bars, result, meta, zone)


def _cells(result: Mapping[str, Any], length: int) -> dict[str, list[Any]]:
    """The columns as they came, by our names. Raises SourceSchemaChanged where one is missing or of another length."""
    indicators = result.get("indicators")
    quote = _first(indicators, "quote")
    adjusted = _first(indicators, "adjclose") or {"adjclose": (quote or {}).get("close")}
    columns = {name: (quote or {}).get(name) for name in _COLUMNS[:-1]}
    columns["adjusted_close"] = adjusted.get("adjclose")
    found: dict[str, list[Any]] = {}
    for name, column in columns.items():
        if not isinstance(column, list):
            raise SourceSchemaChanged(f"Yahoo's answer has another shape: no column {name}")
        if len(column) != length:
            raise SourceSchemaChanged(
                f"Yahoo's answer has another shape: {length} timestamps and {len(column)} cells of {name}"
            )
        found[name] = column
    return found


def _first(indicators: Any, name: str) -> dict[str, Any] | None:
    group = indicators.get(name) if isinstance(indicators, dict) else None
    return group[0] if isinstance(group, list) and group and isinstance(group[0], dict) else None


def _zone(market: Market, meta: Mapping[str, Any]) -> str:
    """The exchange's zone: what Yahoo names, else the market's."""
    try:
        return ZoneInfo(str(meta.get("exchangeTimezoneName"))).key
    except (KeyError, ValueError, OSError):
        return market.timezone


@dataclass(slots=True)
class _Rows:
    """The rows of an answer: the vendor's instants (µs; 0: none), the bars' times, numbers (NaN: none) by column."""

    stamps: Micros
    times: Micros
    values: dict[str, Floats]
    faults: dict[str, Mask]


def _read_rows(
    asked: Asked, stamps: list[Any], cells: dict[str, list[Any]], meta: Mapping[str, Any], zone: str
) -> TickerAnswer:
    rows = _parsed(asked, stamps, cells, zone)
    outside = _out_of_hours(asked, rows.stamps, meta)
    live = _merge_live(asked, rows, outside)
    bad = np.any(list(rows.faults.values()), axis=0) & ~outside & ~live
    good = ~bad & ~outside & ~live
    rejects = [_reject(asked, row, stamps, cells, rows) for row in map(int, np.flatnonzero(bad))]
    return TickerAnswer(
        bar_frame(asked.ticker, rows.times[good], {name: rows.values[name][good] for name in _COLUMNS}),
        reject_frame(rejects),
        rows_in=len(stamps),
        duplicates=int(live.sum()),
        outside=int(outside.sum()),
    )


def _parsed(asked: Asked, stamps: list[Any], cells: dict[str, list[Any]], zone: str) -> _Rows:
    seconds = _numbers(stamps)
    seconds[~((seconds >= -_SECONDS) & (seconds < _SECONDS))] = np.nan
    if np.isnan(seconds).all():
        raise SourceSchemaChanged(f"Yahoo's timestamps are no seconds since 1970: {shown(stamps[0])!r}")
    exact: Micros = (np.nan_to_num(seconds) * 1_000_000).astype(np.int64)
    times, stray = exact, np.zeros(len(exact), np.bool_)
    if asked.interval is Interval.D1:
        times, stray = _days(asked, exact, zone)
    values = {name: _numbers(column) for name, column in cells.items()}
    missing = {name: np.array([cell is None for cell in column], np.bool_) for name, column in cells.items()}
    strange = {name: np.isnan(values[name]) & ~missing[name] for name in cells}
    faults = {
        "bad_time": np.isnan(seconds),
        "off_grid": stray & ~np.isnan(seconds),
        "text_in_number": np.any(list(strange.values()), axis=0),
        "empty_bar": np.all([missing[name] for name in _PRICES], axis=0),
    }
    return _Rows(exact, times, values, faults)


def _numbers(cells: list[Any]) -> Floats:
    return np.array([np.nan if (value := number(cell)) is None else value for cell in cells], np.float64)


def _days(asked: Asked, stamps: Micros, zone: str) -> tuple[Micros, Mask]:
    """Daily times. Around a change of clocks Yahoo stamps days of some zones hours early (yfinance saw it)."""
    opens, closes = usual_hours(asked.market)
    moved = stamps.copy()
    if closes - opens < _DAY - 60:
        local = [instant(int(at)).astimezone(ZoneInfo(zone)) for at in stamps]
        early = [24 - at.hour if at.hour in (22, 23) and at.minute == 0 else 0 for at in local]
        moved += np.array(early, np.int64) * 3_600_000_000
    return daily_times(asked.market, moved, zone, asked.now.astimezone(ZoneInfo(zone)).date())


def _out_of_hours(asked: Asked, stamps: Micros, meta: Mapping[str, Any]) -> Mask:
    """Which intraday rows lie outside their day's regular hours, which is all that was asked for."""
    periods = list(_periods(meta)) if asked.interval is not Interval.D1 else []
    opens, closes = usual_hours(asked.market)
    if not periods or closes - opens >= _DAY - 60:  # Yahoo's day of crypto ends a minute early
        return np.zeros(len(stamps), np.bool_)
    assert asked.interval.delta is not None
    width = int(asked.interval.delta.total_seconds()) * 1_000_000
    starts, ends = (np.array(edge, np.int64) * 1_000_000 for edge in zip(*sorted(periods), strict=True))
    at = np.searchsorted(starts, stamps + width - 1, side="right") - 1
    covered = (stamps >= starts[0] - _DAY * 1_000_000) & (stamps < ends[-1] + _DAY * 1_000_000)
    inside = (at >= 0) & (stamps < ends[np.maximum(at, 0)])
    mask: Mask = covered & ~inside
    return mask


def _periods(meta: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    periods = meta.get("tradingPeriods")
    for day in periods if isinstance(periods, list) else ():
        for period in day if isinstance(day, list) else (day,):
            edges = (
                (number(period.get(name)) for name in ("start", "end")) if isinstance(period, dict) else ()
            )
            whole = [int(edge) for edge in edges if edge is not None and abs(edge) < _SECONDS]
            if len(whole) == 2 and whole[0] < whole[1]:
                yield whole[0], whole[1]


def _merge_live(asked: Asked, rows: _Rows, outside: Mask) -> Mask:
    """Add the last deal, where it comes as a row of its own, to the running bar; return which rows that took."""
    live = np.zeros(len(rows.stamps), np.bool_)
    shown_rows = np.flatnonzero(~outside & ~np.any(list(rows.faults.values()), axis=0))
    if asked.interval is Interval.D1 or len(shown_rows) < 2:
        return live
    assert asked.interval.delta is not None
    bar, deal = map(int, shown_rows[-2:])
    apart = int(rows.stamps[deal] - rows.stamps[bar])
    if on_grid(asked.market, asked.interval, rows.stamps[[deal]])[0] or not (
        0 < apart < int(asked.interval.delta.total_seconds()) * 1_000_000
    ):
        return live
    values = rows.values
    values["high"][bar] = np.fmax(values["high"][bar], values["high"][deal])
    values["low"][bar] = np.fmin(values["low"][bar], values["low"][deal])
    for name in ("close", "adjusted_close"):
        values[name][bar] = values[name][deal]
    values["volume"][bar] += np.nan_to_num(values["volume"][deal])
    live[deal] = True
    return live


def _reject(
    asked: Asked, row: int, stamps: list[Any], cells: dict[str, list[Any]], rows: _Rows
) -> tuple[Any, ...]:
    rule = next(name for name, mask in rows.faults.items() if mask[row])
    kept = rows.times[row] if rule == "empty_bar" else rows.stamps[row]
    time = None if rule == "bad_time" else instant(int(kept))
    content = {name: column[row] for name, column in cells.items()}
    written = stamps[row] if time is None else time.isoformat()
    strange = next((n for n, cell in content.items() if cell is not None and number(cell) is None), "")
    values = {
        "bad_time": shown(stamps[row]),
        "off_grid": shown(written),
        "text_in_number": f"{strange}={shown(content.get(strange))}",
        "empty_bar": "no price",
    }
    return (
        asked.ticker,
        time,
        rule,
        values[rule],
        row_text({"ticker": asked.ticker, "time": written, **content}),
    )
