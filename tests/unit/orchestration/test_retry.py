"""The two branches of the error tree, as the retry policy sees them."""

from __future__ import annotations

import pytest
from airflow.sdk import RetryAction

from hypertape import errors
from hypertape.errors import HypertapeError, TerminalError, TransientError
from hypertape.orchestration.retry import POLICY, RETRY_ARGUMENTS

EVERY_ERROR = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, (TransientError, TerminalError))
]


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_its_branch_s_action(kind: type[HypertapeError]) -> None:
    wanted = RetryAction.RETRY if issubclass(kind, TransientError) else RetryAction.FAIL
    decision = POLICY.evaluate(kind(), try_number=1, max_tries=3)
    assert decision.action is wanted
    assert decision.reason


@pytest.mark.parametrize("error", [ValueError("a defect"), MemoryError(), TimeoutError()])
def test_anything_else_is_retried_as_usual(error: BaseException) -> None:
    assert POLICY.evaluate(error, try_number=1, max_tries=3).action is RetryAction.DEFAULT


def test_the_policy_survives_serialization() -> None:
    again = type(POLICY).deserialize(POLICY.serialize())
    assert again.evaluate(errors.RateLimited(), 1, 3).action is RetryAction.RETRY
    assert again.evaluate(errors.SuspectScale(), 1, 3).action is RetryAction.FAIL


def test_the_delays_belong_to_the_installation() -> None:
    assert "retry_delay" not in RETRY_ARGUMENTS  # AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY
