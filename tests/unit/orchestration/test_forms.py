"""What a run asks of the plan."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hypertape.errors import BadInput
from hypertape.model import Window, utc
from hypertape.orchestration.form_bars import plan_arguments
from hypertape.orchestration.form_fields import ledger_run_id

EMPTY = {
    "tickers": None,
    "start": None,
    "end": None,
    "source": None,
    "source_dir": None,
    "legacy_scale": False,
    "exchange": None,
    "replay": None,
}


def run(**changes: Any) -> SimpleNamespace:
    of_a_schedule = {
        "dag_id": "bars_vn_1d",
        "run_id": "scheduled__2024-03-08T08:30:00+00:00",
        "run_type": "scheduled",
        "clear_number": 0,
        "data_interval_start": utc(2024, 3, 8),
        "data_interval_end": utc(2024, 3, 8, 8, 30),
        "run_after": utc(2024, 3, 8, 8, 30),
    }
    return SimpleNamespace(**{**of_a_schedule, **changes})


def asked(of: SimpleNamespace | None = None, **params: Any) -> dict[str, Any]:
    return plan_arguments({"params": {**EMPTY, **params}, "dag_run": of or run()})


def test_a_scheduled_run_continues_at_the_watermark_up_to_its_data_interval_s_end() -> None:
    assert asked() == {
        "run_id": "bars_vn_1d__scheduled__2024-03-08T08:30:00+00:00",
        "data_interval": Window(utc(2024, 3, 8), utc(2024, 3, 8, 8, 30)),
        "exact": False,
        "source": {"name": None, "directory": None, "legacy_scale": False, "exchange": None, "replay": None},
        "tickers": None,
        "shared": True,
    }


@pytest.mark.parametrize(
    "changes",
    [{"run_type": "manual"}, {"run_type": "asset_triggered"}, {"clear_number": 1}],
    ids=lambda it: str(it),
)
def test_what_somebody_asks_for_is_not_left_to_a_worker(changes: dict[str, Any]) -> None:
    assert asked(run(**changes))["shared"] is False


@pytest.mark.parametrize(
    ("run_type", "params", "window", "exact", "reason"),
    [
        (
            "manual",
            {},
            ("2024-03-08", "2024-03-08T08:30"),
            False,
            "an empty form is what a scheduled run does",
        ),
        ("backfill", {}, ("2024-03-08", "2024-03-08T08:30"), True, "a backfill owns its data interval"),
        (
            "manual",
            {"start": "2024-01-02", "end": "2024-01-05"},
            ("2024-01-02", "2024-01-05"),
            True,
            "a window",
        ),
        (
            "backfill",
            {"start": "2024-01-02", "end": "2024-01-05"},
            ("2024-03-08", "2024-03-08T08:30"),
            True,
            "every run of a backfill would load the same window",
        ),
        (
            "manual",
            {"start": "2024-01-02T09:00:00+07:00", "end": "2024-01-02T09:05:00+07:00"},
            ("2024-01-02T02:00", "2024-01-02T02:05"),
            True,
            "zones are honoured",
        ),
    ],
)
def test_whose_window(
    run_type: str, params: dict[str, Any], window: tuple[str, str], exact: bool, reason: str
) -> None:
    arguments = asked(run(run_type=run_type), **params)
    owned = arguments["data_interval"]
    assert [edge.replace(tzinfo=None) for edge in (owned.start, owned.end)] == [
        datetime.fromisoformat(end) for end in window
    ], reason
    assert arguments["exact"] is exact, reason


def test_a_run_without_a_logical_date_reaches_up_to_when_it_was_asked_for() -> None:
    timeless = run(run_type="manual", data_interval_start=None, data_interval_end=None)
    assert asked(timeless)["data_interval"].end == utc(2024, 3, 8, 8, 30)
    assert asked(timeless)["exact"] is False


@pytest.mark.parametrize("params", [{"start": "2024-01-02"}, {"end": "2024-01-02"}])
def test_half_a_window_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=r"Start and End belong together.*leave both empty"):
        asked(**params)


def test_the_form_s_source_travels_to_the_plan() -> None:
    arguments = asked(source="csv_tree", source_dir="/data/csv", legacy_scale=True, tickers=["VIC"])
    assert arguments["source"] == {
        "name": "csv_tree", "directory": "/data/csv", "legacy_scale": True, "exchange": None, "replay": None,
    }  # fmt: skip
    assert arguments["tickers"] == ["VIC"]
    assert asked(exchange="kraken", replay="a_run")["source"]["exchange"] == "kraken"
    assert asked(exchange="kraken", replay="a_run")["source"]["replay"] == "a_run"


@pytest.mark.parametrize(
    ("clear_number", "ending", "reason"),
    [(0, "+00:00", "the first time"), (2, "+00:00__3", "cleared twice: it asks its source a third time")],
)
def test_ledger_run_id(clear_number: int, ending: str, reason: str) -> None:
    named = ledger_run_id(run(clear_number=clear_number))
    assert named == f"bars_vn_1d__scheduled__2024-03-08T08:30:00{ending}", reason
