"""The same year with runs lost, doubled, late and out of order, and tasks killed: the warehouse ends the same.

In every run all that befalls the tickers in it does within a season; at length in a year.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from disturbance import Ordeal, disturb, suffer
from memory import Memory, recall, remember
from missing import expected_gaps, found_gaps
from script import SEASON, YEAR
from story import SEED, write_plot
from tree import Tree
from truth import assert_rolled_up, assert_true, stored_digests, true_digest
from vendor import Vendor
from year import Pipeline, runs_of

from hypertape.settings import Settings
from hypertape.warehouse.connect import connect
from thorough import is_thorough

pytestmark = [pytest.mark.database, pytest.mark.timeout(1800)]
PLOT = write_plot(SEED, script=YEAR if is_thorough() else SEASON)
SHARE = len(PLOT.days) / len(write_plot(SEED).days)


@dataclass
class Aftermath:
    """A disturbed year that is over. `waiting`: changed spans without a refresh, after each run that died before it."""

    dsn: str
    vendor: Vendor
    ordeals: list[Ordeal]
    killed: int
    waiting: list[int]
    memories: list[Memory]


@pytest.fixture(scope="module")
def year(new_warehouse, tmp_path_factory):
    root = tmp_path_factory.mktemp("disturbed")
    vendor = Vendor(PLOT)
    ordeals = disturb(PLOT, runs_of(PLOT), PLOT.seed)
    with new_warehouse() as dsn:
        pipeline = Pipeline(dsn, PLOT, Tree(vendor, root / "tree"), Settings(state_dir=root / "state"))
        killed, waiting, memories, chance = 0, [], [], random.Random(PLOT.seed)
        with connect(dsn, autocommit=True) as watcher:
            for ordeal in ordeals:
                killed += suffer(pipeline, ordeal)
                pipeline.forget()
                if ordeal.run.kind == "daily-stranded":
                    waiting += watcher.execute("select count(*) from rollup_pending").fetchone()
                if chance.random() < 0.45:
                    memories.append(remember(watcher))
        yield Aftermath(dsn, vendor, ordeals, killed, waiting, memories)


@pytest.fixture
def connection(year):
    with connect(year.dsn, autocommit=True) as connection:
        yield connection


def test_the_year_was_a_hard_one(year):
    planned = runs_of(PLOT)
    kinds = [ordeal.run.kind for ordeal in year.ordeals]
    lost = {run.end for run in planned} - {ordeal.run.end for ordeal in year.ordeals}
    assert len(lost) >= 20 * SHARE
    assert kinds.count("daily-again") >= int(5 * SHARE)
    assert kinds.count("daily-late") >= 10 * SHARE
    assert sum(ordeal.twin for ordeal in year.ordeals) >= max(1, int(4 * SHARE))
    assert sum(bool(ordeal.killed_in) for ordeal in year.ordeals) >= 15 * SHARE
    assert year.killed >= 12 * SHARE, "most died at work"


def test_a_week_of_loads_without_a_refresh_waits_in_the_ledger_until_the_next_run(connection, year):
    assert len(year.waiting) == len(PLOT.stranded)
    assert min(year.waiting) > 0
    loaded = "select distinct run_id from load where run_id like 'daily-stranded%' and status = 'loaded'"
    assert len(connection.execute(loaded).fetchall()) == len(PLOT.stranded)
    assert connection.execute("select count(*) from rollup_pending").fetchone() == (0,)


def test_days_of_web_pages_are_an_outage_in_every_ledger(connection, year):
    """Whoever ran in these days failed for all; no session of them is excused, and all came later."""
    asked = {o.run.run_id for o in year.ordeals if o.run.now.date() in PLOT.pages and not o.killed_in}
    assert asked
    runs = connection.execute(
        "select distinct run_id, status, inserted from load where run_id = any(%s)", (sorted(asked),)
    )
    assert {row[1:] for row in runs.fetchall()} == {("failed", 0)}
    traded = {
        (story.ticker, day)
        for story in PLOT.stories
        for day in PLOT.pages
        if story.listed <= day < story.delisted
    }
    told = {
        missing for missing in found_gaps(connection, PLOT) if (missing.ticker, missing.session) in traded
    }
    assert {missing.reason for missing in told} == {"fetch failed"}
    assert all(missing.arrived for missing in told)


def test_the_same_final_digest(connection, year):
    expected = {ticker: true_digest(ticker, year.vendor.truth(ticker)) for ticker in PLOT.tickers}
    assert stored_digests(connection) == expected


def test_random_instants_are_seen_as_they_were_read_then(connection, year):
    """Also right after a kill, between two runs of one evening, and while late runs bring what newer ones had."""
    assert len(year.memories) >= 100 * SHARE
    for memory in year.memories:
        assert recall(connection, memory.instant) == memory
    assert len({tuple(memory.digests.values()) for memory in year.memories}) > 60 * SHARE


def test_what_is_missing_in_the_end_has_the_same_reasons(connection):
    """What was missing for a while depends on when somebody looked; what stays missing does not."""
    found = sorted(missing for missing in found_gaps(connection, PLOT) if not missing.arrived)
    assert found == sorted(missing for missing in expected_gaps(PLOT) if not missing.arrived)


@pytest.mark.parametrize("ticker", PLOT.tickers)
def test_every_bar_indicator_and_rollup_is_the_truth(connection, year, ticker):
    truth = year.vendor.truth(ticker)
    assert_true(connection, ticker, truth)
    assert_rolled_up(connection, ticker, truth)
