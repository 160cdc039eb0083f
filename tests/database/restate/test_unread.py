"""A vendor that does not answer in full: a restatement stays open until its history was read whole, or is given up."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from lab import changed, fingerprint, fresh_fingerprint, new_ticker, query, row_versions, scaled
from restatement_lab import BEGIN, Vendor, assert_true, first_days, history, ledger, outcome, rereads, start
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.steps.restate import resolve_restatements
from hypertape.warehouse.restatements import TRIES

COLUMNS = "state, unread, tries, reread_from"


@pytest.fixture
def vendor(common_warehouse, tmp_path):
    return Vendor(tmp_path, common_warehouse)


@pytest.fixture
def ticker():
    return new_ticker("U")


def last_of(bars, day, count):
    """The vendor's history on a day, cut down to its newest bars."""
    return bars.take(slice(day - count, day))


def test_a_history_that_came_cut_is_asked_for_again(vendor, common, ticker):
    """A vendor's hiccup: of 250 bars it answers 12, which confirm the restatement and do not mend it."""
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    vendor.says(ticker, last_of(restated, 251, 12))
    assert outcome(vendor.sync(251, [ticker])) == {"suspected": 1, "local": 0, "reread": 0}
    ((state, unread, tries, begin, error),) = ledger(common, ticker, f"{COLUMNS}, error")
    assert (state, unread, tries, begin) == ("confirmed", 239, 1, BEGIN + timedelta(days=239))
    assert "the answer begins at 2024-04-09" in error
    vendor.says(ticker, first_days(restated, 252))
    assert vendor.sync(252, [ticker]).restated.reread == 1
    assert ledger(common, ticker, f"{COLUMNS}, error") == [("reread", 0, 1, BEGIN, None)]
    assert_true(vendor, common, ticker, first_days(restated, 252))


def test_a_history_that_came_without_its_middle_is_not_read_whole(vendor, common, ticker):
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    holed = restated.take(np.r_[0:100, 150:251])
    vendor.says(ticker, holed)
    assert vendor.sync(251, [ticker]).restated.reread == 0
    assert ledger(common, ticker, "state, unread") == [("confirmed", 50)]
    vendor.says(ticker, first_days(restated, 252))
    assert vendor.sync(252, [ticker]).restated.reread == 1
    assert_true(vendor, common, ticker, first_days(restated, 252))


def test_what_a_vendor_cannot_reach_is_given_up_after_some_tries_and_told(
    vendor, common, ticker, monkeypatch
):
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    states = []
    for day in range(251, 251 + TRIES + 2):
        vendor.says(ticker, last_of(restated, day, 100))
        vendor.sync(day, [ticker])
        states += ledger(common, ticker, "state, tries")
    assert states == [("confirmed", 1), ("confirmed", 2), ("partial", 3), ("partial", 3), ("partial", 3)]
    assert rereads(common, ticker) == TRIES, "no re-read a day for ever"
    ((unread, begin),) = ledger(common, ticker, "unread, reread_from")
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", vendor.dsn)
    monkeypatch.setenv("COLUMNS", "300")
    told = CliRunner().invoke(app, ["restatements", "--ticker", ticker, "--state", "partial"]).output
    assert f"{unread} bars" in told
    assert f"{begin:%Y-%m-%d}" in told
    assert (unread, begin) == (251 + TRIES - 1 - 100, BEGIN + timedelta(days=251 + TRIES - 1 - 100))


def test_an_answer_that_reaches_further_begins_the_count_anew(vendor, common, ticker):
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    states = []
    for day, reach in ((251, 12), (252, 12), (253, 50), (254, 50), (255, 50)):
        vendor.says(ticker, last_of(restated, day, reach))
        vendor.sync(day, [ticker])
        states += ledger(common, ticker, "state, tries")
    assert states == [("confirmed", tries) for tries in (1, 2, 1, 2)] + [("partial", 3)]


def test_a_vendor_s_bad_hour_is_one_try(vendor, common, ticker):
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    vendor.says(ticker, last_of(restated, 251, 12))
    spec, now = vendor.load_only(251, [ticker], "hourly " + ticker)
    for hour in range(TRIES + 1):
        resolve_restatements(vendor.dsn, spec, now=now + timedelta(hours=hour), settings=vendor.settings)
    assert ledger(common, ticker, "state, tries") == [("confirmed", 1)]
    assert rereads(common, ticker) == TRIES + 1


