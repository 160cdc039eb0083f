"""Two weeks of hours, read while some are open: a split, a correction, an outage, a session and two hours that come
late."""

from __future__ import annotations

import pytest
from ledger import Former, Ledger
from missing import expected_gaps, found_gaps
from replay import served
from story import write_hours
from truth import assert_true, stored_digests, true_digest
from vendor import Vendor
from year import Pipeline, hourly_runs_of

from hypertape.model import Interval
from hypertape.settings import Settings
from hypertape.warehouse.connect import connect
from hypertape.warehouse.source_state import reset_sources

pytestmark = pytest.mark.database
PLOT = write_hours()
RUNS = hourly_runs_of(PLOT)


@pytest.fixture(scope="module")
def weeks(new_warehouse, tmp_path_factory):
    """A connection to the warehouse when the weeks are over, and what the vendor's side knows."""
    root = tmp_path_factory.mktemp("hours")
    settings = Settings(state_dir=root)
    vendor = Vendor(PLOT)
    with new_warehouse() as dsn, served(vendor, root) as replay, connect(dsn, autocommit=True) as connection:
        pipeline = Pipeline(dsn, PLOT, replay, settings)
        for run in RUNS:
            pipeline(run)
            reset_sources(connection, [replay.gate])
        yield connection, Ledger(vendor, RUNS)


@pytest.mark.parametrize("ticker", PLOT.tickers)
def test_every_hour_is_the_truth_to_the_bit(weeks, ticker):
    connection, ledger = weeks
    truth = ledger.vendor.truth(ticker)
    assert_true(connection, ticker, truth, Interval.H1)
    assert stored_digests(connection, Interval.H1)[ticker] == true_digest(ticker, truth)


def test_only_final_hours_are_revised(weeks):
    """An hour that was open when it was read has no former value worth keeping."""
    connection, ledger = weeks
    rows = connection.execute(
        "select kept.ticker, kept.time, open, high, low, close, volume, former.run_id, replacing.run_id "
        "from bar_revision as kept "
        "join load as former on former.load_id = kept.load_id "
        "join load as replacing on replacing.load_id = kept.replaced_by"
    ).fetchall()
    found = sorted(Former(row[0], row[1], tuple(row[2:7]), *row[7:]) for row in rows)
    assert found == sorted(former for ticker in PLOT.tickers for former in ledger.revisions(ticker))
    assert len(found) > 300


def test_a_hole_inside_a_session_is_told_as_one_and_healed(weeks):
    connection, _ = weeks
    (hole,) = PLOT.of("HOLED").holes
    rows = connection.execute(
        "select start_time::date, extract(hour from start_time)::int, bars, reason, closed_reason "
        "from gap where ticker = 'HOLED' and inside"
    ).fetchall()
    assert rows == [(*hole.sessions, hole.hours[0], len(hole.hours), "provider empty", "arrived")]


def test_every_session_without_an_hour_has_its_reason(weeks):
    connection, _ = weeks
    assert sorted(found_gaps(connection, PLOT)) == sorted(expected_gaps(PLOT))
