"""What holds for every DAG in dags/, this version's and later ones'."""

from __future__ import annotations

import ast
import compileall
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_environment import DAGS
from hypertape.orchestration.defaults import OWNER
from hypertape.orchestration.pools import pools
from hypertape.orchestration.retry import POLICY, RETRIES

FILES = sorted(DAGS.glob("*.py"))
WITHOUT_A_DAG = {"project_files.py"}
"""Only tells, as its import error, what is wrong with the user's project."""

SECTIONS = ("Purpose", "Inputs", "Outputs", "Safe to rerun", "Backfill", "Triage")


def every_task(dag_bag: Any) -> list[Any]:
    return [task for dag in dag_bag.dags.values() for task in dag.tasks]


def test_no_file_fails_and_none_is_without_a_dag(dag_bag: Any) -> None:
    assert dag_bag.import_errors == {}
    with_dags = {Path(dag.fileloc).name for dag in dag_bag.dags.values()}
    assert with_dags == {file.name for file in FILES} - WITHOUT_A_DAG


def test_every_task_retries_by_the_one_policy(dag_bag: Any) -> None:
    for task in every_task(dag_bag):
        assert task.retry_policy is POLICY, task
        assert task.retries == RETRIES, task
        assert task.retry_exponential_backoff > 1, task


def test_every_task_ends_in_time_and_has_an_owner_a_pool_and_a_failure_callback(dag_bag: Any) -> None:
    known = {pool.name for pool in pools()}
    for task in every_task(dag_bag):
        assert task.execution_timeout, task
        assert task.owner == OWNER, task
        assert task.pool in known, task
        assert task.on_failure_callback, task
        assert task.doc_md, task


def test_every_dag_has_tags_a_deadline_and_no_catchup(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        assert dag.tags, dag
        assert dag.description, dag
        assert dag.deadline, dag
        assert dag.catchup is False, dag
        scheduled_bars = dag.dag_id.startswith("bars_")  # a run by hand does not wait behind a live one
        assert dag.max_active_runs == (3 if scheduled_bars else 1), dag


def test_nothing_runs_that_nobody_asked_for_and_what_is_asked_for_runs(dag_bag: Any) -> None:
    """What has a schedule begins paused; a triggered run of what has none would wait for an unpausing, unsaid."""
    for dag in dag_bag.dags.values():
        assert dag.is_paused_upon_creation is dag.timetable.can_be_scheduled, dag


def test_every_dag_has_a_runbook_without_holes(dag_bag: Any) -> None:
    for dag in dag_bag.dags.values():
        missing = [section for section in SECTIONS if section not in dag.doc_md]
        assert not missing, dag
        assert "$" not in dag.doc_md, dag


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_dag_file_is_wiring(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) < 120
    assert ast.get_docstring(ast.parse(text))


def test_parsing_loads_nothing_heavy_and_is_less_work_than_loading_airflow() -> None:
    """Airflow parses every file again and again: only what Airflow itself needs may be imported for it.

    Held against Airflow's own imports in the same process: seconds would be the machine's. Compiled before: a fresh
    clone is not, and Airflow is.
    """
    compileall.compile_dir(DAGS.parent / "include" / "hypertape", quiet=1)
    script = f"""
import json, sys, time
import airflow.sdk, airflow.listeners, airflow.dag_processing.dagbag
before, began = set(sys.modules), time.process_time()
bag = airflow.dag_processing.dagbag.DagBag({str(DAGS)!r}, bundle_path={str(DAGS)!r})
work = (time.process_time() - began) / began
print(json.dumps([bag.import_errors, work, sorted(set(sys.modules) - before)]))
"""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=unmeasured
    )
    errors, work, modules = json.loads(done.stdout.splitlines()[-1])
    assert errors == {}
    heavy = (
        "pandas",
        "numpy",
        "pyarrow",
        "yfinance",
        "great_expectations",
        "exchange_calendars",
        "psycopg",
        "fsspec",
    )
    assert [name for name in modules if name.split(".")[0] in heavy] == []
    assert work < 0.6


def test_no_deadline_counts_from_when_a_run_was_queued(dag_bag: Any) -> None:
    """Airflow 3.3 cannot clear a failed run that has one (apache/airflow#70368)."""
    for dag in dag_bag.dags.values():
        for alert in dag.deadline:
            assert alert.reference.reference_name != "DagRunQueuedAtDeadline", dag


def test_a_label_names_an_argument_that_the_task_has(dag_bag: Any) -> None:
    """Airflow renders it after the work, and fails the task where it cannot."""
    labelled = 0
    for task in every_task(dag_bag):
        template = (
            task.partial_kwargs.get("map_index_template") if is_mapped(task) else task.map_index_template
        )
        if named := re.search(r"op_kwargs\['(\w+)'\]", template or ""):
            assert named[1] in task.op_kwargs_expand_input.value, task
        elif "op_args" in (template or ""):
            assert not is_mapped(task), task
            assert task.op_args, task
        labelled += bool(template)
    assert labelled


def is_mapped(task: Any) -> bool:
    return hasattr(task, "op_kwargs_expand_input")
