"""One simulated year, run by run: the warehouse ends as the truth, and its ledgers tell how it came to know it.

In every run all that befalls the tickers in it does within a season; at length in a year.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from ledger import Former, Ledger
from missing import expected_gaps, found_gaps
from replay import Replay, served
from script import SEASON, YEAR
from story import SEED, Story, evening, write_plot
from truth import assert_rolled_up, assert_true, stored_digests, true_digest
from vendor import VALUES, Vendor
from year import Pipeline, daily, runs_of

from hypertape.errors import UnknownTicker
from hypertape.frame import micros
from hypertape.markets import get_market
from hypertape.model import Interval
from hypertape.reader import Tape
from hypertape.reader.over_dsn import OverDsn
from hypertape.settings import Settings
from hypertape.steps.rename import rename
from hypertape.warehouse.connect import connect
from hypertape.warehouse.pins import create_pin
from hypertape.warehouse.source_state import reset_sources
from thorough import examples, is_thorough

pytestmark = [pytest.mark.database, pytest.mark.timeout(1800)]
PLOT = write_plot(SEED, script=YEAR if is_thorough() else SEASON, renames=True)
INSTANTS = examples(40, 100)
"""How many moments are looked back at, and how many pins are set."""
(FRESH,) = (story for story in PLOT.stories if story.formerly)
VN = get_market("vn")
TICKERS = PLOT.tickers
CHECKED = (len(PLOT.days) - 1,)
"""Sessions, by position, whose run goes through Great Expectations too: it costs seconds. So does the backfill's."""
every_ticker = pytest.mark.parametrize("ticker", TICKERS)


@dataclass
class Year:
    """A year that is over. `over` is when each run was, on the server's clock; `pinned` what each pin read at once."""

    dsn: str
    ledger: Ledger
    outcomes: list[dict[str, Any]]
    over: list[datetime]
    replay: Replay
    pinned: dict[str, list[Any]]


@pytest.fixture(scope="module")
def year(new_warehouse, tmp_path_factory):
    root = tmp_path_factory.mktemp("year")
    vendor = Vendor(PLOT)
    runs = runs_of(PLOT, CHECKED)
    with new_warehouse() as dsn, served(vendor, root) as replay, connect(dsn, autocommit=True) as connection:
        pipeline = Pipeline(dsn, PLOT, replay, Settings(state_dir=root / "state"))
        outcomes, over, pinned = [], [], {}
        pins = set(random.Random(PLOT.seed).sample(range(5, len(runs)), INSTANTS))
        for position, run in enumerate(runs):
            if run.now.date() == FRESH.renamed and run.kind == "daily":
                rename(dsn, "vn", FRESH.formerly, FRESH.ticker, FRESH.renamed, run_id="rename", now=run.now)
            outcomes.append(pipeline(run))
            over.append(connection.execute("select clock_timestamp()").fetchone()[0])
            if position in pins:
                create_pin(connection, f"run-{position}", VN, [Interval.D1])
                pinned[f"run-{position}"] = read_pin(connection, f"run-{position}")
            reset_sources(
                connection, [replay.gate]
            )  # the pause of an open circuit passes, on the simulated clock
        yield Year(dsn, Ledger(vendor, runs), outcomes, over, replay, pinned)


def read_pin(connection, name: str) -> list[Any]:
    return connection.execute("select * from bars_pinned(%s, '1d') order by ticker, time", (name,)).fetchall()


@pytest.fixture
def connection(year):
    with connect(year.dsn, autocommit=True) as connection:
        yield connection


@every_ticker
def test_every_bar_and_indicator_is_the_truth_to_the_bit(connection, year, ticker):
    truth = year.ledger.vendor.truth(ticker)
    assert_true(connection, ticker, truth)
    assert stored_digests(connection)[ticker] == true_digest(ticker, truth)


@every_ticker
def test_every_week_fortnight_and_month_is_the_truth(connection, year, ticker):
    assert_rolled_up(connection, ticker, year.ledger.vendor.truth(ticker))


