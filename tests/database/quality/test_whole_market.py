"""The first load of a whole market, from an empty warehouse: every rule's plan is held by the time it takes.

Small here, so that the suite stays short; with --thorough as large as the market: 287 tickers, 2658 days.
"""

from __future__ import annotations

import resource
import time as clock
from dataclasses import dataclass
from datetime import timedelta

import pytest
from lab import VN
from market_files import write_market

from hypertape.model import Interval, Window, utc
from hypertape.quality.results import BROKEN, NOT_EVALUATED
from hypertape.quality.run import FEW_CHANGES, validate
from hypertape.settings import Settings
from hypertape.steps.sync import SyncResult, sync
from hypertape.warehouse.connect import connect
from thorough import examples

TICKERS, DAYS = examples(60, 287), examples(500, 2658)
SYNC_SECONDS, RULES_SECONDS = examples(60, 180), examples(20, 60)
HURRY = timedelta(milliseconds=3)
NOW = utc(2026, 3, 2, 9)  # half a year after the last bar: every session since is one that no ticker has


@dataclass
class First:
    """A first load: what it was made of, and how long it took."""

    dsn: str
    rows: int
    result: SyncResult
    seconds: float


@pytest.fixture(scope="module")
def first(new_warehouse, tmp_path_factory):
    root = tmp_path_factory.mktemp("market")
    rows = write_market(root / "csv", TICKERS, DAYS)
    settings = Settings(state_dir=root / "state")
    source = {"name": "csv_tree", "directory": str(root / "csv")}
    with new_warehouse() as dsn:
        began = clock.perf_counter()
        result = sync(dsn, "vn", "1d", now=NOW, source=source, settings=settings)
        yield First(dsn, rows, result, clock.perf_counter() - began)


def test_a_whole_market_is_loaded_checked_rolled_up_and_published(first):
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rules = first.result.quality.seconds
    print(f"{first.rows} bars: {first.seconds:.1f} s, rules {rules:.1f} s, {megabytes:.0f} MB")
    assert first.result.error is None
    assert first.result.counts["inserted"] == first.rows
    assert first.result.quality.broken == first.result.quality.critical == []
    assert first.result.rollups.differing == 0
    assert first.result.after.published.watermarks_moved == TICKERS
    assert first.seconds < SYNC_SECONDS
    assert rules < RULES_SECONDS


def test_no_rule_is_far_behind_the_others(first):
    """A plan that went wrong takes minutes, not seconds."""
    with connect(first.dsn) as connection:
        rows = connection.execute(
            "select expectation, status, seconds from quality_result order by seconds desc"
        ).fetchall()
    assert [row for row in rows if row[1] == BROKEN] == []
    assert rows[0][2] < RULES_SECONDS / 2, rows[:5]


def test_the_tables_that_rules_read_are_analysed(first):
    """Those that are small enough to be read whole need no statistics."""
    with connect(first.dsn) as connection:
        known = connection.execute(
            "select relname, reltuples from pg_class where relname in ('gap', 'series', 'trading_session') order by 1"
        ).fetchall()
        held = [
            connection.execute(f"select count(*) from {name}").fetchone()[0]  # type: ignore[index]
            for name, _ in known
        ]
    counted = [(told, have) for (_, told), have in zip(known, held, strict=True) if have > FEW_CHANGES]
    assert len(counted) >= 2
    assert all(have <= 1.3 * told for told, have in counted), (known, held)


def test_a_rule_that_takes_too_long_is_ended_and_not_evaluated(first):
    window = Window(utc(2000), NOW)
    with connect(first.dsn) as connection:
        results = validate(
            first.dsn, connection, VN, Interval.D1, window, run_id="hurried", now=NOW, limit=HURRY
        )
    ended = {r.expectation: r for r in results if r.error is not None}
    assert "averages" in ended
    for result in ended.values():
        assert (result.status, result.unexpected, result.sample) == (NOT_EVALUATED, None, ())
        assert "statement timeout" in result.error
        assert "ended before it was done" in result.details["why"]
