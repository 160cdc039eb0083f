"""A small client of Airflow's REST API: what the demo, the tests and `standalone run` ask of it.

The command line costs seconds a call, this milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx

from hypertape.errors import AirflowFailed
from hypertape.orchestration.airflow_home import typed

FINAL = ("success", "failed")
_POLL_SECONDS = 0.5
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task of a run. `label` is the mapped task's name, empty for others; `state` None: not scheduled yet."""

    task_id: str
    map_index: int
    label: str
    state: str | None
    tries: int
    seconds: float | None

    @property
    def name(self) -> str:
        """`validate`, or `per_batch.load [VIC, VNM]`."""
        return f"{self.task_id} [{self.label or self.map_index}]" if self.map_index >= 0 else self.task_id


@dataclass(frozen=True, slots=True)
class RunState:
    """A run and its tasks, in the order they started."""

    dag_id: str
    run_id: str
    state: str
    tasks: tuple[TaskState, ...]

    @property
    def is_final(self) -> bool:
        """True when Airflow will do nothing more for it."""
        return self.state in FINAL

    def states(self, task_id: str) -> list[str | None]:
        """The states of a task's instances, by map index."""
        mine = sorted((task.map_index, task.state) for task in self.tasks if task.task_id == task_id)
        return [state for _, state in mine]


@dataclass(frozen=True, slots=True)
class Backfill:
    """An Airflow backfill and its runs, oldest first."""

    id: int
    dag_id: str
    run_ids: tuple[str, ...]


