"""The DAGs that move bars between stores in a real Airflow, asked through the REST API with their forms' parameters."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hypertape.orchestration.rest import Airflow, RunState
from hypertape.orchestration.standalone import Standalone
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAGS = ["migrate_sqlite", "export_csv", "import_csv"]
DAYS = 30


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="hypertape-test-airflow-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def airflow(standalone: Standalone) -> Iterator[Airflow]:
    with standalone.client() as client:
        client.wait_for_dags(DAGS)
        for dag in DAGS:
            client.pause(dag, paused=False)
        yield client


@pytest.fixture(scope="module")
def file(place: Path) -> Path:
    """A Stockula file with three symbols, one row that is no bar, and a table nobody knows."""
    path = place / "stockula.db"
    first = date(2024, 1, 2)
    rows = [
        (symbol, f"{first + timedelta(days=day)}", 10.1, 12.3, 9.7, 11.1 + day / 100, 100 * day, "1d")
        for symbol in ("AAA", "BBB", "CCC")
        for day in range(DAYS)
    ]
    rows[4] = (*rows[4][:2], None, *rows[4][3:])
    with closing(sqlite3.connect(path)) as made, made:
        made.executescript(
            """
            create table stocks (symbol text primary key, name text);
            create table price_history (id integer primary key, symbol text, date date, open_price float,
                high_price float, low_price float, close_price float, volume integer, interval text);
            create table watchlist (name text);
            insert into stocks values ('AAA', 'Triple A'), ('BBB', null);
            """
        )
        made.executemany(
            "insert into price_history "
            "(symbol, date, open_price, high_price, low_price, close_price, volume, interval) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    return path


@pytest.fixture(scope="module")
def migrated(airflow: Airflow, file: Path) -> RunState:
    """A migration as the form asks for it once the rehearsal is taken off."""
    form = {"files": [str(file)], "schema": "stockula", "workers": 2, "dry_run": False}
    return airflow.wait("migrate_sqlite", airflow.trigger("migrate_sqlite", form), seconds=300)


@pytest.mark.thorough  # in every run: dags/test_stores.py (the form), migration/test_migrate_cli.py (the rehearsal)
def test_the_form_as_it_stands_is_a_rehearsal(standalone: Standalone, airflow: Airflow, file: Path) -> None:
    run = airflow.wait(
        "migrate_sqlite", airflow.trigger("migrate_sqlite", {"files": [str(file)]}), seconds=300
    )
    assert run.state == "success", told(airflow, run)
    assert set(run.states("copy")) == {"success"}
    assert count(standalone, "us_data_1d") == 0
    assert "Rehearsal" in report(airflow, run)


def test_a_migration_goes_through_every_task_and_proves_itself(
    standalone: Standalone, airflow: Airflow, migrated: RunState
) -> None:
    assert migrated.state == "success", told(airflow, migrated)
    for task in ("inspect", "plan", "verify", "after_load", "report"):
        assert migrated.states(task) == ["success"]
    assert migrated.states("copy") == ["success"] * 2
    done = airflow.xcom("migrate_sqlite", migrated.run_id, "report")
    assert (done["units"], done["equal"], done["different"]) == (4, 4, 0)
    assert done["refused"] == 1
    assert done["inserted"] >= 3 * DAYS - 1  # and the symbols that no series had registered before
    assert count(standalone, "us_data_1d") == 3 * DAYS - 1
    assert count(standalone, "us_data_1w") > 0
    html = report(airflow, migrated)
    for word in ("watchlist", "orphan", "null_price", "AAA"):
        assert word in html


@pytest.mark.thorough  # in every run without Airflow: migration/test_migrate_sqlite.py, a finished migration again
def test_the_same_form_again_copies_nothing(airflow: Airflow, migrated: RunState, file: Path) -> None:
    form = {"files": [str(file)], "schema": "stockula", "workers": 2, "dry_run": False}
    again = airflow.wait("migrate_sqlite", airflow.trigger("migrate_sqlite", form), seconds=300)
    assert again.state == "success", told(airflow, again)
    assert [task.name for task in again.tasks if task.task_id == "copy"] == ["copy [nothing to copy]"]
    assert again.states("report") == ["success"]


def test_out_as_csv_and_in_again(airflow: Airflow, migrated: RunState, place: Path) -> None:
    form = {"directory": str(place / "tree"), "market": "us"}
    out = airflow.wait("export_csv", airflow.trigger("export_csv", form), seconds=300)
    assert out.state == "success", told(airflow, out)
    assert len((place / "tree" / "AAA" / "1D.csv").read_text().splitlines()) == DAYS
    back = airflow.wait("import_csv", airflow.trigger("import_csv", form), seconds=300)
    assert back.state == "success", told(airflow, back)
    result = airflow.xcom("import_csv", back.run_id, "after_load")
    assert (result["series"], result["equal"], result["inserted"]) == (3, 3, 0)


@pytest.mark.thorough  # in every run a red run at its first attempt: test_real_airflow.py
def test_a_file_that_is_missing_turns_the_run_red_at_once(airflow: Airflow, migrated: RunState) -> None:
    run = airflow.wait(
        "migrate_sqlite", airflow.trigger("migrate_sqlite", {"files": ["/nowhere/x.db"]}), seconds=300
    )
    assert run.state == "failed"
    assert [task.tries for task in run.tasks if task.task_id == "inspect"] == [1]


def count(standalone: Standalone, relation: str) -> int:
    with connect(EmbeddedServer(standalone.settings).up()) as connection:
        row = connection.execute(f"select count(*) from {relation}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def report(airflow: Airflow, run: RunState) -> str:
    return Path(airflow.xcom("migrate_sqlite", run.run_id, "report")["report"]).read_text()


def told(airflow: Airflow, *runs: RunState) -> str:
    """The logs of what failed, for the assertion's message."""
    failed: list[tuple[RunState, Any]] = [
        (run, task) for run in runs for task in run.tasks if task.state == "failed"
    ]
    return "\n".join(
        f"--- {task.name}\n"
        f"{airflow.log(run.dag_id, run.run_id, task.task_id, map_index=task.map_index, attempt=task.tries)[-2000:]}"
        for run, task in failed
    )
