"""The rules of the gate, and what each does: refuse a row, flag a bar, or fail the answer.

A row is judged in this order, and the first rule it breaks is its reject's.

| rule | the row | unless the market says otherwise |
|---|---|---|
| bad_ticker | has a ticker that is missing, empty, longer than 32, or unfit for a file name | refuse |
| missing_time | has no time | refuse |
| too_early | opens before 1900: a time the source could not mean | refuse |
| off_grid | does not open on the interval's grid (calendars.on_grid) | refuse |
| future | opens after now | refuse |
| not_finite | has a price or volume that is missing, NaN or infinite, or an infinite adjusted close | refuse |
| non_positive_price | has a price ≤ 0 in a market where prices are positive | refuse |
| negative_volume | has a volume < 0 | refuse |
| out_of_range | has a price or volume so large or near zero that a percentage of it would overflow a double | refuse |
| high_below_low | has its high below its low | refuse |
| ohlc_order | has its open or close outside [low, high] by more than 1e-9 of the bound | flag |

`refuse`: the row goes whole to quarantine and the rest goes on. `flag`: the bar is stored as delivered, and a row of
`bar_flag` says so. `fail`: every row of the ticker's answer goes to quarantine. Real feeds have opens and closes
outside their range (two of a thousand Vietnamese days, half the days of some London listings), and a refused bar is a
hole that shifts 199 averages: docs/decisions/0025-gate-actions.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hypertape import calendars
from hypertape.errors import BadInput
from hypertape.frame import Bars, Floats, floats_of, micros, times_of
from hypertape.model import PRICE_COLUMNS, VALUE_COLUMNS, Interval, Market, utc

Mask = npt.NDArray[np.bool_]
Row = dict[str, Any]

REFUSE, FLAG, FAIL = "refuse", "flag", "fail"
ACTIONS = (REFUSE, FLAG, FAIL)

TICKER_LENGTH = 32
_TICKER = re.compile(rf"(?!.*\.\.)(?!\.$)[A-Za-z0-9._^=-]{{1,{TICKER_LENGTH}}}")
_EARLIEST = micros(utc(1900))
_LARGEST, _SMALLEST = 1e18, 1e-18
"""Sizes of prices and volumes that can be meant. PostgreSQL raises where a double overflows or underflows, so one bar
beyond them would make its relation's view unreadable."""

ARITHMETIC = 1e-9
"""Relative. Adjusted prices that a vendor computes differ in their last places: a close that is above its high by less
is no finding."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the rules know beside the row."""

    market: Market
    interval: Interval
    now: datetime


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong with a row: which rows break it, and how a broken row shows the offending value.

    `action` is what is done about it by default. `of_prices` is set where a bar that breaks it can be stored, so that
    `flag` is possible: the same judgement on open, high, low and close.
    """

    name: str
    broken: Callable[[pa.Table, Context], Mask]
    value: Callable[[Row], str]
    action: str = REFUSE
    of_prices: Callable[[Floats, Floats, Floats, Floats], Mask] | None = None
    only_positive_prices: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A stored bar (opening in µs) that breaks a rule which the market only flags."""

    time: int
    rule: str
    value: str


def action_of(rule: Rule, market: Market) -> str:
    """What a market does about a rule. Raises BadInput for an action there is not, or one the rule cannot have."""
    action = market.gate_actions.get(rule.name, rule.action)
    valid = [one for one in ACTIONS if one != FLAG or rule.of_prices is not None]
    if action not in valid:
        raise BadInput(
            f"Market {market.code} cannot {action!r} rows that break {rule.name}",
            next_step=f"Actions of {rule.name}: {', '.join(valid)}.",
        )
    return action


def check_actions(market: Market) -> None:
    """Raise BadInput unless every gate action that a market names is one of a rule there is."""
    known = {rule.name: rule for rule in (*KEY_RULES, *BAR_RULES)}
    for name in market.gate_actions:
        if name not in known:
            raise BadInput(
                f"Market {market.code} names an action of a gate rule {name!r} that there is not",
                next_step=f"Rules: {', '.join(known)}.",
            )
        action_of(known[name], market)


