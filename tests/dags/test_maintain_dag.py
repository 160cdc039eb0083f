"""The DAG `maintain_warehouse`: its shape and clock, what it skips in plain sight, and what it says of a bad backup."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from hypertape.errors import BackupBroken
from hypertape.orchestration import maintenance_tasks
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import open_findings
from message_hook import Hook

DAG = "maintain_warehouse"
Work = Callable[[str], Any]


def test_the_chain(dag_bag: Any) -> None:
    tasks = dag_bag.dags[DAG].tasks
    assert {task.task_id: set(task.downstream_task_ids) for task in tasks} == {
        "backup": {"verify_backup", "prune_backups"},
        "verify_backup": {"prune_backups"},
        "prune_backups": set(),
        "prove": set(),
        "run_policies": set(),
        "sweep": set(),
        "archive": set(),
    }
    assert dag_bag.dags[DAG].schedule == "30 3,9,15,21 * * *"


def run_of(kind: str, hour: int) -> dict[str, Any]:
    """The context of a run."""
    run = SimpleNamespace(run_type=kind, logical_date=datetime(2026, 11, 30, hour, 30, tzinfo=UTC))
    return {"run_id": "lab", "dag_run": run}


@pytest.fixture
def work(dag_bag: Any, warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Do a task's work on a warehouse of the test's own, in the run of 03:30."""
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("HYPERTAPE_BACKUP_URL", raising=False)

    def call(name: str, run: dict[str, Any] | None = None) -> Any:
        done = dag_bag.dags[DAG].task_dict[name].python_callable
        for stand_in in ("warehouse_dsn", "server_dsn"):
            if stand_in in done.__globals__:
                monkeypatch.setitem(done.__globals__, stand_in, lambda: warehouse)
        for names in (done.__globals__, vars(maintenance_tasks)):
            monkeypatch.setitem(names, "get_current_context", lambda: run or run_of("scheduled", 3))
        return done()

    return call


@pytest.mark.parametrize("name", ["backup", "verify_backup", "prune_backups"])
def test_without_a_place_there_are_no_backups_and_it_says_so(work: Work, name: str) -> None:
    with pytest.raises(AirflowSkipException, match="HYPERTAPE_BACKUP_URL is not set"):
        work(name)


@pytest.mark.database
def test_a_backup_a_day_is_made_verified_and_told_of_when_it_is_bad(
    work: Work, warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: Hook
) -> None:
    place = tmp_path / "backups"
    monkeypatch.setenv("HYPERTAPE_BACKUP_URL", str(place))
    monkeypatch.setenv("HYPERTAPE_NOTIFY", hook.address)
    made = work("backup")
    assert work("verify_backup") == {"verified": 1, "restored": 1}
    assert work("prune_backups") == {"removed": []}
    with pytest.raises(AirflowSkipException, match="backup of the day is there"):
        work("backup")
    file = place / f"{made['name']}.dump"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BackupBroken, match=f"1 of 1 backups not whole: {made['name']}: .*its dump has"):
        work("verify_backup")
    with connect(warehouse) as connection:
        (found,) = open_findings(connection, datetime.now(UTC))
    assert (found.kind, found.severity) == ("backup", "critical")
    assert hook.titles == [f"hypertape critical: {found.title}"]
    again = work("backup")
    assert again["name"] != made["name"], "one that is not whole is none of today"


@pytest.mark.database
def test_what_is_daily_is_done_once_a_day_or_by_hand(work: Work, warehouse: str) -> None:
    with connect(warehouse, autocommit=True) as connection:
        (tier,) = connection.execute("select hypertape.server_tier()").fetchone() or ("",)
        connection.execute(
            "insert into quarantine (load_id, run_id, market, interval, ticker, rule, source, row_text, released_at) "
            "select 1, 'lab', 'vn', '1d', 'T' || n, 'lab', 'lab', 'row', now() - n * interval '60 days' "
            "from generate_series(0, 2) as n"
        )
        connection.execute("update quarantine set released_at = null where ticker = 'T0'")
    for name in ("prove", "run_policies", "sweep"):
        with pytest.raises(AirflowSkipException, match="once a day"):
            work(name, run_of("scheduled", 9))
    assert work("sweep", run_of("manual", 9)) == {"landing": 0, "quarantine": 1, "scratch": []}
    if tier == "plain":
        with pytest.raises(AirflowSkipException, match="no chunks"):
            work("run_policies")
    else:
        ran = work("run_policies")["ran"]
        assert any(each.startswith("compression of bars.") for each in ran), ran