@every_ticker
def test_every_change_of_a_final_bar_is_kept_with_its_runs(connection, year, ticker):
    rows = connection.execute(
        "select kept.time, open, high, low, close, volume, former.run_id, replacing.run_id "
        "from bar_revision as kept "
        "join load as former on former.load_id = kept.load_id "
        "join load as replacing on replacing.load_id = kept.replaced_by "
        "where kept.ticker = %s and kept.market = 'vn' and kept.interval = '1d'",
        (ticker,),
    ).fetchall()
    found = sorted(
        Former(ticker, time, tuple(values), learnt, replaced) for time, *values, learnt, replaced in rows
    )
    expected = sorted(year.ledger.revisions(ticker))
    assert set(expected) - set(found) == set()
    assert found == expected


def test_a_former_value_is_valid_until_its_successor_is(connection):
    """Half-open and without a hole: each revision of a bar ends where the next one, or the bar, begins."""
    broken = connection.execute(
        "select kept.ticker, kept.time from bar_revision as kept "
        "join load as former on former.load_id = kept.load_id "
        "join load as replacing on replacing.load_id = kept.replaced_by "
        "where kept.valid_from <> former.loaded_at or kept.valid_to <> replacing.loaded_at "
        "or kept.valid_from >= kept.valid_to"
    ).fetchall()
    assert broken == []


def test_random_instants_are_seen_as_they_were_known(connection, year):
    chance = random.Random(PLOT.seed)
    for after in sorted(chance.sample(range(len(year.over)), INSTANTS)):
        rows = connection.execute(
            "select ticker, time, open, high, low, close, volume from bars_as_of('vn', '1d', %s) order by 1, 2",
            (year.over[after],),
        ).fetchall()
        by_ticker = {ticker: [row[1:] for row in rows if row[0] == ticker] for ticker in TICKERS}
        for ticker in TICKERS:
            known = year.ledger.final(ticker, after)
            found = by_ticker[ticker]
            assert [micros(row[0]) for row in found] == known.time.tolist(), (ticker, year.ledger.runs[after])
            expected = np.column_stack([getattr(known, name) for name in VALUES]).tolist()
            assert [list(row[1:]) for row in found] == expected, (ticker, year.ledger.runs[after])


def test_pins_read_the_same_bits_at_the_end_of_the_year(connection, year):
    assert len(year.pinned) == INSTANTS
    for name, rows in year.pinned.items():
        assert rows
        assert read_pin(connection, name) == sorted(map(by_its_new_name, rows))