def bar_rules(market: Market) -> list[Rule]:
    """The rules of the bar that hold in a market."""
    return [rule for rule in BAR_RULES if market.positive_prices or not rule.only_positive_prices]


def flags_of(bars: Bars, market: Market) -> Iterator[Flag]:
    """The flags that stored bars of one series carry: a function of their prices, whoever loaded them."""
    prices = (bars.open, bars.high, bars.low, bars.close)
    for rule in bar_rules(market):
        if rule.of_prices is None or action_of(rule, market) != FLAG:
            continue
        for at in np.flatnonzero(rule.of_prices(*prices)).tolist():
            row = {name: float(column[at]) for name, column in zip(PRICE_COLUMNS, prices, strict=True)}
            yield Flag(int(bars.time[at]), rule.name, rule.value(row))


def _bad_ticker(frame: pa.Table, _: Context) -> Mask:
    tickers = pc.unique(frame["ticker"]).to_pylist()
    bad = [ticker for ticker in tickers if ticker is None or not is_ticker(ticker)]
    if not bad:
        return np.zeros(len(frame), np.bool_)
    return mask_of(pc.is_in(frame["ticker"], value_set=pa.array(bad, pa.string())))


def _missing_time(frame: pa.Table, _: Context) -> Mask:
    return mask_of(pc.is_null(frame["time"]))


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


def _non_positive_price(frame: pa.Table, _: Context) -> Mask:
    return _not_positive(*(floats_of(frame, name) for name in PRICE_COLUMNS))


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


def _high_below_low(frame: pa.Table, _: Context) -> Mask:
    mask: Mask = floats_of(frame, "high") < floats_of(frame, "low")
    return mask


def _ohlc_order(frame: pa.Table, _: Context) -> Mask:
    return _outside(*(floats_of(frame, name) for name in PRICE_COLUMNS))


def _outside(opened: Floats, high: Floats, low: Floats, close: Floats) -> Mask:
    with np.errstate(invalid="ignore"):  # infinities: `not_finite` refuses them
        floor, ceiling = low - ARITHMETIC * np.abs(low), high + ARITHMETIC * np.abs(high)
    mask: Mask = (np.minimum(opened, close) < floor) | (np.maximum(opened, close) > ceiling)
    return mask


def _not_positive(opened: Floats, high: Floats, low: Floats, close: Floats) -> Mask:
    mask: Mask = np.minimum.reduce([opened, high, low, close]) <= 0.0
    return mask


def mask_of(column: pa.ChunkedArray) -> Mask:
    """A boolean column as an array."""
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


def ticker_of(row: Row) -> str:
    """The ticker of a refused row, as it can be stored."""
    return ticker_text(row["ticker"] or "")


KEY_RULES = (
    Rule("bad_ticker", _bad_ticker, ticker_of),
    Rule("missing_time", _missing_time, _time_text),
)
BAR_RULES = (
    Rule("too_early", _too_early, _time_text),
    Rule("off_grid", _off_grid, _time_text),
    Rule("future", _future, _time_text),
    Rule("not_finite", _not_finite, _value_text(VALUE_COLUMNS, lambda v: v is None or not math.isfinite(v))),
    Rule(
        "non_positive_price",
        _non_positive_price,
        _value_text(PRICE_COLUMNS, lambda v: v <= 0),
        of_prices=_not_positive,
        only_positive_prices=True,
    ),
    Rule("negative_volume", _negative_volume, _value_text(("volume",), lambda v: v < 0)),
    Rule("out_of_range", _out_of_range, _value_text((*PRICE_COLUMNS, "volume"), _is_out_of_range)),
    Rule("high_below_low", _high_below_low, _order_text),
    Rule("ohlc_order", _ohlc_order, _order_text, FLAG, _outside),
)
