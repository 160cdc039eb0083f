"""What the vendor would answer at any moment of the simulated year, and with it the truth.

Bars are seven arrays, as in the product's frame (`Bars`): time as int64 µs since 1970 UTC, prices in VND, whole shares.
A book is everything the vendor has of one ticker at a moment; the truth is the last book.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
from story import CLOSES, CUT, HOURS, OPENS, Correction, Plot, Split, Story, calendar_days

from hypertape.frame import Bars, micros
from hypertape.model import Interval, midnight

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
PAGE = "<!doctype html><html><title>404 Not Found</title></html>"
"""What a vendor says to everything who has moved, or is closed."""
_TICK = 50.0
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR


@dataclass
class Vendor:
    """The vendor of a plot."""

    plot: Plot
    _traded: dict[str, Bars] = field(default_factory=dict)

    @cached_property
    def tape(self) -> np.ndarray:
        """The openings of a ticker that always trades, in the sessions on which the exchange really did."""
        plot = self.plot
        sessions = days_of(day for day in calendar_days(plot.history, plot.days[-1]) if day != plot.closed)
        if plot.interval is Interval.D1:
            return sessions
        return (sessions[:, None] + np.array(HOURS) * _HOUR).ravel()

    def ends(self, times: np.ndarray) -> np.ndarray:
        """When bars are final."""
        return times + (_of_day(CLOSES) if self.plot.interval is Interval.D1 else _HOUR)

    def book(self, ticker: str, now: datetime, *, seen: bool = False) -> Bars:
        """Everything of one ticker that is stated at `now`, the open session's provisional bar included.

        With `seen`: what a pipeline that has run by then knows of it, see `story`.
        """
        story = self.plot.of(ticker)
        bars = self._by(story, now)
        for correction in story.corrections:
            if now < (correction.seen if seen else correction.at):
                bars = _wrong(bars, self._corrected(correction), correction, seen=seen)
        for split in story.splits:
            if now >= split.at:
                bars = _adjusted(bars, split)
        for hole in story.holes:
            if now < (hole.seen if seen else hole.at):
                lost = np.isin(bars.time // _DAY * _DAY, days_of(hole.sessions))
                if hole.hours:
                    lost &= np.isin(bars.time % _DAY // _HOUR, hole.hours)
                bars = bars.take(~lost)
        return bars

    def traded(self, ticker: str, now: datetime) -> Bars:
        """The bars as they were traded: no split ever changes them."""
        return self._by(self.plot.of(ticker), now)

    def answer(self, ticker: str, now: datetime, *, seen: bool = False) -> Bars:
        """What of the book the vendor can be made to say at `now`: all of it, but on a day on which it is cut."""
        book = self.book(ticker, now, seen=seen)
        if self.slips(ticker, now):
            return with_values(book, {name: getattr(book, name) / 1000 for name in PRICES})
        return book.take(slice(-CUT, None)) if now.date() in self.plot.of(ticker).cut else book

    def stand_in(self, ticker: str, now: datetime) -> Bars:
        """What another vendor states at `now`: the same prices, and volumes in a unit of its own."""
        book = self.book(ticker, now)
        return with_values(book, {"volume": book.volume * 3})

    def truth(self, ticker: str) -> Bars:
        """What is right in the end."""
        return self.book(ticker, midnight(self.plot.days[-1] + timedelta(days=1)))

    def slips(self, ticker: str, now: datetime) -> bool:
        """True on a day on which it states prices in another unit, which nobody should believe."""
        return now.astimezone(UTC).date() in self.plot.of(ticker).slips

    def answers(self, ticker: str, now: datetime) -> bool:
        """False while the vendor is down, fails for this ticker, or says what cannot be believed."""
        day = now.astimezone(UTC).date()
        if self.slips(ticker, now):
            return False
        return day not in self.plot.outage and day not in self.plot.of(ticker).fails

    def _by(self, story: Story, now: datetime) -> Bars:
        """The bars as they were traded, up to `now`; of an open session what it is so far."""
        if story.ticker not in self._traded:
            self._traded[story.ticker] = _trade(self.plot, story, self.tape)
        traded = self._traded[story.ticker]
        opening = _of_day(OPENS) if self.plot.interval is Interval.D1 else 0
        opened = traded.take(traded.time + opening <= micros(now))
        is_open = len(opened) and micros(now) < self.ends(opened.time[-1:])[0]
        return _so_far(opened) if is_open else opened

    def _corrected(self, correction: Correction) -> int:
        """The time of the bar that is wrong; of hours the second of its session."""
        day = int(days_of([correction.session])[0])
        return day if self.plot.interval is Interval.D1 else day + HOURS[1] * _HOUR


def days_of(days: Iterable[date]) -> np.ndarray:
    """Dates as bar times."""
    return np.array([micros(midnight(day)) for day in days], np.int64)


def _of_day(moment: object) -> int:
    assert isinstance(moment, type(OPENS))
    return (moment.hour * 60 + moment.minute) * 60_000_000


def _trade(plot: Plot, story: Story, tape: np.ndarray) -> Bars:
    """A random walk on the exchange's price grid, over the sessions this ticker trades in."""
    random = np.random.default_rng([plot.seed, *story.ticker.encode()])
    moves = np.clip(random.normal(0.0003, 0.015, len(tape)), -0.06, 0.06)
    for split in story.splits:  # the market itself marks the price down on the ex-day
        moves[np.searchsorted(tape, days_of([split.ex])[0])] += np.log(split.factor)
    close = _tick(60_000 * np.exp(np.cumsum(moves)))
    opened = _tick(close * (1 + random.normal(0, 0.004, len(tape))))
    high = _tick(np.maximum(opened, close) * (1 + random.uniform(0.001, 0.01, len(tape))))
    low = _tick(np.minimum(opened, close) * (1 - random.uniform(0.001, 0.01, len(tape))))
    volume = np.rint(random.lognormal(9, 0.6, len(tape))) * 100
    bars = Bars(
        tape,
        opened,
        np.maximum(high, close),
        np.minimum(low, close),
        close,
        volume,
        np.full(len(tape), np.nan),
    )
    there = (tape >= days_of([story.listed])[0]) & ~np.isin(tape // _DAY * _DAY, days_of(story.halted))
    if story.delisted != date.max:
        there &= tape < days_of([story.delisted])[0]
    return bars.take(there)


def _tick(prices: np.ndarray) -> np.ndarray:
    return np.rint(prices / _TICK) * _TICK


def _so_far(bars: Bars) -> Bars:
    """The last bar at noon: a third of the volume, and a close that is not the last word."""
    values = {name: getattr(bars, name).copy() for name in (*PRICES, "volume")}
    values["close"][-1] = values["high"][-1] = max(bars.open[-1], bars.close[-1])
    values["volume"][-1] = np.rint(bars.volume[-1] / 300) * 100
    return with_values(bars, values)


def with_values(bars: Bars, values: Mapping[str, np.ndarray]) -> Bars:
    """The bars with other columns."""
    return Bars(
        bars.time, *(values.get(name, getattr(bars, name)) for name in (*PRICES, "volume", "adjusted_close"))
    )


def _wrong(bars: Bars, time: int, correction: Correction, *, seen: bool) -> Bars:
    at = np.flatnonzero(bars.time == time)
    if seen and correction.refused:
        return bars.take(np.setdiff1d(np.arange(len(bars)), at))
    columns = [*PRICES, "volume"] if correction.column == "every" else [correction.column]
    values = {name: getattr(bars, name).copy() for name in columns}
    for name in columns:
        values[name][at] = 1.0 if correction.refused else _mistake(bars, name)[at]
    return with_values(bars, values)


def _mistake(bars: Bars, column: str) -> np.ndarray:
    """A believable wrong value: the bar stays a possible bar, whichever of its columns are wrong."""
    return {
        "open": bars.low + (bars.high - bars.low) / 4,
        "high": bars.high * 1.02,
        "low": bars.low * 0.98,
        "close": bars.low + (bars.high - bars.low) / 8,
        "volume": np.rint(bars.volume * 0.4),
    }[column]


def _adjusted(bars: Bars, split: Split) -> Bars:
    """Everything before the ex-day on the new footing, rounded as vendors do: cents, whole shares."""
    before = bars.time < days_of([split.ex])[0]
    values = {
        name: np.where(before, np.round(getattr(bars, name) * split.factor, 2), getattr(bars, name))
        for name in PRICES
    }
    values["volume"] = np.where(before, np.rint(bars.volume * split.volumes), bars.volume)
    return with_values(bars, values)
