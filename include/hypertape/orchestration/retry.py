"""The one retry policy: what the two branches of `errors` mean to Airflow, and the delays between tries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from hypertape.errors import TerminalError, TransientError

RETRIES = 3

POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(TerminalError, RetryAction.FAIL, reason="It would fail again until something is changed"),
        RetryRule(TransientError, RetryAction.RETRY, reason="It may work when tried again"),
    ],
    # Anything else is a defect or the machine's trouble (a killed worker, a timeout): worth the same retries.
    default=RetryAction.DEFAULT,
)

RETRY_ARGUMENTS: dict[str, Any] = {
    "retries": RETRIES,
    "retry_policy": POLICY,
    # The first delay is the installation's: AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY, seconds.
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=15),
}
"""Default arguments of every task of every DAG."""
