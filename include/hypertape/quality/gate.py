"""The gate before every load: what cannot be a bar is set aside with the rule it breaks, and the rest goes on.

A row is judged by the rules below in this order, and the first one it breaks is its reject's rule.

| rule | the row is refused because |
|---|---|
| bad_ticker | the ticker is missing, empty, longer than 32, or unfit for a file name |
| missing_time | it has no time |
| too_early | it opens before 1900: a time the source could not mean |
| off_grid | it does not open on the interval's grid (calendars.on_grid) |
| future | it opens after now |
| not_finite | a price or the volume is missing, NaN or infinite, or the adjusted close is infinite |
| non_positive_price | a price is ≤ 0 in a market where prices are positive |
| negative_volume | the volume is < 0 |
| out_of_range | a price or the volume is so large or so near zero that a percentage of it would overflow a double |
| ohlc_order | not low ≤ open, close ≤ high |

Between `missing_time` and `too_early` the frame is sorted and of rows with the same key the last one wins, so
every input row ends as a bar, as a reject, or counted as a duplicate. An adjusted close may be missing (null;
NaN becomes null), and its sign is not judged: it is the vendor's derived figure, and refusing it would lose a
true bar.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hypertape import calendars
from hypertape.errors import BadInput
from hypertape.frame import (
    BAR_SCHEMA,
    REJECT_SCHEMA,
    TIME_TYPE,
    empty_rejects,
    floats_of,
    instant,
    micros,
    normalise,
    times_of,
)
from hypertape.model import BAR_COLUMNS, PRICE_COLUMNS, VALUE_COLUMNS, Interval, Market, utc

Mask = npt.NDArray[np.bool_]
Row = dict[str, Any]

TICKER_LENGTH = 32
_TICKER = re.compile(rf"(?!.*\.\.)(?!\.$)[A-Za-z0-9._^=-]{{1,{TICKER_LENGTH}}}")
_EARLIEST = micros(utc(1900))
_LARGEST, _SMALLEST = 1e18, 1e-18
"""Sizes of prices and volumes that can be meant. PostgreSQL raises where a double overflows or underflows, so one bar
beyond them would make its relation's view unreadable."""
_EARLIEST_WRITTEN, _LATEST_WRITTEN = micros(utc(1)), micros(utc(9999))


@dataclass(frozen=True, slots=True)
class Gated:
    """What the gate made of a frame.

    `bars` is clean and normalised, `rejects` has frame.REJECT_SCHEMA, `duplicates` counts by ticker the rows
    that a later row of the same key replaced (tickers without any are absent). Rows in = bars + rejects +
    duplicates.
    """

    bars: pa.Table
    rejects: pa.Table
    duplicates: dict[str, int]


@dataclass(frozen=True, slots=True)
class Context:
    """What the rules know beside the row."""

    market: Market
    interval: Interval
    now: datetime


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to refuse a row: which rows break it, and how a broken row's reject shows the offending value."""

    name: str
    broken: Callable[[pa.Table, Context], Mask]
    value: Callable[[Row], str]


def gate(frame: pa.Table, market: Market, interval: Interval, *, now: datetime) -> Gated:
    """Split a bar frame, in any order and with any defects, into clean bars and rejects.

    `now` is an aware instant. Gating the bars again refuses nothing and changes nothing. Raises BadInput when `now`
    has no time zone.
    """
    if now.tzinfo is None:
        raise BadInput(f"{now} has no time zone", next_step="Pass a UTC instant.")
    context = Context(market, interval, now)
    frame = frame.select(BAR_COLUMNS).cast(BAR_SCHEMA).combine_chunks()
    keyed, without_key = _sift(frame, KEY_RULES, context)
    unique, duplicates = _last_wins(keyed)
    bars, broken = _sift(_null_for_nan(unique), BAR_RULES, context)
    return Gated(bars, pa.concat_tables([without_key, broken]), duplicates)


