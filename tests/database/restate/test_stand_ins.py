"""A source stands in for another one: it adds bars and changes none, and no restatement of that time is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from lab import (
    LONG_AGO,
    changed,
    compress_long_ago,
    fingerprint,
    fresh_fingerprint,
    grid,
    new_ticker,
    put,
    query,
    row_versions,
    scaled,
    value,
)
from restatement_lab import BEGIN, Vendor, assert_true, first_days, history, ledger, outcome, rereads, start

from hypertape.frame import Bars, instant
from hypertape.steps.restate import Settled, resolve_restatements
from hypertape.warehouse.restatements import TRIES

OVERLAP = 5
"""The bars a run of the vendor in these tests reads again."""


@pytest.fixture
def vendor(common_warehouse, tmp_path):
    return Vendor(tmp_path, common_warehouse)


@pytest.fixture
def ticker():
    return new_ticker("S")


def stood_in(common, ticker, bars, day, by="yahoo", **others):
    """The daily run of a day on which another source answered for the overlap and the new bar."""
    now = BEGIN + timedelta(days=day, hours=1)
    given = {"run_id": f"{by} {day}", "served_by": {ticker: by}, "keep_others": True, "watch": True, **others}
    result = put(common, {ticker: bars.take(slice(day - OVERLAP - 1, day))}, now=now, **given)
    common.execute(
        "update series set watermark = %s where ticker = %s", (BEGIN + timedelta(days=day), ticker)
    )
    return result[ticker]


def dollars(bars):
    """The same bars as another vendor counts: another unit of volume, and adjusted closes."""
    return Bars(
        bars.time, bars.open, bars.high, bars.low, bars.close, bars.volume * bars.close, bars.close * 0.9
    )


def sources(common, ticker):
    """How many stored bars are whose."""
    counts = (
        "select source, count(*) from bars.crypto_data_1d as bar join load using (load_id) where bar.ticker = %s "
        "group by source"
    )
    return dict(query(common, counts, ticker))


def test_final_bars_stay_and_the_new_one_comes(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    result = stood_in(common, ticker, dollars(scaled(bars, 0.5)), 251)
    assert (result.inserted, result.updated, result.restated) == (1, 0, 0)
    assert sources(common, ticker) == {"csv_tree": 250, "yahoo": 1}
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 0
    assert ledger(common, ticker, "state, source, stand_in, bars, direction, ratio, compared_from") == [
        ("disputed", "csv_tree", "yahoo", OVERLAP, "down", 0.5, BEGIN + timedelta(days=250))
    ]


def test_the_same_answer_again_writes_nothing_but_its_load(vendor, common, ticker):
    bars = dollars(scaled(history(), 0.5))
    start(vendor, ticker, history())
    stood_in(common, ticker, bars, 251)
    rows = row_versions(common, "bars.crypto_data_1d", f"ticker = '{ticker}'")
    entries = row_versions(common, "restatement", f"ticker = '{ticker}'")
    again = stood_in(common, ticker, bars, 251)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, OVERLAP + 1)
    assert row_versions(common, "bars.crypto_data_1d", f"ticker = '{ticker}'") == rows
    assert row_versions(common, "restatement", f"ticker = '{ticker}'") == entries


def test_a_split_first_seen_by_the_stand_in_is_found_when_the_first_source_is_back(vendor, common, ticker):
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    stood_in(common, ticker, dollars(restated), 251)
    vendor.says(ticker, first_days(restated, 252))
    assert vendor.sync(252, [ticker]).restated.reread == 1
    assert ledger(common, ticker, "state, stand_in, differing > 0") == [
        ("answered", "yahoo", True),
        ("reread", None, True),
    ]
    assert sources(common, ticker) == {"csv_tree": 252}
    assert_true(vendor, common, ticker, first_days(restated, 252))
    for day in (253, 254):
        vendor.says(ticker, first_days(restated, day))
        assert vendor.sync(day, [ticker]).restated.suspected == 0
    assert rereads(common, ticker) == 1


@pytest.mark.parametrize("away", [OVERLAP - 2, OVERLAP + 6], ids=["shorter", "longer than the overlap"])
@pytest.mark.parametrize("seen", [True, False], ids=["the stand-in shows it", "the stand-in does not"])
def test_an_absence_hides_no_restatement(vendor, common, ticker, away, seen):
    """Also where the overlap holds only the stand-in's bars, and these are equal to the first source's to the bit."""
    bars = history()
    split = 250 + away // 2
    restated = changed(
        bars, slice(0, split), **dict.fromkeys(("open", "high", "low", "close"), lambda price: price * 0.5)
    )
    start(vendor, ticker, bars)
    for day in range(251, 251 + away):
        stated = restated if seen and day > split else bars
        stood_in(common, ticker, stated, day)
        assert value(common, "select count(*) from bar_revision where ticker = %s and time < %s", ticker,
                     BEGIN + timedelta(days=250)) == 0  # fmt: skip
    day = 251 + away
    vendor.says(ticker, first_days(restated, day))
    assert vendor.sync(day, [ticker]).restated.reread == 1
    assert_true(vendor, common, ticker, first_days(restated, day))


@pytest.mark.parametrize("away", [1, OVERLAP + 6], ids=["shorter", "longer than the overlap"])
def test_the_first_source_s_answer_replaces_the_stand_in_s_bars(vendor, common, ticker, away):
    """Nothing was restated: its own bars are compared once, and the history is not read again."""
    bars = history(days=270)
    start(vendor, ticker, bars)
    for day in range(251, 251 + away):
        stood_in(common, ticker, dollars(bars), day)
    day = 251 + away
    vendor.says(ticker, first_days(bars, day))
    done = vendor.sync(day, [ticker])
    assert outcome(done) == {"suspected": 0, "local": 0, "reread": 0}
    assert ledger(common, ticker, "state, differing, checked") == [
        ("answered", 0, OVERLAP - 1 if away == 1 else OVERLAP + 1)
    ]
    assert sources(common, ticker) == {"csv_tree": day}
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == away
    assert_true(vendor, common, ticker, first_days(bars, day))


def test_nobody_asks_a_source_that_is_away(vendor, common, ticker):
    """The stand-in serves the run: the entry waits, and the run does not fail for it."""
    bars = history()
    start(vendor, ticker, bars)
    vendor.says(ticker, first_days(scaled(bars, 0.5), 251))
    spec, now = vendor.load_only(251, [ticker], "suspects " + ticker)
    stood_in(common, ticker, scaled(bars, 0.5), 252, run_id="away " + ticker)
    (vendor.root / "tree" / ticker / "1D.csv").unlink()
    away = replace(spec, run_id="away " + ticker)
    done = resolve_restatements(vendor.dsn, away, now=now + timedelta(days=1), settings=vendor.settings)
    assert done == Settled()
    assert ledger(common, ticker, "state") == [("disputed",), ("suspected",)]


def test_a_return_that_does_not_reach_back_is_asked_again_and_given_up_in_the_end(vendor, common, ticker):
    bars = history(days=290)
    start(vendor, ticker, bars)
    for day in range(251, 262):
        stood_in(common, ticker, dollars(bars), day)
    states = []
    for day in range(262, 262 + TRIES + 1):
        vendor.says(ticker, bars.take(slice(258, day)))
        vendor.sync(day, [ticker])
        states += ledger(common, ticker, "state, tries")
    assert states == [("disputed", 1), ("disputed", 2), ("partial", 3), ("partial", 3)]
    ((begin, error),) = ledger(common, ticker, "reread_from, error")
    assert begin == BEGIN + timedelta(days=258)
    assert "the answer begins at 2024-04-28" in error


def test_a_backfill_of_other_days_settles_no_dispute(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    stood_in(common, ticker, dollars(bars), 251)
    put(common, {ticker: bars.take(slice(0, 50))}, watch=True)
    assert ledger(common, ticker, "state") == [("answered",)], "all of time was asked for"
    stood_in(common, ticker, dollars(bars), 252)
    vendor.says(ticker, first_days(bars, 252))
    vendor.sync(253, [ticker], start=BEGIN, end=BEGIN + timedelta(days=50))
    assert ledger(common, ticker, "state") == [("answered",), ("disputed",)]


def test_a_series_the_first_source_never_gave_is_the_other_one_s_own(vendor, common, ticker):
    """Its restatements are found and read again there, as anybody's."""
    bars = history()
    vendor.source = {"name": "csv_tree", "directory": str(vendor.root / "tree")}
    start(vendor, ticker, bars)
    result = put(
        common, {ticker: scaled(bars, 0.5).take(slice(245, 251))}, now=BEGIN + timedelta(days=251, hours=1),
        served_by={ticker: "csv_tree"}, keep_others=True, watch=True,
    )[ticker]  # fmt: skip
    assert (result.inserted, result.updated) == (1, 5)
    assert ledger(common, ticker, "state, stand_in") == [("suspected", None)]


