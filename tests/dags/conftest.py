"""The DAG files, parsed once."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_environment import DAGS
from skipping import pytest_runtest_makereport  # noqa: F401  (no test is skipped here in CI)


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS, bundle_path=DAGS)