def _sift(frame: pa.Table, rules: Sequence[Rule], context: Context) -> tuple[pa.Table, pa.Table]:
    """Part the rows that break no rule from the rest, which become rejects."""
    first_broken = np.full(len(frame), len(rules), np.int8)
    for index, rule in reversed(list(enumerate(rules))):
        first_broken[rule.broken(frame, context)] = index
    bad = first_broken < len(rules)
    if not bad.any():
        return frame, empty_rejects()
    names = [rules[index] for index in first_broken[bad]]
    return frame.filter(pa.array(~bad)), _rejects(frame.filter(pa.array(bad)), names)


def _rejects(frame: pa.Table, rules: Sequence[Rule]) -> pa.Table:
    """The reject table of refused rows, `rules[k]` being what row k broke."""
    times = times_of(frame.set_column(1, "time", pc.fill_null(frame["time"], instant(0))))
    rows = frame.drop_columns("time").to_pylist()
    texts = _time_texts(frame)
    records = [{"ticker": row["ticker"], "time": text, **row} for row, text in zip(rows, texts, strict=True)]
    writable = (times >= _EARLIEST_WRITTEN) & (times < _LATEST_WRITTEN)
    columns = [
        pa.array([_ticker_text(row) for row in records], pa.string()),
        pc.if_else(pa.array(writable), frame["time"], pa.scalar(None, TIME_TYPE)),
        pa.array([rule.name for rule in rules], pa.string()),
        pa.array([rule.value(row) for rule, row in zip(rules, records, strict=True)], pa.string()),
        pa.array([_json(row) for row in records], pa.string()),
    ]
    return pa.table(columns, schema=REJECT_SCHEMA)


def _time_texts(frame: pa.Table) -> list[str | None]:
    """ISO 8601 UTC, also of times that no datetime can hold."""
    naive = frame["time"].cast(pa.timestamp("us")).combine_chunks().to_numpy(zero_copy_only=False)
    texts = (str(time).removesuffix(".000000") for time in naive)
    return [None if text == "NaT" else f"{text}+00:00" for text in texts]


def _json(row: Row) -> str:
    """Strict JSON whose numbers read back exactly; what JSON has no number for (nan, inf) is text."""
    return json.dumps({name: _json_value(value) for name, value in row.items()}, allow_nan=False)


