"""These tests import Airflow, which reads its environment when it is imported."""

import airflow_environment  # noqa: F401
