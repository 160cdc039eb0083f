"""What every source does alike: one ticker at a time, each ticker's problem its own, nothing outside the window, every
row accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hypertape.cells import row_text, shown
from hypertape.errors import (
    HypertapeError,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
    TransientError,
)
from hypertape.frame import TIME_TYPE, empty_frame, empty_rejects, reject_frame
from hypertape.model import Interval, Market, Window
from hypertape.rows import RowCount, require_all
from hypertape.sources._actions import refuse_impossible
from hypertape.sources._completeness import answered, answered_until, short_of
from hypertape.sources._protocol import (
    CAPITAL_GAIN_SCHEMA,
    DIVIDEND_SCHEMA,
    REFUSED_ACTION_SCHEMA,
    SPLIT_SCHEMA,
    TABLES,
    Fetched,
    OnTicker,
)

_ALL = 3
"""So many refused tickers in one answer, and none served: the vendor is away, whatever it says."""


@dataclass(frozen=True)
class TickerAnswer:
    """What a vendor has for one ticker; it may reach beyond the window.

    `rows_in` counts the rows of bars before anybody looked at them. Of these, `duplicates` and `outside` count those
    that are neither among the bars nor among the rejects: rows that gave way to another, and rows nobody asked for.
    """

    bars: pa.Table = field(default_factory=empty_frame)
    rejects: pa.Table = field(default_factory=empty_rejects)
    dividends: pa.Table = field(default_factory=DIVIDEND_SCHEMA.empty_table)
    splits: pa.Table = field(default_factory=SPLIT_SCHEMA.empty_table)
    capital_gains: pa.Table = field(default_factory=CAPITAL_GAIN_SCHEMA.empty_table)
    refused_actions: pa.Table = field(default_factory=REFUSED_ACTION_SCHEMA.empty_table)
    rows_in: int = 0
    duplicates: int = 0
    outside: int = 0


_KEY = ["ticker", "time"]
_COUNTS = ("rows_in", "duplicates", "outside")


def joined(answers: Sequence[TickerAnswer]) -> TickerAnswer:
    """Several answers about one ticker as one, in their order."""
    if not answers:
        return TickerAnswer()
    tables = {name: pa.concat_tables([getattr(answer, name) for answer in answers]) for name in TABLES}
    return TickerAnswer(**tables, **{name: sum(getattr(one, name) for one in answers) for name in _COUNTS})


def last_given(answers: Sequence[TickerAnswer]) -> TickerAnswer:
    """What one response says of a ticker in several places as one answer: of bars that differ the last one counts.

    The losers become rejects (`contradicted`): which of two series is the ticker's own, nobody can tell from here.
    Equal bars stay, as duplicates for the gate.
    """
    *before, last = answers if answers else [TickerAnswer()]
    given = {row["time"]: row for row in last.bars.to_pylist()}
    settled = [last]
    for answer in reversed(before):
        rows = answer.bars.to_pylist()
        lost = [row["time"] in given and str(given[row["time"]]) != str(row) for row in rows]
        rejects = reject_frame(_contradicted(row) for row, loses in zip(rows, lost, strict=True) if loses)
        kept = answer.bars.filter(pa.array([not loses for loses in lost], pa.bool_()))
        settled.insert(0, replace(answer, bars=kept, rejects=pa.concat_tables([answer.rejects, rejects])))
        given = {row["time"]: row for row in rows} | given
    return joined(settled)


def _contradicted(row: dict[str, Any]) -> tuple[str, datetime | None, str, str, str]:
    text = row_text({**row, "time": row["time"].isoformat()})
    return row["ticker"], row["time"], "contradicted", f"close={row['close']}", text


def collect(
    read: Callable[[str], TickerAnswer],
    tickers: Sequence[str],
    window: Window,
    on_ticker: OnTicker | None = None,
) -> Fetched:
    """Ask `read` for each ticker and join the answers, cut to the window, with what became of every row.

    A HypertapeError is that ticker's failure, RowsLost too. Any other exception is a defect of ours and passes through.
    """
    answers: dict[str, TickerAnswer] = {}
    rows: dict[str, RowCount] = {}
    newest: dict[str, datetime] = {}
    failures: dict[str, HypertapeError] = {}
    for ticker in dict.fromkeys(tickers):
        try:
            answer = refuse_impossible(read(ticker))
            cut = _within(answer, window)
            rows[ticker] = _count(answer, cut)
            require_all({ticker: rows[ticker]}, "The answer of the source")
            answers[ticker] = cut
            if len(answer.bars):
                newest[ticker] = pc.max(answer.bars["time"]).as_py()
        except HypertapeError as error:
            failures[ticker] = error
            rows.pop(ticker, None)
        if on_ticker is not None:
            on_ticker(ticker)
    whole = joined([TickerAnswer(), *answers.values()])
    tables = {name: getattr(whole, name).combine_chunks() for name in TABLES}
    return Fetched(**tables, failures=failures, rows=rows, newest=newest)


def _within(answer: TickerAnswer, window: Window) -> TickerAnswer:
    return replace(answer, **{name: within(getattr(answer, name), window) for name in TABLES})


def _count(answer: TickerAnswer, cut: TickerAnswer) -> RowCount:
    """What became of an answer's rows. `rows_in` was counted by who read them: nothing here is what is left over."""
    gone = len(answer.bars) - len(cut.bars) + len(answer.rejects) - len(cut.rejects)
    refused = Counter(cut.rejects["rule"].to_pylist())
    return RowCount(answer.rows_in, len(cut.bars), answer.duplicates, refused, answer.outside + gone)


