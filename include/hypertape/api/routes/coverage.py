"""GET /coverage: how many bars each ticker has of those the calendar expects, by month or session date."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from psycopg import sql
from starlette.responses import Response

from hypertape import calendars
from hypertape.api.bar_query import MOST_BARS, read_date, read_mode, read_number, read_symbols, read_width
from hypertape.api.list_filters import After, Contains, OneMarket, read_name
from hypertape.api.respond import MOST_ROWS, cursor_of, json_response, read_cursor
from hypertape.api.routes.health import holdings
from hypertape.api.state import OfApp, State
from hypertape.errors import BadInput
from hypertape.model import Interval, Market, Window, midnight, utc
from hypertape.queries import query

read_router = APIRouter(tags=["trust"])

MOST_DAYS = {"month": 3_700, "day": 100}
"""Length of the window, by bucket."""

MOST_COUNTS = 200_000
"""Counts of one answer; the bars behind them are at most as many as an answer of /tickers may have."""

_USUAL_DAYS = {"month": 365, "day": 31}


@read_router.get("/coverage", summary="Bars held against bars expected", response_class=Response)
def coverage(
    state: OfApp,
    symbol: Annotated[list[str] | None, Query(description="A ticker; may be repeated. None: all.")] = None,
    interval: Annotated[str | None, Query(description="1D, 1H or 1m; default 1D.")] = None,
    start_date: Annotated[str | None, Query(description="First UTC date.")] = None,
    end_date: Annotated[str | None, Query(description="Last UTC date, included.")] = None,
    mode: OneMarket = None,
    by: Annotated[str | None, Query(description="month or day; default month.")] = None,
    contains: Contains = None,
    limit: Annotated[
        str | None,
        Query(description="Tickers by name, at most; fewer when they are too much to count at a time."),
    ] = None,
    after: After = None,
) -> Response:
    """Answer buckets, the bars expected in each, each ticker's bars in the same order, and a cursor to more tickers.

    `expected` counts every opening of the market's calendar; a ticker is not to be blamed for what lies before its
    `first` bar or after `now`.
    """
    market, of, bucket = _market(mode), _stored(interval), by or "month"
    if bucket not in MOST_DAYS:
        raise BadInput(f"by={by!r} is not known", next_step="Valid: month, day.")
    window = _window(state.clock(), start_date, end_date, bucket)
    expected = _expected(market, of, window, bucket)
    symbols, asked = read_symbols(symbol), read_number("limit", limit, MOST_ROWS, "Follow `next`.")
    known = len(symbols) if symbols is not None else _tickers(state, market, of)
    most = _at_most(known if asked is None else min(known, asked), expected, strict=asked is None)
    parameters = {
        "start": window.start, "end": window.end, "unit": bucket, "market": market.code, "interval": of.value,
        "tickers": symbols, "part": read_name(contains), "after": (read_cursor(after, ("ticker",)) or [None])[0],
        "rows": most,
    }  # fmt: skip
    statement = query("api_coverage").format(relation=sql.Identifier("public", market.relation(of)))
    rows = state.warehouse.run(lambda connection: connection.execute(statement, parameters).fetchall())
    tickers = _by_ticker(rows, expected)
    more = len(tickers) > most
    if more:
        tickers.popitem()
    content = {
        "market": market.code, "interval": of.spelling, "by": bucket, "start": window.start, "end": window.end,
        "buckets": list(expected), "expected": list(expected.values()), "tickers": tickers,
        "next": cursor_of([list(tickers)[-1]]) if more else None,
    }  # fmt: skip
    return json_response(content)


def _by_ticker(rows: Iterable[Any], expected: dict[str, int]) -> dict[str, dict[str, Any]]:
    positions = {name: position for position, name in enumerate(expected)}
    tickers: dict[str, dict[str, Any]] = {}
    for ticker, first, name, bars in rows:
        entry = tickers.setdefault(ticker, {"first": first, "bars": [0] * len(expected)})
        if name in positions:
            entry["bars"][positions[name]] = bars
    return tickers


def _tickers(state: State, market: Market, interval: Interval) -> int:
    """How many tickers the market has bars of."""
    held = holdings(state)
    return sum(
        row["tickers"] for row in held if (row["market"], row["interval"]) == (market.code, interval.value)
    )


def _at_most(tickers: int, expected: dict[str, int], *, strict: bool) -> int:
    """How many of so many tickers are counted: not too many bars, nor too many counts to tell.

    Raises BadInput when that is not all of them and `strict`, or none.
    """
    fitting = min(MOST_COUNTS // len(expected), MOST_BARS // max(sum(expected.values()), 1))
    if fitting < (tickers if strict else 1):
        raise BadInput(
            f"{tickers} tickers in {len(expected)} buckets are too much to count at a time",
            next_step="Give a limit and follow `next`, name symbols, or narrow start_date and end_date.",
        )
    return max(min(tickers, fitting), 1)


def _market(mode: str | None) -> Market:
    markets = read_mode(mode)
    if len(markets) > 1:
        raise BadInput("Coverage is of one market", next_step="Name it with mode.")
    return markets[0]


def _stored(interval: str | None) -> Interval:
    width = read_width(interval or "1D")
    if not width.is_stored:
        raise BadInput(f"{width.spelling} bars are not loaded", next_step="Coverage knows 1D, 1H and 1m.")
    return width.interval


def _window(now: datetime, start: str | None, end: str | None, bucket: str) -> Window:
    """Whole UTC days; without dates the year or month up to now."""
    last = read_date("end_date", end, include_day=True) or midnight(now.date() + timedelta(days=1))
    try:
        first = read_date("start_date", start) or last - timedelta(days=_USUAL_DAYS[bucket])
    except OverflowError:
        first = last
    if not timedelta(0) < last - first <= timedelta(days=MOST_DAYS[bucket]):
        raise BadInput(
            f"The window must be longer than nothing and at most {MOST_DAYS[bucket]} days by {bucket}",
            next_step="Narrow start_date and end_date, or count by month.",
        )
    if not utc(1900) <= first < last <= utc(2100):
        raise BadInput(
            "No calendar reaches that far", next_step="Ask for dates between 1900-01-01 and 2099-12-31."
        )
    return Window(first, last)


def _expected(market: Market, interval: Interval, window: Window, bucket: str) -> dict[str, int]:
    """Openings the calendar expects, by bucket; buckets without any are there too."""
    unit: Any = "M" if bucket == "month" else "D"
    last = (window.end - timedelta(microseconds=1)).date()
    counts = {str(name): 0 for name in _buckets(window.start.date(), last, unit)}
    times = calendars.expected_times(market, interval, window)
    names, found = np.unique(times.astype("datetime64[us]").astype(f"datetime64[{unit}]"), return_counts=True)
    counts |= dict(zip((str(name) for name in names), found.tolist(), strict=True))
    return counts


def _buckets(first: date, last: date, unit: Any) -> Any:
    low, high = (np.datetime64(day).astype(f"datetime64[{unit}]") for day in (first, last))
    return np.arange(low, high + 1)