def _json_value(value: object) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _last_wins(frame: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    if _is_normal(frame):
        return frame, {}
    unique, dropped = normalise(frame)
    if not dropped:
        return unique, {}
    kept = _rows_by_ticker(unique)
    before = _rows_by_ticker(frame)
    return unique, {ticker: rows - kept[ticker] for ticker, rows in before.items() if rows > kept[ticker]}


def _is_normal(frame: pa.Table) -> bool:
    """True when the rows are already sorted with unique keys; far cheaper to see than to sort again."""
    codes = pc.dictionary_encode(frame["ticker"]).combine_chunks()
    tickers = codes.dictionary.to_pylist()
    if tickers != sorted(tickers):
        return False
    code, time = codes.indices.to_numpy(), times_of(frame)
    later = (code[1:] == code[:-1]) & (time[1:] > time[:-1])
    return bool((later | (code[1:] > code[:-1])).all())


def _rows_by_ticker(frame: pa.Table) -> dict[str, int]:
    counts = pc.value_counts(frame["ticker"])
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def _null_for_nan(frame: pa.Table) -> pa.Table:
    adjusted = frame["adjusted_close"]
    missing = pc.is_nan(adjusted)
    if not pc.any(missing).as_py():
        return frame
    position = frame.schema.get_field_index("adjusted_close")
    column = pc.if_else(missing, pa.scalar(None, pa.float64()), adjusted)
    return frame.set_column(position, BAR_SCHEMA.field("adjusted_close"), column)


def _bad_ticker(frame: pa.Table, _: Context) -> Mask:
    tickers = pc.unique(frame["ticker"]).to_pylist()
    bad = [ticker for ticker in tickers if ticker is None or not is_ticker(ticker)]
    if not bad:
        return np.zeros(len(frame), np.bool_)
    return _mask(pc.is_in(frame["ticker"], value_set=pa.array(bad, pa.string())))


def _missing_time(frame: pa.Table, _: Context) -> Mask:
    return _mask(pc.is_null(frame["time"]))


def _too_early(frame: pa.Table, _: Context) -> Mask:
    return times_of(frame) < _EARLIEST


def _off_grid(frame: pa.Table, context: Context) -> Mask:
    return ~calendars.on_grid(context.market, context.interval, times_of(frame))


def _future(frame: pa.Table, context: Context) -> Mask:
    return times_of(frame) > micros(context.now)


def _not_finite(frame: pa.Table, _: Context) -> Mask:
    mask = np.isinf(floats_of(frame, "adjusted_close"))
    for name in (*PRICE_COLUMNS, "volume"):
        mask |= ~np.isfinite(floats_of(frame, name))
    return mask


def _non_positive_price(frame: pa.Table, context: Context) -> Mask:
    mask = np.zeros(len(frame), np.bool_)
    for name in PRICE_COLUMNS if context.market.positive_prices else ():
        mask |= floats_of(frame, name) <= 0.0
    return mask


def _negative_volume(frame: pa.Table, _: Context) -> Mask:
    return floats_of(frame, "volume") < 0.0


def _out_of_range(frame: pa.Table, _: Context) -> Mask:
    mask = np.zeros(len(frame), np.bool_)
    for name in (*PRICE_COLUMNS, "volume"):
        size = np.abs(floats_of(frame, name))
        mask |= (size > _LARGEST) | ((size < _SMALLEST) & (size > 0.0))
    return mask


def _is_out_of_range(value: float) -> bool:
    return abs(value) > _LARGEST or 0.0 < abs(value) < _SMALLEST


def _ohlc_order(frame: pa.Table, _: Context) -> Mask:
    opened, high, low, close = (floats_of(frame, name) for name in PRICE_COLUMNS)
    return (np.minimum(opened, close) < low) | (np.maximum(opened, close) > high)


def _mask(column: pa.ChunkedArray) -> Mask:
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), np.bool_)


def _time_text(row: Row) -> str:
    return str(row["time"])


def _value_text(names: tuple[str, ...], offends: Callable[[Any], bool]) -> Callable[[Row], str]:
    return lambda row: next(f"{name}={row[name]}" for name in names if offends(row[name]))


def _order_text(row: Row) -> str:
    return ", ".join(f"{name}={row[name]}" for name in PRICE_COLUMNS)


def is_ticker(ticker: str) -> bool:
    """Whether a text can be a ticker."""
    return _TICKER.fullmatch(ticker) is not None


def ticker_text(ticker: str) -> str:
    """A ticker that can be stored and shown whatever the source sent: printable, no longer than twice the limit."""
    return ticker if is_ticker(ticker) else ascii(ticker)[1:-1][: 2 * TICKER_LENGTH]


def _ticker_text(row: Row) -> str:
    return ticker_text(row["ticker"] or "")


KEY_RULES = (
    Rule("bad_ticker", _bad_ticker, _ticker_text),
    Rule("missing_time", _missing_time, _time_text),
)
BAR_RULES = (
    Rule("too_early", _too_early, _time_text),
    Rule("off_grid", _off_grid, _time_text),
    Rule("future", _future, _time_text),
    Rule("not_finite", _not_finite, _value_text(VALUE_COLUMNS, lambda v: v is None or not math.isfinite(v))),
    Rule("non_positive_price", _non_positive_price, _value_text(PRICE_COLUMNS, lambda v: v <= 0)),
    Rule("negative_volume", _negative_volume, _value_text(("volume",), lambda v: v < 0)),
    Rule("out_of_range", _out_of_range, _value_text((*PRICE_COLUMNS, "volume"), _is_out_of_range)),
    Rule("ohlc_order", _ohlc_order, _order_text),
)
