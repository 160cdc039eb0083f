"""A vendor changes final bars: found in the overlap, confirmed further back, read again once, in both directions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from lab import (
    CRYPTO,
    D1,
    changed,
    fingerprint,
    fresh_fingerprint,
    new_ticker,
    put,
    query,
    request,
    scaled,
    to_frame,
    value,
)
from restatement_lab import BEGIN, Vendor, assert_true, first_days, history, ledger, outcome, rereads, start

from hypertape.errors import BatchRefused, SuspectScale
from hypertape.steps.restate import Settled, reread, resolve_restatements
from hypertape.steps.sync import sync
from hypertape.warehouse.loading.load import load_bars
from hypertape.warehouse.restatements import claimed


@pytest.fixture
def vendor(common_warehouse, tmp_path):
    return Vendor(tmp_path, common_warehouse)


@pytest.fixture
def ticker():
    return new_ticker("R")


@pytest.mark.parametrize(("factor", "direction"), [(0.5, "down"), (1.1, "up")], ids=["down", "up"])
def test_a_restated_history_is_read_again_once(vendor, common, ticker, factor, direction):
    bars = history()
    start(vendor, ticker, bars)
    restated = scaled(bars, factor)
    vendor.says(ticker, first_days(restated, 251))
    done = vendor.sync(251, [ticker])
    assert outcome(done) == {"suspected": 1, "local": 0, "reread": 1}
    assert done.failed == {}
    assert (done.counts["inserted"], done.counts["updated"]) == (1, 250)
    assert ledger(
        common, ticker, "state, direction, round(ratio::numeric, 6)::float8, checked, differing"
    ) == [("reread", direction, factor, 60, 60)]
    assert query(
        common,
        "select count(*), min(time), count(distinct replaced_by) from bar_revision where ticker = %s",
        ticker,
    ) == [(250, BEGIN, 2)]
    assert_true(vendor, common, ticker, first_days(restated, 251))
    vendor.says(ticker, first_days(restated, 252))
    again = vendor.sync(252, [ticker])
    assert outcome(again) == {"suspected": 0, "local": 0, "reread": 0}
    assert (rereads(common, ticker), len(ledger(common, ticker))) == (1, 1)


def test_a_corrected_bar_is_local(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    corrected = changed(bars, 248, close=lambda close: close * 1.001)
    vendor.says(ticker, first_days(corrected, 251))
    done = vendor.sync(251, [ticker])
    assert outcome(done) == {"suspected": 1, "local": 1, "reread": 0}
    assert ledger(common, ticker, "state, checked, differing") == [("local", 80, 0)]
    assert rereads(common, ticker) == 0
    assert_true(vendor, common, ticker, first_days(corrected, 251))


def test_a_history_restated_from_its_start_only_is_found_there(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    restated = changed(bars, [3, 248], volume=lambda volume: volume * 2)
    vendor.says(ticker, first_days(restated, 251))
    assert vendor.sync(251, [ticker]).restated.reread == 1
    assert ledger(common, ticker, "state, direction, ratio, checked, differing") == [
        ("reread", "mixed", None, 80, 1)
    ]
    assert_true(vendor, common, ticker, first_days(restated, 251))


def test_the_open_bar_never_counts(vendor, common, ticker):
    bars = history()
    vendor.says(ticker, first_days(bars, 250))
    open_for = timedelta(days=249, hours=12)  # within the last bar
    sync(
        vendor.dsn, "crypto", "1d", now=BEGIN + open_for, source=vendor.source, settings=vendor.settings,
        tickers=[ticker], check=False, start=BEGIN,
    )  # fmt: skip
    vendor.says(ticker, changed(bars, 249, close=lambda close: close * 1.001))
    vendor.load_only(251, [ticker], "later " + ticker)
    assert ledger(common, ticker) == []
    assert value(common, "select count(*) from bar_revision where ticker = %s", ticker) == 0


def test_a_young_series_was_in_the_answer_whole(vendor, common, ticker):
    bars = history(days=6)
    vendor.says(ticker, bars.take(slice(0, 4)))
    vendor.sync(4, [ticker], start=BEGIN)
    vendor.says(ticker, scaled(bars, 0.5).take(slice(0, 5)))
    done = vendor.sync(5, [ticker], start=BEGIN)
    assert outcome(done) == {"suspected": 1, "local": 0, "reread": 1}
    assert rereads(common, ticker) == 0
    assert_true(vendor, common, ticker, scaled(bars, 0.5).take(slice(0, 5)))


def test_a_run_that_died_after_its_load_leaves_the_work_to_the_next(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    restated = scaled(bars, 0.5)
    vendor.says(ticker, first_days(restated, 251))
    spec, now = vendor.load_only(251, [ticker], "dead " + ticker)
    assert ledger(common, ticker) == [("suspected", "down")]
    vendor.says(ticker, first_days(restated, 252))
    done = vendor.sync(252, [ticker])
    assert done.restated.reread == 1
    assert reread(vendor.dsn, spec, now=now, settings=vendor.settings) == Settled()
    assert rereads(common, ticker) == 1
    assert_true(vendor, common, ticker, first_days(restated, 252))


def test_a_run_that_died_before_reading_again_is_taken_up_without_asking_twice(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    restated = scaled(bars, 0.5)
    vendor.says(ticker, first_days(restated, 251))
    spec, now = vendor.load_only(251, [ticker], "dead " + ticker)
    common.execute("update restatement set state = 'confirmed' where ticker = %s", (ticker,))
    done = reread(vendor.dsn, spec, now=now, settings=vendor.settings)
    assert (done.reread, done.counts.updated, done.confirmed) == (1, 247, 0)
    assert reread(vendor.dsn, spec, now=now, settings=vendor.settings).suspected == 0
    assert rereads(common, ticker) == 1
    assert_true(vendor, common, ticker, first_days(restated, 251))


def test_two_workers_do_not_work_on_one_restatement(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    vendor.says(ticker, first_days(scaled(bars, 0.5), 251))
    spec, now = vendor.load_only(251, [ticker], "two " + ticker)
    asked = {"run_id": spec.run_id, "sources": ["csv_tree"]}
    with claimed(vendor.dsn, CRYPTO, D1, **asked) as (found, _):
        assert [entry.ticker for entry in found] == [ticker]
        idle = reread(vendor.dsn, spec, now=now, settings=vendor.settings)
        assert idle == Settled()
    assert reread(vendor.dsn, spec, now=now, settings=vendor.settings).reread == 1


def test_a_vendor_that_fails_meanwhile_leaves_the_suspicion_open(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    vendor.says(ticker, first_days(scaled(bars, 0.5), 251))
    spec, now = vendor.load_only(251, [ticker], "fails " + ticker)
    (vendor.root / "tree" / ticker / "1D.csv").unlink()
    done = resolve_restatements(vendor.dsn, spec, now=now, settings=vendor.settings)
    assert list(done.failed) == [ticker]
    with pytest.raises(BatchRefused, match=ticker):
        reread(vendor.dsn, spec, now=now, settings=vendor.settings)
    ((state, error),) = ledger(common, ticker, "state, error")
    assert state == "suspected"
    assert ticker in error


def test_several_series_are_settled_together(vendor, common):
    tickers = [new_ticker("S") for _ in range(7)]
    series = {ticker: history(seed) for seed, ticker in enumerate(tickers)}
    for ticker, bars in series.items():
        start(vendor, ticker, bars)
    for at, (ticker, bars) in enumerate(series.items()):
        series[ticker] = scaled(bars, 0.5) if at % 2 else changed(bars, 247, volume=lambda volume: volume * 2)
        vendor.says(ticker, first_days(series[ticker], 251))
    assert outcome(vendor.sync(251, tickers)) == {"suspected": 7, "local": 4, "reread": 3}
    for ticker, bars in series.items():
        assert fingerprint(common, ticker) == fresh_fingerprint(common, first_days(bars, 251))


# scale


def declare(connection, ticker, day, ratio):
    connection.execute(
        "insert into splits (market, ticker, time, ratio) values ('crypto', %s, %s, %s)",
        (ticker, BEGIN + timedelta(days=day), ratio),
    )


def stepped(bars, day, ratio):
    """The series on the footing of its days: old prices before a split, new ones after."""
    return changed(
        bars, slice(day, None),
        **dict.fromkeys(("open", "high", "low", "close"), lambda price: price / ratio),
    )  # fmt: skip


@pytest.mark.parametrize("ratio", [100.0, 0.01, 1000.0], ids=["1:100", "100:1", "1:1000"])
def test_a_declared_split_explains_a_step_that_looks_like_another_unit(common, ticker, ratio):
    bars = history(days=40)
    put(common, {ticker: first_days(bars, 30)})
    adjusted = scaled(bars, 1 / ratio)
    assert isinstance(put(common, {ticker: adjusted})[ticker].refused, SuspectScale)
    declare(common, ticker, 30, ratio)
    assert put(common, {ticker: adjusted})[ticker].refused is None
    assert fingerprint(common, ticker) == fresh_fingerprint(common, adjusted)


def test_new_bars_after_a_declared_split_may_be_on_its_footing(common, ticker):
    bars = stepped(history(days=40), 30, 100.0)
    put(common, {ticker: first_days(bars, 30)})
    after = bars.take(slice(30, 40))
    assert isinstance(put(common, {ticker: after})[ticker].refused, SuspectScale)
    declare(common, ticker, 30, 100.0)
    assert put(common, {ticker: after})[ticker].refused is None


@pytest.mark.parametrize(
    ("day", "ratio"),
    [(20, 2.0), (30, 2.0), (20, 0.01), (45, 100.0)],
    ids=["of another size", "of another size, new", "the other way", "after now"],
)
def test_a_split_that_does_not_explain_it_changes_nothing(common, ticker, day, ratio):
    bars = history(days=40)
    put(common, {ticker: first_days(bars, 30)}, now=BEGIN + timedelta(days=31))
    declare(common, ticker, day, ratio)
    slipped = put(common, {ticker: scaled(bars, 0.01)}, now=BEGIN + timedelta(days=41))[ticker]
    assert isinstance(slipped.refused, SuspectScale)


def test_a_split_that_the_stored_prices_show_already_excuses_no_slip(common, ticker):
    """The vendor has adjusted for it long ago; now a backfill of older bars comes in another unit."""
    bars = history(days=40)
    put(common, {ticker: bars})
    declare(common, ticker, 20, 100.0)
    slipped = put(common, {ticker: scaled(bars, 0.01).take(slice(5, 15))})[ticker]
    assert isinstance(slipped.refused, SuspectScale)


def test_a_slip_of_the_whole_history_is_not_confirmed_by_its_being_whole(vendor, common, ticker):
    bars = history()
    start(vendor, ticker, bars)
    vendor.says(ticker, first_days(scaled(bars, 1000), 251))
    done = vendor.sync(251, [ticker])
    assert "×1000" in done.failed[ticker]
    assert ledger(common, ticker) == []
    assert_true(vendor, common, ticker, first_days(bars, 250))


def test_splits_of_a_load_count_for_it(common, ticker):
    bars = history(days=40)
    put(common, {ticker: first_days(bars, 30)})
    declare(common, ticker, 30, 10.0)
    declare(common, ticker, 35, 10.0)
    (result,) = load_bars(common, to_frame({ticker: scaled(bars, 0.01)}), request())
    assert result.refused is None