def cut_tables(fetched: Fetched, window: Window) -> Fetched:
    """The part of an answer that lies in a window; rows that do not are counted as outside of it."""
    inside = {name: within(getattr(fetched, name), window) for name in TABLES}
    rows = {}
    for ticker, count in fetched.rows.items():
        bars = _rows_of(inside["bars"], ticker)
        refused = Counter(_rows_of(inside["rejects"], ticker)["rule"].to_pylist())
        gone = count.bars - len(bars) + sum(count.refused.values()) - sum(refused.values())
        rows[ticker] = replace(count, bars=len(bars), refused=refused, outside=count.outside + gone)
    return replace(fetched, **inside, rows=rows)


def _rows_of(table: pa.Table, ticker: str) -> pa.Table:
    return table.filter(pc.equal(table["ticker"], ticker))


def judge(
    fetched: Fetched,
    market: Market,
    tickers: Sequence[str],
    interval: Interval,
    window: Window,
    now: datetime,
) -> Fetched:
    """Count what the calendar expects of the tickers that did not fail, note which came short of it, and how far each
    was answered."""
    served = [ticker for ticker in tickers if ticker not in fetched.failures]
    found = answered(market, interval, window, fetched.bars, now, served)
    counted = {ticker: (seen.expected, seen.present) for ticker, seen in found.items()}
    said = pa.concat_tables([fetched.bars.select(_KEY), fetched.rejects.select(_KEY)])
    until = answered_until(market, interval, window, said.drop_null(), now, served)
    return replace(fetched, counted=counted, short=short_of(found, interval), answered_until=until)


def away_where_all_refused(
    fetched: Fetched, vendor: str, tickers: Sequence[str], refused: Collection[str]
) -> Fetched:
    """The answer, but for one in which every ticker of several was refused: that is an outage, and excuses nothing."""
    asked = set(tickers)
    if len(asked) < _ALL or not asked <= set(refused):
        return fetched
    failures = {
        ticker: SourceUnavailable(
            f"{vendor} refuses every ticker, {len(asked)} of them: {error.what}",
            market=error.market,
            ticker=ticker,
            interval=error.interval,
            window=error.window,
        )
        for ticker, error in fetched.failures.items()
    }
    return replace(fetched, failures=failures)


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


@contextmanager
def reading(vendor: str) -> Iterator[None]:
    """Whatever the reading of an answer or file stumbles over is its own fault, and costs nobody else."""
    try:
        yield
    except HypertapeError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        pa.ArrowException,
    ) as error:
        said = shown((str(error).splitlines() or [""])[0])
        raise SourceSchemaChanged(
            f"{vendor} has another shape: {type(error).__name__} {said}".strip()
        ) from error


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
