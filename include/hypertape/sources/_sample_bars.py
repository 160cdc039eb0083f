"""The bars of one synthetic instrument: summed up from its path, with the faults of a vendor's file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from hypertape.frame import Bars, Floats, Micros, micros
from hypertape.markets import get_market
from hypertape.model import PRICE_COLUMNS, Interval, Window
from hypertape.sources._sample_path import PRICE_DECIMALS, VOLUME_DECIMALS, Path, on_ticks, walk
from hypertape.sources._sample_plan import Defect, Instrument, Planted
from hypertape.sources._sample_shift import Plan

Mask = npt.NDArray[np.bool_]

_HOUR = 3_600_000_000
_OFF_GRID_BY = 7_000_000


def deliver(instrument: Instrument, interval: Interval, now: datetime, plan: Plan) -> Bars:
    """Return the instrument's bars as the vendor would answer at `now`, in delivery order.

    The last one is unfinished while its session or hour still runs; splits and dividends up to `now` are in
    adjusted_close. Beyond that a bar depends on nothing but the instrument and its time.
    """
    span = plan.spans[instrument.market, interval]
    bars = _summed(walk(instrument, plan), interval, span, get_market(instrument.market).hour_mark, now)
    corrected = now >= plan.corrected_at[instrument.market]
    for planted in plan.planted:
        fault = _FAULTS.get(planted.kind)
        mine = (planted.market, planted.ticker, planted.interval)
        if fault and mine == (instrument.market, instrument.ticker, interval):
            start, end = micros(planted.window.start), micros(planted.window.end)
            inside = (bars.time >= start) & (bars.time < end)
            bars = fault(bars, inside, planted, instrument, corrected)
    return bars


def _summed(path: Path, interval: Interval, span: Window, hour_mark: timedelta, now: datetime) -> Bars:
    """Sum the steps known at `now` up to bars of the span."""
    steps = path.steps
    keys = _openings(path, interval, hour_mark)
    known = (steps.time < micros(now)) & (keys >= micros(span.start)) & (keys < micros(span.end))
    steps, keys, sessions = steps.take(known), keys[known], path.sessions[known]
    if len(keys) == 0:
        return Bars.empty()
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    last = np.append(first[1:], len(keys)) - 1
    closes = steps.close[last]
    volumes: Floats = np.round(np.add.reduceat(steps.volume, first), VOLUME_DECIMALS).astype(np.float64)
    return Bars(
        time=keys[first],
        open=steps.open[first],
        high=np.maximum.reduceat(steps.high, first),
        low=np.minimum.reduceat(steps.low, first),
        close=closes,
        volume=volumes,
        adjusted_close=_adjusted(closes, sessions[first], path, now),
    )


def _openings(path: Path, interval: Interval, hour_mark: timedelta) -> Micros:
    if interval is Interval.D1:
        return path.sessions
    if interval is Interval.M1:
        return path.steps.time
    offset = hour_mark // timedelta(microseconds=1)
    return (path.steps.time - offset) // _HOUR * _HOUR + offset


def _adjusted(closes: Floats, sessions: Micros, path: Path, now: datetime) -> Floats:
    factors = np.ones(len(closes))
    for action in path.actions:
        if action.session <= micros(now):
            factors[sessions < action.session] *= action.factor
    return np.where(factors == 1.0, closes, np.round(closes * factors, PRICE_DECIMALS))


def _gap(bars: Bars, inside: Mask, planted: Planted, instrument: Instrument, corrected: bool) -> Bars:
    return bars.take(~inside)


def _bad_row(bars: Bars, inside: Mask, planted: Planted, instrument: Instrument, corrected: bool) -> Bars:
    return replace(
        bars, high=np.where(inside, bars.low, bars.high), low=np.where(inside, bars.high, bars.low)
    )


def _negative_volume(
    bars: Bars, inside: Mask, planted: Planted, instrument: Instrument, corrected: bool
) -> Bars:
    return replace(bars, volume=np.where(inside, -bars.volume, bars.volume))


def _mismatch(bars: Bars, inside: Mask, planted: Planted, instrument: Instrument, corrected: bool) -> Bars:
    close = np.where(inside, on_ticks(instrument, bars.close * planted.size), bars.close)
    return replace(bars, close=close, high=np.maximum(bars.high, close), adjusted_close=close)


def _correction(bars: Bars, inside: Mask, planted: Planted, instrument: Instrument, corrected: bool) -> Bars:
    if corrected:
        return bars
    first_version = {
        name: np.where(inside, on_ticks(instrument, getattr(bars, name) * planted.size), getattr(bars, name))
        for name in PRICE_COLUMNS
    }
    return replace(bars, **first_version, adjusted_close=first_version["close"])


def _duplicate(bars: Bars, inside: Mask, planted: Planted, instrument: Instrument, corrected: bool) -> Bars:
    doubled, first, _ = _doubled(bars, inside)
    return _mismatch(doubled, first, planted, instrument, corrected)


def _off_grid(bars: Bars, inside: Mask, planted: Planted, instrument: Instrument, corrected: bool) -> Bars:
    doubled, _, second = _doubled(bars, inside)
    return replace(doubled, time=np.where(second, doubled.time + _OFF_GRID_BY, doubled.time))


def _doubled(bars: Bars, inside: Mask) -> tuple[Bars, Mask, Mask]:
    """Repeat the marked bars, and mark the first and the second copies."""
    counts = np.where(inside, 2, 1)
    repeated = np.repeat(inside, counts)
    second = repeated & (np.diff(np.repeat(np.arange(len(bars)), counts), prepend=-1) == 0)
    return bars.take(np.repeat(np.arange(len(bars)), counts)), repeated & ~second, second


_FAULTS: dict[Defect, Callable[[Bars, Mask, Planted, Instrument, bool], Bars]] = {
    Defect.GAP: _gap,
    Defect.BAD_ROW: _bad_row,
    Defect.NEGATIVE_VOLUME: _negative_volume,
    Defect.MISMATCH: _mismatch,
    Defect.CORRECTION: _correction,
    Defect.DUPLICATE: _duplicate,
    Defect.OFF_GRID: _off_grid,
}
"""The faults of one file; what happens to the price itself is in the path."""
