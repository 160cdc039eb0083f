"""What VCI has of some tickers, page by page into the past: how far back is asked comes from the calendar."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from hypertape.calendars import expected_times, sessions_of
from hypertape.errors import HypertapeError, NoData
from hypertape.frame import instant, micros
from hypertape.model import Interval, Market, Window, midnight
from hypertape.sources._collect import TickerAnswer, joined, last_given, reading
from hypertape.sources._vci_answer import openings, read_bars, read_series

if TYPE_CHECKING:
    from hypertape.sources.vci import Reader

_SPARE = {Interval.D1: 0, Interval.H1: 3, Interval.M1: 60}
"""Bars a session may have beside those the calendar expects: matches, put-through deals, prints at lunch."""

_ODD_PAGES = 8
"""Pages beyond what the calendar explains."""


class Pages:
    """The pages of some tickers, newest first, until each reaches the window's start."""

    def __init__(self, reader: Reader, tickers: tuple[str, ...]) -> None:
        self.reader = reader
        self.symbols = {ticker: reader.market.symbol_at("vci", ticker) for ticker in tickers}
        self.pages: dict[str, list[TickerAnswer]] = {ticker: [] for ticker in tickers}
        self.oldest: dict[str, float] = {}
        self.failures: dict[str, HypertapeError] = {}
        self.expected = expected_times(reader.market, reader.interval, reader.window)

    def read(self) -> dict[str, TickerAnswer | HypertapeError]:
        """Each ticker's answer, or why it has none. Raises what the requests raise."""
        reader, pages = self.reader, 0
        waiting, to = list(self.symbols), last_second(reader.market, reader.interval, reader.window)
        most = self._bars_back(to, sys.maxsize) + _ODD_PAGES  # each brings one bar more, or it is the last
        while waiting:
            pages += 1
            try:
                reader.client.require_page(pages, most)
            except HypertapeError as error:
                self.failures |= dict.fromkeys(waiting, error)
                break
            count = self._bars_back(to, reader.vci.page)
            page = reader.ask([self.symbols[ticker] for ticker in waiting], to, count)
            waiting = [ticker for ticker in waiting if self._take(ticker, page)]
            to = int(max((self.oldest[ticker] for ticker in waiting), default=0)) - 1
        return {ticker: self._answer(ticker) for ticker in self.symbols}

    def _bars_back(self, to: int, most: int) -> int:
        reader = self.reader
        return bars_between(reader.market, reader.interval, reader.window.start, to, most)

    def _take(self, ticker: str, page: dict[str, list[Any]]) -> bool:
        """Take a ticker's part of a page; True when older bars are wanted and there may be some."""
        before = self.oldest.get(ticker, np.inf)
        try:
            with reading("VCI's answer"):
                entries = [self._read(ticker, entry, before) for entry in page.get(self._key(ticker), ())]
        except HypertapeError as error:
            self.failures[ticker] = error
            return False
        self.pages[ticker].append(last_given([answer for answer, _ in entries]))
        self.oldest[ticker] = min([before, *(oldest for _, oldest in entries)])
        return self.oldest[ticker] < before and self._begins_after(self.oldest[ticker])

    def _key(self, ticker: str) -> str:
        return self.symbols[ticker].upper()

    def _read(self, ticker: str, entry: dict[str, Any], before: float) -> tuple[TickerAnswer, float]:
        """What an object has older than `before`, and the oldest opening of it (seconds; infinite: nothing).

        The rest is repeated from the page before, for which the group's youngest ticker asks, and counts as duplicates.
        """
        series = read_series(entry)
        seconds = openings(series["t"])
        fresh = ~(seconds >= before)
        part = {letter: [cells[row] for row in np.flatnonzero(fresh)] for letter, cells in series.items()}
        reader = self.reader
        today = reader.now.astimezone(ZoneInfo(reader.market.timezone)).date()
        answer = read_bars(ticker, part, seconds[fresh], reader.interval, reader.market, today)
        repeated = int((~fresh).sum())
        answer = replace(answer, rows_in=len(fresh), duplicates=repeated)
        return answer, float(np.nanmin(seconds[fresh], initial=np.inf))

    def _begins_after(self, oldest: float) -> bool:
        if len(self.expected) == 0:
            return False
        opening = int(oldest * 1_000_000)
        if self.reader.interval is Interval.D1:
            opening = micros(
                midnight(instant(opening).astimezone(ZoneInfo(self.reader.market.timezone)).date())
            )
        return bool(opening > self.expected[0])

    def _answer(self, ticker: str) -> TickerAnswer | HypertapeError:
        if ticker in self.failures:
            return self.failures[ticker]
        found = joined(self.pages[ticker][::-1])
        if len(found.bars) == len(found.rejects) == 0 and len(self.expected):
            return NoData("VCI's answer has no bars of it")
        return found


def last_second(market: Market, interval: Interval, window: Window) -> int:
    """The `to` of a window: its last second, for daily bars the last second of its last date in the market's zone."""
    end = window.end
    if interval is Interval.D1:
        last = (window.end.astimezone(UTC) - timedelta(microseconds=1)).date()
        end = datetime.combine(last + timedelta(days=1), datetime.min.time(), ZoneInfo(market.timezone))
    return int(end.timestamp()) - 1


def bars_between(market: Market, interval: Interval, start: datetime, to: int, most: int) -> int:
    """The `countBack` from `to` (seconds) to `start`: what the calendar expects and some to spare, at most `most`."""
    window = Window(min(start, instant(to * 1_000_000)), instant((to + 1) * 1_000_000))
    expected = expected_times(market, interval, window)
    visited = len(np.unique(sessions_of(market, interval, expected)))
    return int(min(len(expected) + visited * _SPARE[interval] + 2, most))
