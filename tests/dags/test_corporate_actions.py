"""The wiring of `corporate_actions`."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.airflow

DAG = "corporate_actions"


def test_the_chain(dag_bag: Any) -> None:
    downstream = {task.task_id: set(task.downstream_task_ids) for task in dag_bag.dags[DAG].tasks}
    assert downstream == {
        "plan": {"sync_actions", "check_adjusted"},
        "sync_actions": {"check_adjusted"},
        "check_adjusted": set(),
    }


def test_the_check_runs_whatever_failed(dag_bag: Any) -> None:
    assert dag_bag.dags[DAG].get_task("check_adjusted").trigger_rule == "all_done_min_one_success"


def test_an_empty_form_is_what_the_schedule_runs(dag_bag: Any) -> None:
    dag = dag_bag.dags[DAG]
    assert dag.params.validate() == {
        "market": None, "tickers": None, "start": None, "end": None, "source": None,
    }  # fmt: skip
    assert dag.schedule == "0 8 * * 6"


@pytest.mark.parametrize(("field", "value"), [("market", "mars"), ("source", "nobody"), ("start", "soon")])
def test_the_form_refuses(dag_bag: Any, field: str, value: str) -> None:
    from airflow.exceptions import ParamValidationError
    from airflow.serialization.serialized_objects import DagSerialization

    served = DagSerialization.from_dict(DagSerialization.to_dict(dag_bag.dags[DAG]))
    with pytest.raises(ParamValidationError, match=field):
        served.params.deep_merge({field: value}).validate()
