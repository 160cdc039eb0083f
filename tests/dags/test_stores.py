"""The DAGs that move bars between stores: their shape and their forms."""

from __future__ import annotations

from typing import Any

import pytest

from hypertape.markets import all_markets
from hypertape.steps.migration import SCHEMAS
from hypertape.stores.addresses import CsvFormat

CHAINS = {
    "migrate_sqlite": {
        "inspect": {"plan"},
        "plan": {"copy", "verify"},
        "copy": {"verify"},
        "verify": {"after_load"},
        "after_load": {"report"},
        "report": set(),
    },
    "import_csv": {
        "plan": {"copy", "after_load"},
        "copy": {"after_load"},
        "after_load": set(),
    },
    "export_csv": {"plan": {"copy"}, "copy": set()},
}


@pytest.mark.parametrize("dag_id", CHAINS)
def test_the_chain(dag_bag: Any, dag_id: str) -> None:
    tasks = dag_bag.dags[dag_id].tasks
    assert {task.task_id: set(task.downstream_task_ids) for task in tasks} == CHAINS[dag_id]


@pytest.mark.parametrize("dag_id", CHAINS)
def test_the_parts_of_the_plan_are_what_is_mapped_and_nothing_runs_by_itself(
    dag_bag: Any, dag_id: str
) -> None:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    dag = dag_bag.dags[dag_id]
    mapped = [task for task in dag.tasks if isinstance(task, MappedOperator)]
    assert [task.task_id for task in mapped] == ["copy"]
    assert "batch_label" in mapped[0].partial_kwargs["map_index_template"]
    assert dag.timetable.can_be_scheduled is False


@pytest.mark.parametrize(
    ("dag_id", "task_id", "reason"),
    [
        ("migrate_sqlite", "verify", "a failed copy copied the rest"),
        ("import_csv", "after_load", "a failed copy copied the rest"),
    ],
)
def test_what_follows_the_copies_runs_although_one_failed(
    dag_bag: Any, dag_id: str, task_id: str, reason: str
) -> None:
    assert dag_bag.dags[dag_id].get_task(task_id).trigger_rule == "all_done_min_one_success", reason


def test_the_empty_form_of_a_migration_is_a_rehearsal(dag_bag: Any) -> None:
    params = dag_bag.dags["migrate_sqlite"].params
    assert params.validate() == {
        "files": None, "schema": "auto", "tables": None, "symbols": None, "start_date": None, "workers": 2,
        "dry_run": True, "force": False, "verify": True,
    }  # fmt: skip
    assert params.get_param("schema").schema["enum"] == list(SCHEMAS)


def test_the_forms_offer_what_there_is(dag_bag: Any) -> None:
    export = dag_bag.dags["export_csv"].params
    assert export.get_param("format").schema["enum"] == list(CsvFormat)
    for dag_id in ("import_csv", "export_csv"):
        params = dag_bag.dags[dag_id].params
        assert params.get_param("market").schema["enum"] == [None, *all_markets()]
        assert params.get_param("interval").schema["enum"] == [None, "1d", "1h", "1m"]
    assert all(
        dag_bag.dags[dag].params.get_param(name).schema["title"]
        for dag in CHAINS
        for name in dag_bag.dags[dag].params
    )


@pytest.mark.parametrize(
    ("dag_id", "given", "reason"),
    [
        ("migrate_sqlite", {"schema": "oracle"}, "there is no such schema"),
        ("migrate_sqlite", {"files": "market.db"}, "a list, not a text"),
        ("migrate_sqlite", {"workers": 0}, "nobody would copy"),
        ("export_csv", {"format": "pretty"}, "there is no such format"),
        ("import_csv", {"interval": "5m"}, "it is rolled up, not stored"),
        ("import_csv", {"start_date": "yesterday"}, "not a date"),
    ],
)
def test_a_wrong_form_is_refused_before_anything_runs(
    dag_bag: Any, dag_id: str, given: dict[str, Any], reason: str
) -> None:
    from airflow.exceptions import ParamValidationError

    params = served(dag_bag.dags[dag_id]).params.deep_merge(given)
    with pytest.raises(ParamValidationError, match=next(iter(given))):
        params.validate()


def served(dag: Any) -> Any:
    """The DAG as the scheduler and the API server know it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))