class Airflow:
    """A logged-in client, closed by `with`. Raises AirflowFailed when Airflow does not answer, or refuses.

    `before_each` is called before anything is sent, the password included, and raises where it must not be.
    """

    def __init__(
        self, url: str, user: str, password: str, *, before_each: Callable[[], None] = lambda: None
    ) -> None:
        self._before_each = before_each
        # trust_env: a proxy of the environment must not see requests to this machine.
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        token = self._ask("POST", "/auth/token", json={"username": user, "password": password})[
            "access_token"
        ]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """GET below `/api/v2`; returns the JSON."""
        return self._ask("GET", f"/api/v2{path}", params=params)

    def wait_for_dags(self, dag_ids: Sequence[str], seconds: float = 120) -> None:
        """Wait until the DAG processor has read these DAGs. Raises AirflowFailed with the import errors."""
        deadline = time.monotonic() + seconds
        while missing := set(dag_ids) - {dag["dag_id"] for dag in self.get("/dags", limit=_PAGE)["dags"]}:
            if errors := self.import_errors():
                raise AirflowFailed(f"A DAG file cannot be read: {' | '.join(errors)}")
            if time.monotonic() > deadline:
                raise AirflowFailed(
                    f"Airflow does not know {', '.join(sorted(missing))}",
                    next_step="Check the DAG's name, and the log of the dag-processor.",
                )
            time.sleep(_POLL_SECONDS)

    def import_errors(self) -> list[str]:
        """What is wrong with DAG files, one text each."""
        return [error["stack_trace"] for error in self.get("/importErrors")["import_errors"]]

    def pause(self, dag_id: str, paused: bool) -> None:
        """Stop a DAG's runs from starting, or let them."""
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": paused})

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        logical_date: str | None = None,
        data_interval: Sequence[str] | None = None,
        run_id: str | None = None,
    ) -> str:
        """Start a run and return its id. `conf` fills the form; instants are ISO 8601 with a zone.

        The DAG must be unpaused for the run to begin.
        """
        start, end = data_interval or (None, None)
        body = {
            "dag_run_id": run_id,
            "conf": dict(conf or {}),
            "logical_date": logical_date,
            "data_interval_start": start,
            "data_interval_end": end,
        }
        return str(self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> RunState:
        """Return a run as it stands."""
        where = _run_path(dag_id, run_id)
        # Before the tasks: those of a run that has ended do not change any more.
        state = self.get(where)["state"]
        tasks = self.get(f"{where}/taskInstances", limit=_PAGE)["task_instances"]
        started = sorted(tasks, key=lambda task: (task["start_date"] is None, task["start_date"] or ""))
        return RunState(dag_id, run_id, state, tuple(map(_task, started)))

    def runs(self, dag_id: str, **filters: Any) -> list[dict[str, Any]]:
        """The runs of a DAG as Airflow describes them, oldest first; `filters` are the API's (`run_type`, …)."""
        answer = self.get(f"/dags/{dag_id}/dagRuns", limit=_PAGE, order_by="id", **filters)
        found: list[dict[str, Any]] = answer["dag_runs"]
        return found

    def wait(
        self,
        dag_id: str,
        run_id: str,
        *,
        seconds: float = 900,
        on_change: Callable[[RunState], None] | None = None,
    ) -> RunState:
        """Wait for a run's end and return it, red or green. Raises AirflowFailed when it takes too long."""
        deadline, before = time.monotonic() + seconds, None
        while True:
            now = self.run(dag_id, run_id)
            if on_change and now != before:
                on_change(now)
            if now.is_final:
                return now
            if time.monotonic() > deadline:
                raise AirflowFailed(
                    f"Run {run_id} of {dag_id} is {now.state} after {seconds:.0f} s",
                    next_step="Open it in the Airflow UI, or raise the time given to it.",
                )
            before = now
            time.sleep(_POLL_SECONDS)

    def backfill(
        self,
        dag_id: str,
        start: str,
        end: str,
        *,
        reprocess: str = "completed",
        conf: Mapping[str, Any] | None = None,
        max_active_runs: int = 1,
    ) -> Backfill:
        """Create an Airflow backfill; a DAG has one at a time.

        It makes a run for every tick of the DAG's schedule in `[start, end]`. `reprocess` says which dates that ran
        before run again: none, failed or completed.
        """
        body = {
            "dag_id": dag_id,
            "from_date": start,
            "to_date": end,
            "reprocess_behavior": reprocess,
            "dag_run_conf": dict(conf or {}),
            "max_active_runs": max_active_runs,
        }
        planned = self._ask("POST", "/api/v2/backfills/dry_run", json=body)["backfills"]
        dates = sorted(each["logical_date"] for each in planned)
        made = self._ask("POST", "/api/v2/backfills", json=body)
        runs = self.runs(dag_id, run_type="backfill", logical_date_gte=dates[0], logical_date_lte=dates[-1])
        return Backfill(made["id"], dag_id, tuple(run["dag_run_id"] for run in runs))

    def wait_for_backfill(self, backfill: Backfill, *, seconds: float = 900) -> list[RunState]:
        """Wait until Airflow calls a backfill complete, some time after its last run, and return its runs."""
        deadline = time.monotonic() + seconds
        while self.get(f"/backfills/{backfill.id}")["completed_at"] is None:
            if time.monotonic() > deadline:
                raise AirflowFailed(
                    f"Backfill {backfill.id} of {backfill.dag_id} has not ended after {seconds:.0f} s",
                    next_step="Open its runs in the Airflow UI, or raise the time given to it.",
                )
            time.sleep(_POLL_SECONDS)
        return [self.run(backfill.dag_id, run_id) for run_id in backfill.run_ids]

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[str]) -> None:
        """Let tasks of an ended run, and everything after them, run again."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "include_downstream": True,
            "only_failed": False,
        }
        self._ask("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body)

    def log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, attempt: int = 1) -> str:
        """Return the log of a task's try as text."""
        where = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/logs/{attempt}"
        lines = self.get(where, map_index=map_index, full_content=True)["content"]
        return "\n".join(_log_line(line) for line in lines)

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Return what a task passed on."""
        where = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(where, map_index=map_index, deserialize=True)["value"]

    def pools(self) -> dict[str, int]:
        """The slots of every pool."""
        return {pool["name"]: pool["slots"] for pool in self.get("/pools", limit=_PAGE)["pools"]}

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        self._before_each()
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise AirflowFailed(
                f"Airflow at {self._http.base_url} does not answer: {error}",
                next_step=f"Start it with `{typed('up')}`.",
            ) from error
        if answer.is_error:
            raise AirflowFailed(f"Airflow refuses {method} {path} ({answer.status_code}): {_detail(answer)}")
        return answer.json()


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _task(task: Mapping[str, Any]) -> TaskState:
    label = task["rendered_map_index"] or ""
    return TaskState(
        task["task_id"], task["map_index"], label, task["state"], task["try_number"], task["duration"]
    )


def _log_line(line: Any) -> str:
    if not isinstance(line, Mapping):
        return str(line)
    errors = [f"{each['exc_type']}: {each['exc_value']}" for each in line.get("error_detail") or ()]
    return " ".join([str(line.get("event", "")), *errors])


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
