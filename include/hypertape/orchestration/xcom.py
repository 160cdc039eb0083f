"""What the tasks of a run pass to each other, and what the last one demands of those before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context
from airflow.sdk.configuration import conf

from hypertape.errors import BadInput, BatchRefused, others

if TYPE_CHECKING:
    from hypertape.steps.run_spec import Plan, RunSpec

Json = dict[str, Any]
"""What travels between tasks."""

_PLAN = "plan"
_HEAD = "head"
_NO_PART = -1
_NOTHING = "nothing to copy"

_MEND_FETCHING = "See the red extract and gate tasks; mend the cause and clear them."
_MEND_COPIES = "See the red copy tasks; mend the cause and clear them: what is equal is not written again."
_MEND_BATCHES = "See the red tasks; mend the cause and clear them: what is equal is not written again."


def share_plan(planned: Plan, **more: object) -> list[Json]:
    """Leave the plan without its batches for every task of the run (`head`, `run_spec`), and return the batches.

    `more` is left beside it. Raises BadInput when there are more batches than Airflow maps.
    """
    shared = {**planned.to_json(), **more}
    batches: list[Json] = shared.pop("batches")
    most = conf.getint("core", "max_map_length")
    if len(batches) > most:
        raise BadInput(
            f"The plan has {len(batches)} batches, and Airflow maps {most}",
            next_step="Narrow the window or the tickers, raise HYPERTAPE_BATCH_SIZE or HYPERTAPE_BACKFILL_BARS (longer "
            "windows), or AIRFLOW__CORE__MAX_MAP_LENGTH.",
        )
    get_current_context()["ti"].xcom_push(_HEAD, shared)
    return batches


def share_parts(planned: Json) -> list[Json]:
    """Leave a plan without its parts for every task of the run (`head`), and return the parts.

    A plan without parts gets an empty one: a mapped task over nothing is skipped, and so would be all that follows.
    """
    parts: list[Json] = planned.pop("parts")
    get_current_context()["ti"].xcom_push(_HEAD, planned)
    return parts or [{**planned, "part": _NO_PART, "tickers": [_NOTHING]}]


def head() -> Json:
    """Return the run's plan without its batches.

    It is pulled, not wired: eight more edges would hide the chain in the graph.
    """
    planned: Json = _pull(_HEAD)
    return planned


def run_spec() -> RunSpec:
    """Return what every step of the run must know."""
    from hypertape.steps.run_spec import RunSpec  # noqa: PLC0415  parsing a DAG needs no Arrow

    return RunSpec.from_json(head())


def this_try() -> Json:
    """Return the arguments `attempt` (1 for the first try) and `now` of the running task's step."""
    return {"attempt": get_current_context()["ti"].try_number, "now": datetime.now(UTC)}


def this_task() -> str:
    """Return a name of the running try of the running task that no other has."""
    ti = get_current_context()["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}/{ti.try_number}"


def require_all_loaded(loaded: int) -> None:
    """Raise BatchRefused when a batch never reached its load: its extract or gate failed. `loaded` counts tickers.

    A run's colour is that of its last task, so this is what turns it red.
    """
    planned = len({ticker for batch in _pull("return_value") for ticker in batch["tickers"]})
    _require(loaded, planned, "tickers of the run were never loaded", "published", _MEND_FETCHING)


def require_all_copied(copied: int) -> int:
    """Return how many parts were copied, unless it is fewer than were planned. Raises BatchRefused."""
    planned = len(_pull("return_value"))
    return _require(copied, planned, f"of {planned} parts failed", "copied", _MEND_COPIES)


def require_all_synced(synced: int) -> int:
    """Return how many batches were asked for, unless it is fewer than were planned. Raises BatchRefused."""
    planned = len(_pull("return_value"))
    return _require(synced, planned, f"of {planned} batches failed", "kept", _MEND_BATCHES)


def _require(done: int, planned: int, what: str, others_are: str, next_step: str) -> int:
    if done < planned:
        raise BatchRefused(f"{planned - done} {what} and {others(done, others_are)}", next_step=next_step)
    return done


def _pull(key: str) -> Any:
    return get_current_context()["ti"].xcom_pull(_PLAN, key=key, map_indexes=-1)
