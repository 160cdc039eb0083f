"""What every source does alike: one ticker at a time, each ticker's problem its own, nothing outside the
window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from hypertape.errors import HypertapeError, RateLimited, TransientError
from hypertape.frame import TIME_TYPE, empty_frame, empty_rejects
from hypertape.model import Interval, Market, Window
from hypertape.sources import DIVIDEND_SCHEMA, SPLIT_SCHEMA, Fetched, OnTicker
from hypertape.sources._completeness import answered, short_of


@dataclass(frozen=True)
class TickerAnswer:
    """What a vendor has for one ticker; it may reach beyond the window."""

    bars: pa.Table = field(default_factory=empty_frame)
    rejects: pa.Table = field(default_factory=empty_rejects)
    dividends: pa.Table = field(default_factory=DIVIDEND_SCHEMA.empty_table)
    splits: pa.Table = field(default_factory=SPLIT_SCHEMA.empty_table)


def collect(
    read: Callable[[str], TickerAnswer],
    tickers: Sequence[str],
    window: Window,
    on_ticker: OnTicker | None = None,
) -> Fetched:
    """Ask `read` for each ticker and join the answers, cut to the window.

    A HypertapeError is that ticker's failure. Any other exception is a defect of ours and passes through.
    """
    answers: list[TickerAnswer] = []
    failures: dict[str, HypertapeError] = {}
    for ticker in dict.fromkeys(tickers):
        try:
            answers.append(read(ticker))
        except HypertapeError as error:
            failures[ticker] = error
        if on_ticker is not None:
            on_ticker(ticker)
    empty = TickerAnswer()
    return Fetched(
        bars=_joined([answer.bars for answer in answers], empty.bars, window),
        rejects=_joined([answer.rejects for answer in answers], empty.rejects, window),
        failures=failures,
        dividends=_joined([answer.dividends for answer in answers], empty.dividends, window),
        splits=_joined([answer.splits for answer in answers], empty.splits, window),
    )


def judge(
    fetched: Fetched,
    market: Market,
    tickers: Sequence[str],
    interval: Interval,
    window: Window,
    now: datetime,
) -> Fetched:
    """Count what the calendar expects of the tickers that did not fail, and note which came short of it."""
    served = [ticker for ticker in tickers if ticker not in fetched.failures]
    found = answered(market, interval, window, fetched.bars, now, served)
    counted = {ticker: (seen.expected, seen.present) for ticker, seen in found.items()}
    return replace(fetched, counted=counted, short=short_of(found, interval))


def _joined(tables: list[pa.Table], empty: pa.Table, window: Window) -> pa.Table:
    return within(pa.concat_tables([empty, *tables]), window).combine_chunks()


def within(table: pa.Table, window: Window) -> pa.Table:
    """Keep the rows whose time lies in the window, and those without a time: they would be lost otherwise."""
    start, end = (pa.scalar(instant, TIME_TYPE) for instant in (window.start, window.end))
    inside = pc.and_(pc.greater_equal(table["time"], start), pc.less(table["time"], end))
    return table.filter(pc.fill_null(inside, True))


def placed(
    error: HypertapeError, market: Market, ticker: str, interval: Interval, window: Window
) -> HypertapeError:
    """The same error, saying where it happened."""
    placed = type(error)(
        error.what,
        next_step=error.advice,
        market=market.code,
        ticker=ticker,
        interval=interval,
        window=window,
    )
    if isinstance(error, RateLimited) and isinstance(placed, RateLimited):
        placed.retry_after = error.retry_after
    return placed


@contextmanager
def placing(market: Market, ticker: str, interval: Interval, window: Window) -> Iterator[None]:
    """Let an error of the block say where it happened."""
    try:
        yield
    except HypertapeError as error:
        raise placed(error, market, ticker, interval, window) from error


class Patience:
    """Stops asking a vendor that is down: after so many passing failures in a row the rest fails unasked."""

    def __init__(self, read: Callable[[str], TickerAnswer], patience: int) -> None:
        self.read = read
        self.patience = patience
        self.in_a_row = 0
        self.last: TransientError | None = None

    def __call__(self, ticker: str) -> TickerAnswer:
        if self.last is not None and self.in_a_row >= self.patience:
            what = f"Not asked, because {self.in_a_row} tickers in a row failed: {self.last.what}"
            raise type(self.last)(what, market=self.last.market, ticker=ticker, interval=self.last.interval)
        try:
            answer = self.read(ticker)
        except TransientError as error:
            self.in_a_row, self.last = self.in_a_row + 1, error
            raise
        except HypertapeError:
            self.in_a_row = 0
            raise
        self.in_a_row = 0
        return answer
