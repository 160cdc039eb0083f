"""The DAG files, parsed once."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_environment import DAGS


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS, bundle_path=DAGS)
