"""Holes inside sessions: in the ledger with their reason, in the checks, in a backfill, and closed when bars come."""

from __future__ import annotations

import csv
from datetime import timedelta

import pytest
from lab import query

from hypertape.calendars import expected_times
from hypertape.frame import instant
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.settings import Settings
from hypertape.steps.backfill import backfill
from hypertape.steps.backfill_request import BackfillRequest
from hypertape.steps.heal import find_gaps
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect

NOW = utc(2024, 3, 7, 1)
START, END = utc(2024, 3, 4), utc(2024, 3, 7)
BLOCK = [utc(2024, 3, 5, hour) for hour in range(6, 17)]  # eleven hours of the middle day
OPEN = "closed_at is null"


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture
def vendor(tmp_path):
    """A tree of hourly files; what it lacks can be changed from run to run."""

    def deliver(market, ticker, lacking, start=START, end=END):
        of = get_market(market)
        path = tmp_path / "csv" / of.table / ticker / "1h.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        times = [instant(t) for t in expected_times(of, Interval.H1, Window(start, end))]
        with path.open("w", newline="") as lines:
            rows = csv.writer(lines)
            rows.writerow(["ticker", "time", "open", "high", "low", "close", "volume"])
            for time in times:
                if time not in lacking:
                    rows.writerow([ticker, f"{time:%Y-%m-%dT%H:%M:%S}", 30000, 30100, 29900, 30050, 5])
        return {"name": "csv_tree", "directory": str(tmp_path / "csv")}

    return deliver


def entries(dsn, where="true"):
    with connect(dsn, autocommit=True) as connection:
        columns = "ticker, start_time, end_time, bars, sessions, reason, inside"
        return query(connection, f"select {columns} from gap where {where} order by ticker, start_time")


def run(dsn, market, source, settings, *, end=END, start=START, now=NOW):
    return sync(dsn, market, "1h", now=now, start=start, end=end, source=source, settings=settings)


def test_a_block_of_hours_is_a_gap_a_finding_and_a_unit_of_a_backfill(warehouse, vendor, settings):
    source = vendor("crypto", "BTC", BLOCK)
    first = run(warehouse, "crypto", source, settings)
    hole = ("BTC", BLOCK[0], BLOCK[-1] + timedelta(hours=1), 11, 1, "provider empty", True)
    assert entries(warehouse, OPEN) == [hole]
    assert any("sessions_whole (1, first BTC 2024-03-05T06:00:00)" in said for said in first.quality.warnings)
    assert first.after.published.gaps.open == {"provider empty": 1}
    asked = BackfillRequest(tickers=["BTC"], start=START, end=END, source=source)
    planned = backfill(warehouse, "crypto", "1h", asked, run_id="plan", now=NOW, settings=settings)
    assert (planned.plan.figures["missing"], planned.plan.figures["units"]) == (11, 1)
    vendor("crypto", "BTC", [])
    done = backfill(
        warehouse, "crypto", "1h", asked, run_id="filled", now=NOW, dry_run=False, settings=settings
    )
    assert done.counts["inserted"] == 11
    assert entries(warehouse, OPEN) == []
    with connect(warehouse, autocommit=True) as connection:
        assert query(connection, "select closed_reason from gap") == [("arrived",)]
    planned = backfill(warehouse, "crypto", "1h", asked, run_id="plan", now=NOW, settings=settings)
    assert (planned.plan.figures["missing"], planned.plan.figures["units"]) == (0, 0)


def test_a_second_look_changes_nothing(warehouse, vendor, settings):
    run(warehouse, "crypto", vendor("crypto", "BTC", BLOCK), settings)
    before = entries(warehouse)
    again = find_gaps(warehouse, "crypto", "1h", now=NOW)
    assert (again.opened, again.closed, again.changed) == (0, 0, 0)
    assert entries(warehouse) == before


def test_a_hole_that_is_half_filled_keeps_its_row(warehouse, vendor, settings):
    run(warehouse, "crypto", vendor("crypto", "BTC", BLOCK), settings)
    with connect(warehouse, autocommit=True) as connection:
        (row,) = query(connection, "select gap_id from gap")
    run(warehouse, "crypto", vendor("crypto", "BTC", BLOCK[4:]), settings)
    with connect(warehouse, autocommit=True) as connection:
        assert query(connection, "select gap_id, bars from gap where closed_at is null") == [(*row, 7)]


def test_a_session_that_loses_its_rest_and_gets_it_back(warehouse, vendor, settings):
    """From a session without a bar to one with a hole: one entry closes and another opens, at the same start."""
    day = [utc(2024, 3, 5, hour) for hour in range(24)]
    run(warehouse, "crypto", vendor("crypto", "BTC", day), settings)
    assert [entry[6] for entry in entries(warehouse, OPEN)] == [False]
    run(warehouse, "crypto", vendor("crypto", "BTC", day[:6]), settings)
    assert entries(warehouse, OPEN) == [("BTC", day[0], day[6], 6, 1, "provider empty", True)]


def test_hours_of_a_market_that_closes(warehouse, vendor, settings):
    lacking = [utc(2024, 3, 5, 3), utc(2024, 3, 5, 4), utc(2024, 3, 5, 6)]
    run(warehouse, "vn", vendor("vn", "VIC", lacking), settings)
    assert entries(warehouse, OPEN) == [
        ("VIC", utc(2024, 3, 5, 3), utc(2024, 3, 5, 7), 3, 1, "provider empty", True)  # lunch is no bar
    ]


def test_what_a_thin_series_leaves_out_is_learned_and_said(warehouse, vendor, settings):
    start, end = utc(2024, 1, 2), utc(2024, 3, 7)
    quiet = [utc(2024, 1, 2, 3) + timedelta(days=3 * n) for n in range(20)]
    block = [utc(2024, 2, 27, hour) for hour in (2, 3, 4, 6)]
    run(warehouse, "vn", vendor("vn", "VIC", [*quiet, *block], start, end), settings, start=start, end=end)
    ((_, first, _, bars, *_),) = entries(warehouse, OPEN)
    assert (first, bars) == (block[0], 4)
    with connect(warehouse, autocommit=True) as connection:
        assert query(connection, "select ordinary from gap_judged where ticker = 'VIC'") == [(2,)]
        ((detail,),) = query(connection, "select detail from gap")
    assert "often lacks up to 2 in a row" in detail


def test_nothing_is_missed_in_hours_that_nobody_asked_for(warehouse, vendor, settings):
    source = vendor("crypto", "BTC", [])
    run(warehouse, "crypto", source, settings, end=utc(2024, 3, 5, 3))
    run(warehouse, "crypto", source, settings, start=utc(2024, 3, 5, 9))
    assert [entry[1:6] for entry in entries(warehouse, OPEN)] == [
        (utc(2024, 3, 5, 3), utc(2024, 3, 5, 9), 6, 1, "unknown")
    ]
