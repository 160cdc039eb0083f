"""The synthetic sample through the whole pipeline, without Airflow: every planted defect shows where a user looks."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from hypertape.model import STORED_INTERVALS, Interval, utc
from hypertape.orchestration.demo_defects import find_planted
from hypertape.settings import load_settings
from hypertape.sources.sample import CORRECTED_AT, PLANTED, SPANS, Defect
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect

MARKET = "vn"
MINE = [planted for planted in PLANTED if planted.market == MARKET]


@pytest.fixture
def loaded(warehouse: str, tmp_path: Path) -> str:
    """A warehouse with one market's sample: the days first as known before the corrections, then everything."""
    settings = load_settings(state_dir=tmp_path)
    before = CORRECTED_AT - timedelta(days=1)
    source = {"name": "sample"}
    sync(warehouse, MARKET, "1d", now=before, end=before, source=source, settings=settings)
    for interval in reversed(STORED_INTERVALS):
        result = sync(
            warehouse,
            MARKET,
            interval.value,
            now=utc(2025, 7, 1),
            end=SPANS[interval].end,
            source=source,
            settings=settings,
        )
        assert result.error is None
        assert result.after.published.report.is_file()
    return warehouse


def test_every_planted_defect_is_found(loaded: str) -> None:
    with connect(loaded) as connection:
        findings = find_planted(connection, [(MARKET, interval) for interval in STORED_INTERVALS])
    assert len(findings) == len(MINE)
    assert [f.planted for f in findings if not f.found] == []
    kinds = Counter(finding.planted.kind for finding in findings)
    assert kinds.keys() == set(Defect)


def test_nothing_is_found_where_nothing_was_loaded(warehouse: str) -> None:
    with connect(warehouse) as connection:
        findings = find_planted(connection, [(MARKET, Interval.D1)])
    assert findings
    assert not any(finding.found for finding in findings)
