"""The price path of one synthetic instrument, made once per process and always the same.

It is walked in hourly steps and, where minutes exist, in minute steps; every interval is summed up from it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from hypertape.calendars import expected_times, sessions_of
from hypertape.frame import Bars, Floats, Micros, micros
from hypertape.markets import get_market
from hypertape.model import PRICE_COLUMNS, Interval, Market, Window
from hypertape.sources._sample_plan import Defect, Instrument, Planted
from hypertape.sources._sample_shift import Plan

_OVERNIGHT = 0.3
"""Spread of the step from a close to the next opening, as a share of a day's."""

_WICK = 0.5
"""How far high and low reach beyond opening and close, as a share of a step's spread."""

PRICE_DECIMALS, VOLUME_DECIMALS = 8, 4


@dataclass(frozen=True)
class Action:
    """A split (`amount` new shares for one) or a dividend (`amount` in money) on a session's date, in micros.

    Closes before it are comparable with later ones after multiplication by `factor`.
    """

    session: int
    kind: Defect
    amount: float
    factor: float


@dataclass(frozen=True)
class Path:
    """The steps as bars (adjusted_close is the close), each step's session date in micros, and the actions."""

    steps: Bars
    sessions: Micros
    actions: tuple[Action, ...]


@lru_cache(maxsize=64)
def walk(instrument: Instrument, plan: Plan) -> Path:
    """Walk the instrument's price over the plan's whole span, the defects of the price itself included."""
    market = get_market(instrument.market)
    times, steps_a_day = _grid(market, plan)
    sessions = sessions_of(market, Interval.M1, times)
    opening = np.append(True, np.diff(sessions) != 0) & (not market.is_always_open)
    seed = zlib.crc32(f"{instrument.market}/{instrument.ticker}".encode())
    noise = np.clip(np.random.default_rng(seed).standard_normal((4, len(times))), -3.0, 3.0)
    spread = instrument.spread / np.sqrt(steps_a_day)
    moves = noise[0] * spread
    overnight = np.where(opening, noise[1] * instrument.spread * _OVERNIGHT, 0.0)
    closes = np.log(instrument.price) + np.cumsum(moves + overnight)
    opens = closes - moves
    wicks = np.abs(noise[2]) * spread * _WICK
    highs, lows = np.maximum(opens, closes) + wicks, np.minimum(opens, closes) - wicks
    volumes = instrument.volume / steps_a_day * np.exp(0.6 * noise[3] - 0.18)
    start, high, low, close = (np.exp(logarithm) for logarithm in (opens, highs, lows, closes))
    return _with_defects(instrument, plan, Bars(times, start, high, low, close, volumes, close), sessions)


def _grid(market: Market, plan: Plan) -> tuple[Micros, Floats]:
    """Return the steps' openings, and for each how many such steps a day of this market has."""
    fine = plan.spans[market.code, Interval.M1]
    coarse = Window(plan.spans[market.code, Interval.D1].start, fine.start)
    parts = [expected_times(market, Interval.H1, coarse), expected_times(market, Interval.M1, fine)]
    days = [len(expected_times(market, Interval.D1, window)) for window in (coarse, fine)]
    rates = [np.full(len(part), len(part) / count) for part, count in zip(parts, days, strict=True)]
    return np.concatenate(parts), np.concatenate(rates)


def _with_defects(instrument: Instrument, plan: Plan, steps: Bars, sessions: Micros) -> Path:
    mine = [
        (planted, int(np.searchsorted(sessions, micros(planted.window.start))))
        for planted in plan.planted
        if (planted.market, planted.ticker) == (instrument.market, instrument.ticker)
    ]
    for planted, first in mine:
        last = int(np.searchsorted(sessions, micros(planted.window.end)))
        steps = _plant(planted, steps, first, last)
    steps = _on_ticks(instrument, steps)
    actions = [
        _action(instrument, planted, int(sessions[first]), float(steps.close[first - 1]))
        for planted, first in mine
        if planted.kind in (Defect.SPLIT, Defect.DIVIDEND)
    ]
    return Path(steps, sessions, tuple(actions))


def _plant(planted: Planted, steps: Bars, first: int, last: int) -> Bars:
    """Work a defect of the price itself into the steps from `first` to before `last`; others come later."""
    match planted.kind:
        case Defect.SPLIT:
            return _times(steps, slice(first, None), 1 / planted.size, planted.size)
        case Defect.DIVIDEND:
            return _times(steps, slice(first, None), 1 - planted.size)
        case Defect.JUMP:
            return _times(steps, slice(first, None), planted.size)
        case Defect.VOLUME_SPIKE:
            return _times(steps, slice(first, last), 1.0, planted.size)
        case Defect.STALE:
            frozen = steps.close[first - 1]
            thawed = _times(steps, slice(last, None), float(frozen / steps.close[last - 1]))
            return _each_price(
                thawed, lambda price: np.r_[price[:first], [frozen] * (last - first), price[last:]]
            )
        case _:
            return steps


def _times(steps: Bars, part: slice, price: float, volume: float = 1.0) -> Bars:
    def scaled(values: Floats, factor: float) -> Floats:
        return np.concatenate(
            [values[: part.start], values[part] * factor, values[part.stop or len(values) :]]
        )

    steps = _each_price(steps, lambda values: scaled(values, price))
    return replace(steps, volume=scaled(steps.volume, volume))


def _each_price(steps: Bars, change: Callable[[Floats], Floats]) -> Bars:
    first, high, low, close = (change(getattr(steps, name)) for name in PRICE_COLUMNS)
    return Bars(steps.time, first, high, low, close, steps.volume, adjusted_close=close)


def _on_ticks(instrument: Instrument, steps: Bars) -> Bars:
    lots = np.maximum(np.rint(steps.volume / instrument.lot), 1) * instrument.lot
    ticked = _each_price(steps, lambda price: on_ticks(instrument, price))
    return replace(ticked, volume=np.round(lots, VOLUME_DECIMALS))


def on_ticks(instrument: Instrument, price: Floats) -> Floats:
    """Round prices to the instrument's ticks, at least one."""
    hose = np.select([price < 10_000, price < 50_000], [10.0, 50.0], 100.0)
    tick = np.full(len(price), instrument.tick) if instrument.tick else hose
    ticked: Floats = np.round(np.maximum(np.rint(price / tick), 1) * tick, PRICE_DECIMALS)
    return ticked


def _action(instrument: Instrument, planted: Planted, session: int, before: float) -> Action:
    """Tell a split or dividend as a vendor does; `before` is the last close on the old footing."""
    if planted.kind is Defect.SPLIT:
        return Action(session, planted.kind, planted.size, 1 / planted.size)
    amount = round(before * planted.size, 2 if instrument.tick else -1)
    return Action(session, planted.kind, amount, 1 - amount / before)
