"""What a load may be asked for: keep what is stored, accept a scale, say why, watch for restatements."""

from __future__ import annotations

import pytest
from lab import (
    NOW,
    changed,
    digest,
    fingerprint,
    fresh_fingerprint,
    new_ticker,
    put,
    query,
    scaled,
    times,
    value,
    walk,
)

from hypertape.errors import SuspectScale
from hypertape.frame import instant
from hypertape.model import utc


@pytest.fixture
def ticker():
    return new_ticker()


def closes(connection, ticker):
    return [
        row[0]
        for row in query(
            connection, "select close from bars.crypto_data_1d where ticker = %s order by time", ticker
        )
    ]


def test_kept_bars_stay_and_only_missing_ones_arrive(common, ticker):
    bars = walk(30)
    put(common, {ticker: bars.take([*range(10), *range(12, 20)])})
    other = changed(bars, slice(None), close=lambda close: close * 1.001)
    result = put(common, {ticker: other}, keep_stored=True)[ticker]
    assert (result.inserted, result.updated, result.unchanged, result.restated) == (12, 0, 18, 0)
    expected = [other.close[at] if at in (10, 11) or at >= 20 else bars.close[at] for at in range(30)]
    assert closes(common, ticker) == expected
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 0


def test_nothing_missing_writes_nothing(common, ticker):
    bars = walk(30)
    put(common, {ticker: bars})
    before = digest(common, ticker)
    result = put(common, {ticker: scaled(bars, 1.01)}, keep_stored=True)[ticker]
    assert (result.inserted, result.updated, result.recomputed, result.unchanged) == (0, 0, 0, 30)
    assert digest(common, ticker) == before


def test_the_open_bar_is_not_kept(common, ticker):
    bars = walk(5)
    open_at = instant(int(bars.time[-1]))
    put(common, {ticker: bars}, now=open_at)
    other = changed(bars, slice(None), close=lambda close: close * 1.001)
    result = put(common, {ticker: other}, keep_stored=True)[ticker]
    assert (result.updated, result.unchanged, result.restated) == (1, 4, 0)
    assert closes(common, ticker) == [*bars.close[:-1], other.close[-1]]


def test_missing_bars_in_another_unit_are_refused_all_the_same(common, ticker):
    bars = walk(30)
    put(common, {ticker: bars.take(slice(0, 20))})
    result = put(common, {ticker: scaled(bars, 1000)}, keep_stored=True)[ticker]
    assert isinstance(result.refused, SuspectScale)
    assert closes(common, ticker) == bars.close[:20].tolist()


def test_a_scale_is_accepted_when_asked_for(common, ticker):
    bars = walk(30)
    put(common, {ticker: bars})
    refused = put(common, {ticker: scaled(bars, 1000)}, run_id="slip")[ticker]
    assert isinstance(refused.refused, SuspectScale)
    result = put(
        common, {ticker: scaled(bars, 1000)}, run_id="mend", accept_scale=True, reason="was in thousands"
    )[ticker]
    assert (result.refused, result.updated, result.restated) == (None, 30, 30)
    assert value(common, "select reason from load where load_id = %s", result.load_id) == "was in thousands"
    assert value(common, "select reason from load where load_id = %s", refused.load_id) is None


def restatements(connection, ticker):
    columns = (
        "state, direction, round(ratio::numeric, 6)::float8, bars, first_changed, last_changed, found_load"
    )
    return query(connection, f"select {columns} from restatement where ticker = %s", ticker)


@pytest.mark.parametrize(("factor", "direction"), [(0.5, "down"), (1.25, "up")], ids=["down", "up"])
def test_changed_final_bars_raise_one_suspicion(common, ticker, factor, direction):
    bars = walk(30)
    put(common, {ticker: bars})
    second = put(common, {ticker: scaled(bars, factor).take(slice(20, 30))}, watch=True)[ticker]
    assert restatements(common, ticker) == [
        ("suspected", direction, factor, 10, *times(bars, [20, 29]), second.load_id)
    ]
    put(common, {ticker: scaled(bars, factor).take(slice(20, 30))}, watch=True)
    assert len(restatements(common, ticker)) == 1
    third = put(common, {ticker: scaled(bars, factor).take(slice(15, 30))}, watch=True)[ticker]
    assert restatements(common, ticker) == [
        ("suspected", direction, factor, 15, *times(bars, [15, 29]), third.load_id)
    ], "the open suspicion grows"


def test_the_open_bar_a_new_bar_and_an_unwatched_load_raise_none(common, ticker):
    bars = walk(6)
    put(common, {ticker: bars.take(slice(0, 5))}, now=instant(int(bars.time[4])))
    put(common, {ticker: changed(bars, 4, close=lambda close: close * 1.001)}, watch=True)
    assert restatements(common, ticker) == []
    put(common, {ticker: changed(bars, 4, close=lambda close: close * 1.002)})
    assert restatements(common, ticker) == []


def test_another_source_s_opinion_is_no_restatement(common, ticker):
    bars = walk(30)
    put(common, {ticker: bars})
    common.execute("update load set source = 'elsewhere' where ticker = %s", (ticker,))
    put(common, {ticker: scaled(bars, 0.9)}, watch=True, now=NOW)
    assert restatements(common, ticker) == []
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 30


def test_a_run_that_was_overtaken_does_not_bring_its_open_bar_back(common, ticker):
    """It asked while the last bar was open, and its load comes after one that knows the bar as final."""
    bars = walk(6)
    put(common, {ticker: bars})
    before = digest(common, ticker)
    half = changed(bars, 5, close=lambda close: close * 1.001, volume=1.0)
    late = put(common, {ticker: half}, now=instant(int(bars.time[5])), run_id="late")[ticker]
    assert (late.updated, late.unchanged) == (0, 6)
    assert digest(common, ticker) == before
    early = bars.take([*range(3)])
    put(common, {ticker: changed(early, 2, volume=1.0)}, now=instant(int(bars.time[2])), run_id="later")
    assert digest(common, ticker) == before
    assert value(common, "select provisional_time from series where ticker = %s", ticker) is None


@pytest.mark.parametrize("rows", [50, 1500], ids=["by INSERT", "by COPY"])
def test_bars_that_another_program_wrote_are_compared_like_ours(common, ticker, rows):
    bars = walk(rows)
    put(common, {ticker: bars.take(slice(10, 40))})
    common.execute("delete from series where ticker = %s", (ticker,))
    common.execute("update bars.crypto_data_1d set load_id = -1 where ticker = %s", (ticker,))
    other = changed(bars, 20, close=lambda close: close * 1.001)
    result = put(common, {ticker: other}, now=utc(2100))[ticker]
    assert (result.inserted, result.updated, result.unchanged) == (rows - 30, 1, 29)
    assert fingerprint(common, ticker) == fresh_fingerprint(common, other)
