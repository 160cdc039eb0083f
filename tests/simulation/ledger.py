"""What the warehouse ought to know after each run, and what its ledgers ought to say: from the vendor alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate

import numpy as np
from story import CLOSES
from vendor import VALUES, Vendor
from year import Run

from hypertape.frame import Bars, instant, micros
from hypertape.model import Interval
from hypertape.warehouse.loading.merge import join_bars


@dataclass(frozen=True, order=True)
class Former:
    """A final bar's former values: which run had brought them, and which replaced them."""

    ticker: str
    time: datetime
    values: tuple[float, ...]
    learnt: str
    replaced: str


class Ledger:
    """The year's runs, told from the vendor's side."""

    def __init__(self, vendor: Vendor, runs: Sequence[Run]) -> None:
        self.vendor, self.runs = vendor, runs
        self._known: dict[str, list[Bars]] = {}

    def known(self, ticker: str, after: int) -> Bars:
        """What is known of a ticker when the runs up to and including number `after` are over."""
        if ticker not in self._known:
            self._known[ticker] = list(
                accumulate(self.runs, partial(self._learn, ticker), initial=Bars.empty())
            )
        return self._known[ticker][after + 1]

    def _learn(self, ticker: str, known: Bars, run: Run) -> Bars:
        """What is known after a run, from what was known before it."""
        story = self.vendor.plot.of(ticker)
        if not self.vendor.answers(ticker, run.now):
            return known
        if run.now.date() in story.stood_in:
            other = self.vendor.stand_in(ticker, run.now)
            return join_bars(known, other.take(other.time > known.time[-1]))
        answer = self.vendor.answer(ticker, run.now, seen=True)
        return join_bars(known.take(known.time < answer.time[0]), answer) if len(answer) else answer

    def unserved(self, run: Run) -> set[str]:
        """The tickers a run asks for in vain: the vendor is down, or has nothing at all."""
        return {
            ticker
            for ticker in self.vendor.plot.asked(run.now)
            if not self.vendor.answers(ticker, run.now) or not len(self.vendor.book(ticker, run.now))
        }

    def final(self, ticker: str, after: int) -> Bars:
        """The same without the bar of a session that was open."""
        bars = self.known(ticker, after)
        return bars.take(bars.time < self.open_from(after))

    def open_from(self, after: int) -> int:
        """The first bar time (µs) that was not final in a run: its day's until the close, else none."""
        return self._open_from(self.runs[after].now)

    def _open_from(self, now: datetime) -> int:
        """Daily bars: today's until the close, else none. Hours: the running one."""
        if self.vendor.plot.interval is not Interval.D1:
            return micros(now.replace(minute=0))
        today = now.astimezone(UTC).replace(hour=0, minute=0)
        return micros(today) if now.timetz() < CLOSES else np.iinfo(np.int64).max

    def revisions(self, ticker: str) -> Iterator[Former]:
        """Every change of a final bar, in the order of the runs."""
        before, open_from, learnt = Bars.empty(), 0, dict[int, str]()
        for number, run in enumerate(self.runs):
            if not self.vendor.answers(ticker, run.now):
                continue
            now = self.known(ticker, number)
            at = np.searchsorted(now.time, before.time)
            assert np.array_equal(now.time[at], before.time), "what is known never goes away"
            rows, new_rows = _rows(before), _rows(now)
            differs = (rows != new_rows[at]).any(axis=1)
            for old in np.flatnonzero(differs):
                time = int(before.time[old])
                if time < open_from:
                    yield Former(ticker, instant(time), tuple(rows[old].tolist()), learnt[time], run.run_id)
                learnt[time] = run.run_id
            learnt |= dict.fromkeys(np.setdiff1d(now.time, before.time).tolist(), run.run_id)
            before, open_from = now, self._open_from(run.now)


def _rows(bars: Bars) -> np.ndarray:
    return np.column_stack([getattr(bars, name) for name in VALUES])
