"""The DAG files, parsed once, and a real Airflow for the modules that need one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_environment import DAGS
from hypertape.orchestration.standalone import Standalone
from real_airflow import real_airflow
from skipping import pytest_runtest_makereport  # noqa: F401  (no test is skipped here in CI)


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS, bundle_path=DAGS)


@pytest.fixture(scope="module")
def standalone() -> Iterator[Standalone]:
    with real_airflow() as made:
        yield made