def test_an_asked_for_overwrite_writes_what_the_stand_in_says(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    result = stood_in(common, ticker, scaled(bars, 0.5), 251, keep_others=False)
    assert (result.inserted, result.updated) == (1, OVERLAP)
    assert ledger(common, ticker, "state") == [("disputed",)]


def test_a_ticker_can_be_handed_over(vendor, common, ticker):
    """Its first source will never serve it again: a person has another one's whole history written."""
    bars = history()
    start(vendor, ticker, bars)
    stood_in(common, ticker, dollars(scaled(bars, 0.5)), 251)
    common.execute("update restatement set source = 'gone' where ticker = %s", (ticker,))
    common.execute("update load set source = 'gone' where ticker = %s and source = 'csv_tree'", (ticker,))
    put(common, {ticker: scaled(bars, 0.5).take(slice(0, 252))}, accept_scale=True, reason="delisted there")
    assert ledger(common, ticker, "state, stand_in") == [("answered", "yahoo")]
    later = put(
        common, {ticker: scaled(bars, 0.25).take(slice(245, 253))}, watch=True, keep_others=True,
    )[ticker]  # fmt: skip
    assert later.updated == 7
    assert ledger(common, ticker, "state") == [("answered",), ("suspected",)]


def test_what_the_first_source_said_too_is_its_own(vendor, common, ticker):
    """A stand-in's bar that the first source states alike, to the bit, is safe from the next absence."""
    bars = history()
    start(vendor, ticker, bars)
    stood_in(common, ticker, bars, 251)
    vendor.says(ticker, first_days(bars, 253))
    vendor.sync(253, [ticker])
    before = fingerprint(common, ticker)
    result = stood_in(common, ticker, scaled(bars, 0.5), 254)
    assert (result.inserted, result.updated) == (1, 0)
    common.execute(
        "delete from bars.crypto_data_1d where ticker = %s and time >= %s",
        (ticker, BEGIN + timedelta(days=253)),
    )
    assert fingerprint(common, ticker) == before


def test_a_gap_healed_by_another_source_is_no_dispute(vendor, common, ticker):
    """Newer bars of the first source are there to be compared."""
    bars = history()
    start(vendor, ticker, bars.take(np.r_[0:100, 105:260]), days=245)
    result = put(
        common, {ticker: bars.take(slice(100, 105))}, served_by={ticker: "yahoo"}, keep_stored=True,
        keep_others=False, watch=True,
    )[ticker]  # fmt: skip
    assert result.inserted == 5
    assert ledger(common, ticker) == []


def test_bars_of_an_absence_are_read_as_they_were_known(vendor, common, ticker):
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    seen = []
    for day, by in ((251, "yahoo"), (252, "yahoo"), (253, "csv_tree")):
        if by == "yahoo":
            stood_in(common, ticker, dollars(restated), day)
        else:
            vendor.says(ticker, first_days(restated, day))
            vendor.sync(day, [ticker])
        moment = value(common, "select known_now()")
        seen.append(
            (
                moment,
                query(
                    common,
                    "select time, close, volume from bars.crypto_data_1d where ticker = %s order by 1",
                    ticker,
                ),
            )
        )
    for moment, rows in seen:
        asked = "select time, close, volume from bars_as_of('crypto', '1d', %s, array[%s]) order by 1"
        assert query(common, asked, moment, ticker) == rows


def test_a_compressed_chunk_is_kept_from_a_stand_in_and_replaced_by_the_first_source(common, ticker):
    bars = history(days=60)
    bars = Bars(grid(60, start=LONG_AGO), *(getattr(bars, name) for name in Bars.__match_args__[1:]))
    put(common, {ticker: bars.take(slice(0, 50))})
    compress_long_ago(common, "bars.crypto_data_1d")
    served = {"served_by": {ticker: "yahoo"}, "keep_others": True, "watch": True}
    put(common, {ticker: dollars(scaled(bars, 0.5)).take(slice(40, 55))}, **served)
    assert sources(common, ticker) == {"csv_tree": 50, "yahoo": 5}
    compress_long_ago(common, "bars.crypto_data_1d")
    back = put(common, {ticker: bars}, watch=True)[ticker]
    assert (back.inserted, back.updated) == (5, 5)
    assert ledger(common, ticker, "state, checked, differing") == [("answered", 50, 0)]
    assert fingerprint(common, ticker) == fresh_fingerprint(common, bars)
    assert instant(int(bars.time[0])) == LONG_AGO
