"""How a backfill's plan reads."""

from __future__ import annotations

import pytest

from hypertape.reports.backfill import duration, plan_figures, plan_lines

STORED = {
    "market": "vn", "interval": "1h", "mode": "missing", "reason": None, "sessions": 20, "expected": 12_000,
    "present": 11_000, "missing": 1_000, "sessions_missing": 7, "sessions_thin": 2, "explained": 3, "calls": 40,
    "seconds_per_call": 0.25, "timed_calls": 0, "source": {"name": "vci"}, "tickers": ["VIC", "VCB"],
}  # fmt: skip


@pytest.fixture
def stored():
    from hypertape.model import utc

    return {**STORED, "window_start": utc(2024), "window_end": utc(2024, 2), "planned_at": utc(2024, 2, 3)}


def test_a_plan_says_where_its_time_comes_from(stored):
    lines = dict(
        plan_lines(plan_figures(stored, [{"state": "pending", "calls": 30}, {"state": "done", "calls": 10}]))
    )
    assert lines["time per call"] == "0.25 s, assumed, not measured yet"
    assert lines["estimated time"] == "8 s with one batch at a time", "of what is left"
    assert lines["calls"] == "40 to vci, 30 of them left"
    assert lines["counted (UTC)"] == "2024-02-03, before the first call"
    assert lines["bars expected"] == "12 000"
    assert lines["units to load (windows × batches of tickers)"] == "2, 1 of them done"
    measured = dict(plan_lines(plan_figures({**stored, "timed_calls": 1200}, [])))
    assert measured["time per call"] == "0.25 s, measured over 1 200 calls"


def test_only_narrow_bars_have_thin_sessions(stored):
    thin = "sessions with less than half of the usual bars"
    assert thin in dict(plan_lines(plan_figures(stored, [])))
    assert thin not in dict(plan_lines(plan_figures({**stored, "interval": "1d"}, [])))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.2, "under 1 s"),
        (59.4, "59 s"),
        (61, "1 min"),
        (3_599, "1 h 00 min"),
        (3_660, "1 h 01 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text
