"""The scale guards: prices in another unit are refused, on every way in.

What a market says is plausible for the kind of instrument is judged first, from the first load on and whatever else is
allowed; then the stored neighbours, unless declared splits explain the step or somebody restates on purpose. The rules
and why they are so: docs/decisions/0014-restatements.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg

from hypertape.errors import SuspectScale
from hypertape.frame import Bars, instant, micros
from hypertape.model import Market
from hypertape.queries import query
from hypertape.warehouse.loading.batch import LoadRequest, SeriesLoad
from hypertape.warehouse.loading.price_ratio import Split, explained, guard_scale
from hypertape.warehouse.loading.stored import SeriesState, read_neighbours

Connection = psycopg.Connection[Any]


def implausible(request: LoadRequest, entry: SeriesLoad, stored: Bars) -> SuspectScale | None:
    """Return why the incoming prices cannot be of the market's unit, if their median says so.

    `stored` are the bars of their times; where these are in the wrong unit too, the command that mends them is named.
    """
    market, closes = request.market, entry.incoming.close
    limits = market.plausible_prices.get(market.kind_of(entry.ticker))
    if limits is None or (closes.min() >= limits[0] and closes.max() <= limits[1]):
        return None
    median = float(np.median(closes))
    if _within(median, limits):
        return None
    kind = market.kind_of(entry.ticker)
    stored_too = len(stored) and not _within(float(np.median(stored.close)), limits)
    return SuspectScale(
        f"The median close is {median:.6g}, and the plausible prices of a {kind} of {market.code} reach from "
        f"{limits[0]:.6g} to {limits[1]:.6g} {'points' if kind == 'index' else market.price_unit}: another unit",
        next_step=_unit_advice(market, entry.ticker, median, limits)
        + (f" {_replace(request, entry.ticker)}" if stored_too else ""),
    )


def _unit_advice(market: Market, ticker: str, median: float, limits: tuple[float, float]) -> str:
    if market.file_scale != 1.0 and not market.is_index(ticker):
        if _within(median * market.file_scale, limits):
            return (
                f"Legacy files are in units of {market.file_scale:g} {market.price_unit}: give --legacy-scale "
                "(HYPERTAPE_LEGACY_SCALE=true)."
            )
        if _within(median / market.file_scale, limits):
            return "The prices are whole already: leave --legacy-scale out."
    listed = (
        "" if ticker in market.by_ticker else f" If {ticker} is an index, list it as one in the ticker file."
    )
    return f"Check the source's price unit; if the prices are right, widen the market's plausible_prices.{listed}"


def _within(price: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= price <= limits[1]


def refused_scale(
    connection: Connection, request: LoadRequest, entry: SeriesLoad, stored: Bars, state: SeriesState | None
) -> SuspectScale | None:
    """Return why the incoming prices of a series are refused, if they are.

    `stored` are its bars around the incoming ones. Prices about ×1000, ×100, ÷100 or ÷1000 of theirs are accepted only
    where `splits` holds the splits that make them so, and the stored bars do not show these splits yet.
    """
    if request.accept_scale:
        return None
    try:
        guard_scale(stored, entry.incoming)
    except SuspectScale as error:
        splits = _unapplied_splits(connection, request, entry, stored, state)
        if splits and explained(stored, entry.incoming, splits):
            return None
        return _stored_in_wrong_unit(request, entry, stored) or error
    return None


def _stored_in_wrong_unit(request: LoadRequest, entry: SeriesLoad, stored: Bars) -> SuspectScale | None:
    """The refusal that names the mend where it is the stored bars whose unit cannot be."""
    market = request.market
    limits = market.plausible_prices.get(market.kind_of(entry.ticker))
    median = float(np.median(stored.close))
    if limits is None or _within(median, limits):
        return None
    return SuspectScale(
        f"The stored bars are in another unit: their median close is {median:.6g}, and what came is plausible",
        next_step=_replace(request, entry.ticker),
    )


def _replace(request: LoadRequest, ticker: str) -> str:
    """The command that replaces stored bars of a wrong unit."""
    series = f"{request.market.code} {request.interval.value} --tickers {ticker}"
    return (
        f"Replace what is stored: `hypertape backfill {series} --mode restate --no-dry-run --reason 'wrong unit'`, "
        "with the options of the source (--source-dir, --legacy-scale); or import or copy again with --accept-scale."
    )


def _unapplied_splits(
    connection: Connection, request: LoadRequest, entry: SeriesLoad, stored: Bars, state: SeriesState | None
) -> list[Split]:
    """The declared splits after the first bar at hand that the stored prices do not show yet."""
    first = min(int(stored.time[0]), entry.span[0])
    rows = connection.execute(
        query("splits_since"), (request.market.code, entry.ticker, instant(first), request.now)
    ).fetchall()
    found = [Split(micros(time), ratio) for time, ratio in rows]
    return [
        split for split in found if state is None or not _applied(connection, request, entry, state, split)
    ]


def _applied(
    connection: Connection, request: LoadRequest, entry: SeriesLoad, state: SeriesState, split: Split
) -> bool:
    """True when the stored prices go on over a split as if nothing had happened: they are on its footing already."""
    around = read_neighbours(
        connection,
        request.market,
        request.interval,
        {entry.ticker: state},
        {entry.ticker: (split.time, split.time - 1)},
    )
    before, after = around.get(entry.ticker, (Bars.empty(), Bars.empty()))
    if not len(before) or not len(after):
        return False
    step = float(np.log(after.close[0] / before.close[-1]))
    return abs(step) < abs(step + float(np.log(split.ratio)))
