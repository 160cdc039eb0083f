"""What every DAG and every task of ours shares."""

from __future__ import annotations

from typing import Any

from airflow.sdk import TriggerRule

from hypertape.orchestration.alerts import report_failure
from hypertape.orchestration.labels import batch_label, unit_label
from hypertape.orchestration.pools import WAREHOUSE
from hypertape.orchestration.retry import RETRY_ARGUMENTS

OWNER = "hypertape"

TASK_DEFAULTS: dict[str, Any] = {
    "owner": OWNER,
    "pool": WAREHOUSE.name,
    "on_failure_callback": report_failure,
    # what a task returns is for the next one; its log tells in sentences what happened
    "show_return_value_in_logs": False,
    **RETRY_ARGUMENTS,
}

DAG_DEFAULTS: dict[str, Any] = {
    # A run continues at the watermark, so the latest one makes up for those that were missed.
    "catchup": False,
    "max_active_runs": 1,
    # Installing hypertape asks no vendor anything until someone says so. A DAG without a schedule does nothing until it
    # is triggered: see BY_HAND.
    "is_paused_upon_creation": True,
    "user_defined_macros": {"batch_label": batch_label, "unit_label": unit_label},
    "default_args": TASK_DEFAULTS,
}
"""Keyword arguments of every `@dag`."""

SCHEDULED_BARS: dict[str, Any] = {**DAG_DEFAULTS, "max_active_runs": 3}
"""Those of the bar DAGs: a run that is triggered by hand does not wait behind a live one, nor behind that one's
successor. Runs beside each other are safe: each series' load takes its lock, refreshes are one at a time, and a
watermark only moves forward."""

BY_HAND: dict[str, Any] = {**DAG_DEFAULTS, "schedule": None, "is_paused_upon_creation": False}
"""Those of DAGs without a schedule: unpaused, or the run that somebody asks for would wait without a word."""

EVEN_IF_LOADS_FAILED = TriggerRule.ALL_DONE_MIN_ONE_SUCCESS
"""For what follows the batches: loads fail after their work. `plan` is upstream of it as well, and its success is the
one that is asked for."""