def test_a_run_over_old_days_reads_all_of_the_history_again(vendor, common, ticker):
    """It takes up what an earlier run left open; its own window ends long before the series does."""
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    vendor.says(ticker, last_of(restated, 251, 12))
    vendor.sync(251, [ticker])
    vendor.says(ticker, first_days(restated, 251))
    done = vendor.sync(251, [ticker], start=BEGIN, end=BEGIN + timedelta(days=20))
    assert done.restated.reread == 1
    assert ledger(common, ticker, "state, unread") == [("reread", 0)]
    assert_true(vendor, common, ticker, first_days(restated, 251))


def test_an_answer_that_cannot_be_compared_clears_nothing(vendor, common, ticker):
    """The vendor's file holds exactly the overlap: that older bars are as they were is not known."""
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    vendor.says(ticker, restated.take(slice(245, 251)))
    assert outcome(vendor.sync(251, [ticker])) == {"suspected": 1, "local": 0, "reread": 0}
    ((state, checked, error),) = ledger(common, ticker, "state, checked, error")
    assert (state, checked) == ("suspected", None)
    assert "nothing could be compared" in error
    vendor.says(ticker, first_days(restated, 252))
    assert vendor.sync(252, [ticker]).restated.reread == 1
    assert_true(vendor, common, ticker, first_days(restated, 252))


def test_a_suspicion_nobody_can_clear_is_given_up_as_not_read(vendor, common, ticker):
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    states = []
    for day in range(251, 251 + TRIES + 1):
        vendor.says(ticker, restated.take(slice(245, day)))
        vendor.sync(day, [ticker])
        states += ledger(common, ticker, "state, reread_from")
    begin = BEGIN + timedelta(days=245)
    assert states == [("suspected", begin)] * (TRIES - 1) + [("partial", begin)] * 2


def test_an_answer_shorter_than_its_window_is_compared_with_what_is_older(vendor, common, ticker):
    """Without a watermark the window is the whole history; the bars before the answer were not in it."""
    bars, restated = history(), scaled(history(), 0.5)
    vendor.says(ticker, first_days(bars, 250))
    vendor.sync(250, [ticker], start=BEGIN)
    vendor.says(ticker, last_of(restated, 251, 12))
    assert vendor.sync(251, [ticker]).restated.reread == 0
    assert ledger(common, ticker, "state, compared_from") == [("suspected", BEGIN + timedelta(days=239))]
    vendor.says(ticker, first_days(restated, 252))
    assert vendor.sync(252, [ticker], start=BEGIN).restated.reread == 1
    assert_true(vendor, common, ticker, first_days(restated, 252))


def test_a_history_of_which_nothing_comes_is_given_up_too(vendor, common, ticker):
    """The vendor takes the bars away between the answer that confirms and the one that should mend."""
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    states = []
    for day in range(251, 251 + TRIES):
        vendor.says(ticker, first_days(restated, day))
        spec, now = vendor.load_only(day, [ticker], f"gone {day} {ticker}")
        common.execute("update restatement set state = 'confirmed' where ticker = %s", (ticker,))
        vendor.says(ticker, changed(first_days(restated, day), slice(None), low=-1.0))
        done = resolve_restatements(vendor.dsn, spec, now=now, settings=vendor.settings)
        states += ledger(common, ticker, "state, unread is not null")
        assert done.failed == {}
    assert states == [("confirmed", True)] * (TRIES - 1) + [("partial", True)]


def test_the_same_answers_again_write_nothing_but_their_loads(vendor, common, ticker):
    bars, restated = history(), scaled(history(), 0.5)
    start(vendor, ticker, bars)
    vendor.says(ticker, last_of(restated, 251, 12))
    vendor.sync(251, [ticker])
    rows = row_versions(common, "bars.crypto_data_1d", f"ticker = '{ticker}'")
    before = fingerprint(common, ticker)
    vendor.sync(251, [ticker])
    assert row_versions(common, "bars.crypto_data_1d", f"ticker = '{ticker}'") == rows
    assert fingerprint(common, ticker) == before
    assert query(common, "select count(*) from bar_revision where ticker = %s", ticker) == [(11,)]
    assert before != fresh_fingerprint(common, first_days(restated, 251))
