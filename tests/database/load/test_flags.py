"""A flag says that a stored bar breaks a rule its market only flags: it comes and goes with the bar."""

from __future__ import annotations

import numpy as np
import pytest
from lab import VN, changed, new_ticker, put, query, scaled, value, walk


@pytest.fixture
def ticker():
    return new_ticker("FLAG")


def odd(bars, *places):
    """The bars with closes above their highs at some places."""
    for place in places:
        bars = changed(bars, place, close=lambda close: close * 1.05)
    return bars


def flags(connection, ticker):
    rows = query(
        connection,
        "select flag.time, flag.rule, flag.load_id from bar_flag as flag where flag.ticker = %s order by flag.time",
        ticker,
    )
    return [(time, rule, load_id) for time, rule, load_id in rows]


def test_a_flag_names_the_load_and_shows_what_was_delivered(common, ticker):
    bars = odd(walk(30), 3, 20)
    result = put(common, {ticker: bars})[ticker]
    assert (result.inserted, result.quarantined, result.flagged) == (30, 0, 2)
    assert [(rule, load_id) for _, rule, load_id in flags(common, ticker)] == [
        ("ohlc_order", result.load_id)
    ] * 2
    assert value(common, "select flagged from load where load_id = %s", result.load_id) == 2
    shown = value(common, "select value from bar_flag where ticker = %s order by time limit 1", ticker)
    assert shown == f"open={bars.open[3]}, high={bars.high[3]}, low={bars.low[3]}, close={bars.close[3]}"


def test_the_same_again_writes_no_flag(common, ticker):
    put(common, {ticker: odd(walk(30), 3)})
    before = flags(common, ticker)
    assert put(common, {ticker: odd(walk(30), 3)})[ticker].flagged == 0
    assert flags(common, ticker) == before


def test_a_correction_clears_the_flag_of_its_bar_and_of_no_other(common, ticker):
    put(common, {ticker: odd(walk(30), 3, 20)})
    kept = flags(common, ticker)[1]
    put(common, {ticker: odd(walk(30), 20)})
    assert flags(common, ticker) == [kept]


def test_a_bar_that_is_restated_and_still_odd_is_flagged_by_its_new_load(common, ticker):
    put(common, {ticker: odd(walk(30), 3)})
    again = put(common, {ticker: scaled(odd(walk(30), 3), 0.5)})[ticker]
    assert again.updated == 30
    assert [load_id for *_, load_id in flags(common, ticker)] == [again.load_id]


def test_a_refused_series_keeps_the_flags_it_had(common):
    bars = odd(scaled(walk(30), 10.0), 3)
    name = "VIC"
    put(common, {name: bars}, market=VN)
    before = flags(common, name)
    assert len(before) == 1
    assert put(common, {name: scaled(bars, 1e-3)}, market=VN)[name].refused is not None
    assert flags(common, name) == before


def test_many_flags_are_written_with_a_first_load(common, ticker):
    bars = walk(1_500)
    half = np.arange(0, 1_500, 2)
    high = bars.high.copy()
    high[half] = bars.low[half]
    flagged = changed(bars, slice(None), high=lambda _: high)
    expected = int(((flagged.close > flagged.high) | (flagged.open > flagged.high)).sum())
    assert put(common, {ticker: flagged})[ticker].flagged == expected > 500
