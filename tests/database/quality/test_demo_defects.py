"""The synthetic sample through the whole pipeline, without Airflow: every planted defect shows where a user looks."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from hypertape.model import STORED_INTERVALS, Interval
from hypertape.orchestration.demo_defects import find_planted
from hypertape.settings import load_settings
from hypertape.sources.sample import Defect, Plan, plan_until
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect

MARKET = "vn"


@pytest.fixture(
    params=[
        pytest.param(date(2025, 6, 30), id="as the plan is written"),
        pytest.param(date(2026, 2, 26), id="just after Tet", marks=pytest.mark.thorough),
        pytest.param(date(2026, 11, 29), id="a winter Sunday, as the demo has it"),
    ]
)
def plan(request: pytest.FixtureRequest) -> Plan:
    return plan_until(request.param)


@pytest.fixture
def loaded(warehouse: str, tmp_path: Path, plan: Plan) -> str:
    """A warehouse with one market's sample: the days first as known before the corrections, then everything."""
    settings = load_settings(state_dir=tmp_path, sample_end=plan.last_day)
    before = plan.corrected_at[MARKET] - timedelta(days=1)
    source = {"name": "sample"}
    sync(warehouse, MARKET, "1d", now=before, end=before, source=source, settings=settings)
    for interval in reversed(STORED_INTERVALS):
        result = sync(
            warehouse,
            MARKET,
            interval.value,
            now=plan.spans[MARKET, interval].end,
            end=plan.spans[MARKET, interval].end,
            source=source,
            settings=settings,
        )
        assert result.error is None
        assert result.after.published.report.is_file()
    return warehouse


def test_every_planted_defect_is_found(loaded: str, plan: Plan) -> None:
    with connect(loaded) as connection:
        findings = find_planted(connection, [(MARKET, interval) for interval in STORED_INTERVALS], plan)
    assert len(findings) == sum(planted.market == MARKET for planted in plan.planted)
    assert [f.planted for f in findings if not f.found] == []
    kinds = Counter(finding.planted.kind for finding in findings)
    assert kinds.keys() == set(Defect)


def test_nothing_is_found_where_nothing_was_loaded(warehouse: str) -> None:
    with connect(warehouse) as connection:
        findings = find_planted(connection, [(MARKET, Interval.D1)], plan_until())
    assert findings
    assert not any(finding.found for finding in findings)
