"""What the warehouse ought to know after each run, and what its ledgers ought to say: from the vendor alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from story import CLOSES
from vendor import VALUES, Vendor
from year import Run

from hypertape.frame import Bars, instant, micros
from hypertape.model import Interval


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

    def known(self, ticker: str, after: int) -> Bars:
        """What is known of a ticker when the runs up to and including number `after` are over."""
        for run in reversed(self.runs[: after + 1]):
            if self.vendor.answers(ticker, run.now):
                return self.vendor.book(ticker, run.now, seen=True)
        return Bars.empty()

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
        for run in self.runs:
            if not self.vendor.answers(ticker, run.now):
                continue
            now = self.vendor.book(ticker, run.now, seen=True)
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
