"""The simulator itself: the same seed tells the same story, and every event in it can be seen in the vendor's books."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from ledger import Ledger
from story import NEVER, calendar_days, evening, write_plot
from vendor import VALUES, Vendor, days_of
from year import runs_of

SEEDS = (2024, 1, 2)
every_seed = pytest.mark.parametrize("seed", SEEDS)


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("time", *VALUES))


@every_seed
def test_a_seed_is_a_story(seed):
    plot = write_plot(seed)
    assert write_plot(seed) == plot
    assert all(same(Vendor(plot).truth(ticker), Vendor(plot).truth(ticker)) for ticker in plot.tickers)
    other = write_plot(seed + 1)
    assert not any(same(Vendor(plot).truth(t), Vendor(other).truth(t)) for t in ("CALM", "SPLIT", "MESSY"))


@every_seed
def test_whatever_is_stated_could_be_a_bar_but_for_what_is_refused(seed):
    vendor = Vendor(write_plot(seed))
    for run in runs_of(vendor.plot)[::7]:
        for ticker in vendor.plot.tickers:
            bars = vendor.book(ticker, run.now)
            possible = (bars.low <= np.minimum(bars.open, bars.close)) & (bars.low > 0)
            possible &= bars.high >= np.maximum(bars.open, bars.close)
            refused = [c.session for c in vendor.plot.of(ticker).corrections if c.refused and run.now < c.at]
            assert set(bars.time[~possible].tolist()) <= set(days_of(refused).tolist())
            assert len(np.unique(bars.time)) == len(bars)


@every_seed
def test_every_event_changes_what_is_stated(seed):
    vendor = Vendor(write_plot(seed))
    for story in vendor.plot.stories:
        moments = [split.at for split in story.splits]
        moments += [correction.at for correction in story.corrections]
        moments += [hole.at for hole in story.holes if hole.at != NEVER]
        for moment in moments:
            before = vendor.book(story.ticker, moment - timedelta(seconds=1))
            after = vendor.book(story.ticker, moment)
            known = after.take(np.isin(after.time, before.time))
            assert not (same(before, known) and len(after) == len(before)), (story.ticker, moment)


@every_seed
def test_who_is_missing_when(seed):
    plot = write_plot(seed)
    vendor = Vendor(plot)
    traded = {ticker: set(vendor.truth(ticker).time.tolist()) for ticker in plot.tickers}
    everybody = set(days_of(calendar_days(plot.history, plot.days[-1])).tolist())
    assert everybody - traded["CALM"] == set(days_of([plot.closed]).tolist())
    assert traded["CALM"] - traded["HALT"] == set(days_of(plot.of("HALT").halted).tolist())
    assert traded["CALM"] - traded["HOLE"] == set(days_of(plot.of("HOLE").holes[2].sessions).tolist())
    assert min(traded["NEWCO"]) == days_of([plot.of("NEWCO").listed])[0]
    assert max(traded["GONE"]) < days_of([plot.of("GONE").delisted])[0]


def test_the_ledger_of_revisions_is_not_empty_where_history_changes():
    plot = write_plot()
    ledger = Ledger(Vendor(plot), runs_of(plot))
    counts = {ticker: len(list(ledger.revisions(ticker))) for ticker in plot.tickers}
    assert [ticker for ticker, count in counts.items() if count > 250] == [
        "SPLIT", "REVERSE", "PAYER", "TWICE", "DEEP", "PARTED", "CUT",
    ]  # fmt: skip
    assert (counts["LATE"], counts["MENDED"], counts["CALM"], counts["REFUSED"]) == (6, 1, 0, 0)


def test_an_open_session_is_not_the_last_word():
    plot = write_plot()
    vendor = Vendor(plot)
    noon, after = (run.now for run in runs_of(plot) if run.now.date() == plot.noons[0])
    partial, final = vendor.book("CALM", noon), vendor.book("CALM", after)
    assert partial.time[-1] == final.time[-1]
    assert partial.volume[-1] < final.volume[-1]
    assert after == evening(plot.noons[0])
