"""What a task tells a step about its try, and what the last task demands of the ones before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import get_current_context

from hypertape.errors import BatchRefused

Json = dict[str, Any]
"""What travels between tasks."""


def this_try() -> Json:
    """Return the arguments `attempt` (1 for the first try) and `now` of the running task's step."""
    return {"attempt": get_current_context()["ti"].try_number, "now": datetime.now(UTC)}


def demand_all(batches: Sequence[Mapping[str, Any]], published: Json) -> Json:
    """Return what `publish` says unless a batch never reached its load: its extract or indicators failed.

    A run's colour is that of its last task, so this is what turns it red. Raises BatchRefused.
    """
    missing = sum(len(batch["tickers"]) for batch in batches) - published["tickers"]
    if missing > 0:
        raise BatchRefused(
            f"{missing} tickers of the run were never loaded, the others are published",
            next_step="See the red extract and indicators tasks; mend the cause and clear them.",
        )
    return published