def by_its_new_name(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A bar as it is read after the rename."""
    return (FRESH.ticker, *row[1:]) if row[0] == FRESH.formerly else row


def test_a_renamed_ticker_is_one_series(connection, year):
    """Nothing speaks of the old name but the alias; the reads by it say what it is called now."""
    for table in ("series", "load", "bar_revision", "gap", "published", "bars.market_data_1d"):
        names = {row[0] for row in connection.execute(f"select distinct ticker from {table}").fetchall()}
        assert FRESH.ticker in names
        assert FRESH.formerly not in names
    loaded = connection.execute("select run_id from load where ticker = %s", (FRESH.ticker,)).fetchall()
    assert len(loaded) > len(PLOT.days), "the loads before it too"
    with (
        Tape(OverDsn(Settings(), year.dsn)) as tape,
        pytest.raises(UnknownTicker, match="STALE is called FRESH"),
    ):
        tape.read("vn", "1d", FRESH.formerly)
    again = rename(
        year.dsn,
        "vn",
        FRESH.formerly,
        FRESH.ticker,
        FRESH.renamed,
        run_id="again",
        now=evening(PLOT.days[-1]),
    )
    assert not again.rows


def test_every_missing_bar_has_its_reason_and_is_told_once(connection, year):
    found = sorted(found_gaps(connection, PLOT))
    expected = sorted(expected_gaps(PLOT))
    assert set(expected) - set(found) == set()
    assert found == expected


def test_every_restatement_is_in_the_ledger_once(connection):
    """Read again, once, and in its direction; what was corrected later in single bars was found to be local."""
    rows = connection.execute(
        "select ticker, checked_run, state, direction, ratio, reread_run from restatement "
        "where stand_in is null order by restatement_id"
    ).fetchall()
    read_again = [(*row[:2], *row[3:]) for row in rows if row[2] == "reread"]
    assert sorted((ticker, run, direction) for ticker, run, direction, _, _ in read_again) == sorted(
        (story.ticker, first_run_from(split.at, story), "up" if split.factor > 1 else "down")
        for story in PLOT.stories
        for split in story.splits
    )
    late = [(ticker, reread_run) for ticker, run, _, _, reread_run in read_again if run != reread_run]
    assert late == [("CUT", daily(PLOT.days[PLOT.days.index(PLOT.of("CUT").cut[-1]) + 1]).run_id)]
    ratios = {(story.ticker, split.factor) for story in PLOT.stories for split in story.splits}
    assert {(ticker, round(ratio, 2)) for ticker, _, _, ratio, _ in read_again} == {
        (ticker, round(factor, 2)) for ticker, factor in ratios
    }
    local = {(row[0], row[1]) for row in rows if row[2] == "local"}
    assert local == {
        (story.ticker, first_run_from(correction.seen))
        for story in PLOT.stories
        for correction in story.corrections
        if not correction.refused and correction.seen not in {split.at for split in story.splits}
    }
    assert len(rows) == len(read_again) + len(local)


def first_run_from(moment: datetime, story: Story | None = None) -> str:
    """The first run that asks the vendor from a moment on, outages aside."""
    away = (*PLOT.outage, *(story.stood_in if story else ()))
    return next(run.run_id for run in runs_of(PLOT) if run.now >= moment and run.now.date() not in away)


def test_a_slip_of_the_unit_on_the_first_load_is_named_and_nothing_of_it_is_stored(connection):
    (story,) = [story for story in PLOT.stories if story.slips]
    rows = connection.execute(
        "select run_id, inserted from load where ticker = %s and error like '%%plausible prices%%'",
        (story.ticker,),
    ).fetchall()
    assert rows == [(daily(day).run_id, 0) for day in story.slips]


def test_a_stand_in_s_opinion_waits_for_the_vendor(connection):
    """Its split is not believed: the vendor is asked when it is back, and tells the same. Its bar is replaced."""
    (story,) = [story for story in PLOT.stories if story.stood_in]
    (day,) = story.stood_in
    rows = connection.execute(
        "select ticker, source, stand_in, state, bars, round(ratio::numeric, 2), compared_from::date, "
        "found_run, checked_run, differing > 0 from restatement where stand_in is not null"
    ).fetchall()
    ran = (daily(day).run_id, first_run_from(daily(day).now, story))
    assert rows == [(story.ticker, "vci", "yahoo", "answered", 10, Decimal("0.5"), day, *ran, True)]
    served = connection.execute("select ticker from load where source = 'yahoo' and status = 'loaded'")
    assert served.fetchall() == [(story.ticker,)]


def test_a_delisted_ticker_costs_no_batch_of_its_own(year):
    """Its window does not grow from its last bar on: the run after the year asks for everybody at once."""
    day = PLOT.days[-1] + timedelta(days=2)
    (batch,) = Pipeline(year.dsn, PLOT, year.replay, Settings(batch_size=50)).plan(daily(day)).batches
    assert set(batch.tickers) == set(TICKERS)


def test_the_runs_fail_where_the_vendor_does_and_nowhere_else(year):
    for run, outcome in zip(year.ledger.runs, year.outcomes, strict=True):
        assert set(outcome["failed"]) == year.ledger.unserved(run), run
        assert outcome["rollups"].differing == 0


def test_the_quality_suite_finds_no_contradiction(year):
    checked = [outcome["quality"] for outcome in year.outcomes if outcome["quality"]]
    assert len(checked) == len(CHECKED) + 1
    assert all(quality.critical == [] and quality.broken == [] for quality in checked)
    assert all(quality.checks > 10 for quality in checked)
