"""Over which span each ticker is held against the calendar when the gap ledger is brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from hypertape.frame import micros
from hypertape.model import Interval, Market, Window, midnight
from hypertape.quality.gate_rules import is_ticker
from hypertape.queries import query
from hypertape.warehouse.gaps.grid import Series, Span, read_asked

Connection = psycopg.Connection[Any]


def spans_to_judge(
    connection: Connection,
    market: Market,
    interval: Interval,
    series: Mapping[str, Series],
    window: Window | None,
    now: datetime,
    run_id: str,
    tickers: Sequence[str] | None,
) -> dict[str, Span]:
    """Per ticker to look at, from where to where its bars are read; see `gaps.note_gaps`."""
    end = micros(now) if window is None else min(micros(window.end), micros(now))
    of_run = {} if tickers is not None else read_asked(connection, market, interval, run_id, None)
    new = [ticker for ticker in of_run if ticker not in series or series[ticker].judged is None]
    asked = read_asked(connection, market, interval, None, new if of_run else tickers)
    wanted = set(of_run or (tickers if tickers is not None else asked.keys() | series.keys()))
    spans = {}
    for ticker in sorted(wanted - strangers(connection, market, wanted - series.keys())):
        one = series.get(ticker, Series(None, None, None, None))
        begin = _due_from(market, interval, asked.get(ticker) or of_run.get(ticker), one)
        if window is not None and not of_run:
            begin = micros(max(window.start, midnight(market.history_start[interval])))
        if begin is not None:
            # One that was a stranger until now was asked for by earlier runs too, which noted nothing of it.
            upto = min(end, asked.get(ticker, of_run[ticker])[1]) if of_run else end
            spans[ticker] = _joined((begin, max(begin, upto)), one)
    return spans


def strangers(connection: Connection, market: Market, tickers: Iterable[str]) -> set[str]:
    """Those of some tickers that nobody knows: not the market's list, no source, no table. A typo has no gaps.

    Nor has a name that can be no ticker: all its rows are refused, whatever a source says.
    """
    given = set(tickers)
    none = {ticker for ticker in given if not is_ticker(ticker)}
    odd = [ticker for ticker in given - none if ticker not in market.by_ticker]
    if not odd:
        return none
    rows = connection.execute(query("gap_strangers"), {"market": market.code, "tickers": odd})
    return none | {ticker for (ticker,) in rows}


def _due_from(market: Market, interval: Interval, asked: Span | None, one: Series) -> int | None:
    """Bars are due since somebody asked for them, from the market's history start on, and since there are some."""
    floor = micros(midnight(market.history_start[interval]))
    begins = [max(floor, asked[0])] if asked else []
    if one.judged is not None and not asked:
        begins.append(one.judged[0])
    if one.judged is None and one.first is not None:
        begins.append(one.first)
    return min(begins) if begins else None


def _joined(span: Span, known: Series) -> Span:
    """Close the hole between a span and what was judged already."""
    if known.judged is None:
        return span
    start, end = known.judged
    begin = min(span[0], end)
    if known.first is not None and known.first < start:
        begin = min(begin, known.first)
    return begin, max(span[1], start)


def hulls(series: Mapping[str, Series], spans: Mapping[str, Span]) -> dict[str, Span]:
    """What is judged of each ticker afterwards: what was before, and the span of now; the two touch."""
    found = {ticker: one.judged for ticker, one in series.items() if one.judged is not None}
    for ticker, span in spans.items():
        before = found.get(ticker, span)
        found[ticker] = (min(span[0], before[0]), max(span[1], before[1]))
    return dict(sorted(found.items()))


def still_kept(
    spans: Mapping[str, Span], market: Market, interval: Interval, now: datetime
) -> dict[str, Span]:
    """Cut spans where the market's retention has dropped the bars."""
    kept = market.retention.get(interval)
    if kept is None:
        return dict(spans)
    oldest = micros(now - kept)
    return {ticker: (max(start, oldest), max(end, oldest)) for ticker, (start, end) in spans.items()}
