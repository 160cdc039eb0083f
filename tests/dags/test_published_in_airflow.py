"""Published sessions in a real Airflow: the example DAGs over a week with a holiday, a defect and a restatement.

Monday to Wednesday come in one run, Thursday (2024-04-18) is a holiday, and on Friday one of five tickers is spoilt.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from hypertape.orchestration.rest import Airflow, RunState
from hypertape.orchestration.standalone import Standalone
from hypertape.warehouse.connect import connect
from hypertape.warehouse.embedded.server import EmbeddedServer
from real_airflow import asset_events

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAG = "bars_vn_1d"
EXAMPLES = ("each_session", "each_week", "restated_session")
FIVE = ["SYNBANK", "SYNFOOD", "SYNLAND", "SYNSTEEL", "SYNTECH"]
SPOILT = "SYNLAND"
MONDAY, TUESDAY, WEDNESDAY, FRIDAY = "2024-04-15", "2024-04-16", "2024-04-17", "2024-04-19"
BARS = "select * from published.market_data_1d where ticker = %s order by time"

Woken = dict[str, list[str]]


@pytest.fixture(scope="module")
def airflow(standalone: Standalone) -> Iterator[Airflow]:
    with standalone.client() as client:
        client.wait_for_dags([DAG, *EXAMPLES])
        for dag in (DAG, *EXAMPLES):
            client.pause(dag, paused=False)
        yield client
        for dag in EXAMPLES:
            client.pause(dag, paused=True)


@pytest.fixture(scope="module")
def dsn(standalone: Standalone) -> str:
    return EmbeddedServer(standalone.settings).up()


def load(airflow: Airflow, start: str, end: str) -> RunState:
    conf = {"source": "sample", "tickers": FIVE, "start": start, "end": end}
    return airflow.wait(DAG, airflow.trigger(DAG, conf), seconds=300)


def woken(airflow: Airflow, expected: Woken | None = None) -> Woken:
    """The partition keys of each example's runs, sorted; waits until they are as expected, and have ended."""
    deadline = time.monotonic() + 60
    while True:
        runs = {dag: airflow.get(f"/dags/{dag}/dagRuns", limit=100)["dag_runs"] for dag in EXAMPLES}
        found = {dag: sorted(str(run["partition_key"]) for run in each) for dag, each in runs.items()}
        ended = all(run["state"] in ("success", "failed") for each in runs.values() for run in each)
        if (ended and found == expected) or time.monotonic() > deadline or expected is None:
            assert all(run["state"] != "failed" for each in runs.values() for run in each)
            return found
        time.sleep(0.3)


def rows(dsn: str, ticker: str) -> list[tuple[Any, ...]]:
    with connect(dsn) as connection:
        return connection.execute(BARS, (ticker,)).fetchall()


def told(airflow: Airflow, run: RunState) -> dict[str, Any]:
    return {event["name"]: event["extra"] for event in asset_events(airflow, run.run_id)}


def test_a_week_with_a_holiday_a_defect_and_a_restatement(airflow: Airflow, dsn: str) -> None:
    first = load(airflow, MONDAY, "2024-04-18")
    assert first.state == "success"
    three = [MONDAY, TUESDAY, WEDNESDAY]
    after_three = {"each_session": three, "each_week": [], "restated_session": three}
    assert woken(airflow, after_three) == after_three
    extra = told(airflow, first)["vn_1d_bars_published"]
    assert extra["sessions"] == three
    assert extra["counts"][TUESDAY] == {"tickers": 5, "bars": 5}
    assert extra["held"] == extra["restated"] == []
    before = {ticker: rows(dsn, ticker) for ticker in FIVE}

    with connect(dsn, autocommit=True) as connection:
        connection.execute(
            "create function spoil() returns trigger language plpgsql as $$ begin new.low = -1; return new; end $$"
        )
        connection.execute(
            "create trigger spoil before insert or update on bars.market_data_1d for each row "
            f"when (new.ticker = '{SPOILT}') execute function spoil()"
        )
    red = load(airflow, FRIDAY, "2024-04-20")
    assert red.state == "failed"
    assert "vn_1d_bars_loaded" in told(airflow, red)
    assert not {name for name in told(airflow, red) if "published" in name or "valid" in name}
    assert rows(dsn, SPOILT) == before[SPOILT]
    for ticker in set(FIVE) - {SPOILT}:
        assert rows(dsn, ticker)[:-1] == before[ticker]
        assert rows(dsn, ticker)[-1][1].date().isoformat() == FRIDAY
    assert woken(airflow) == after_three, "Friday and the week stay asleep"

    with connect(dsn, autocommit=True) as connection:
        connection.execute("drop trigger spoil on bars.market_data_1d")
        connection.execute(
            "update bars.market_data_1d set close = low where ticker = 'SYNBANK' and time = '2024-04-17'"
        )
    mended = load(airflow, WEDNESDAY, "2024-04-20")
    assert mended.state == "success"
    assert told(airflow, mended)["vn_1d_bars_published"]["restated"] == [WEDNESDAY]
    every = sorted([*three, WEDNESDAY, FRIDAY])
    finally_ = {"each_session": every, "each_week": [MONDAY], "restated_session": every}
    assert woken(airflow, finally_) == finally_
    again = [
        run["partition_key"]
        for run in airflow.get("/dags/restated_session/dagRuns", limit=100)["dag_runs"]
        if "make_again"
        in {
            t.task_id
            for t in airflow.run("restated_session", run["dag_run_id"]).tasks
            if t.state == "success"
        }
    ]
    assert again == [WEDNESDAY]
    assert all(rows(dsn, ticker)[-1][1].date().isoformat() == FRIDAY for ticker in FIVE)
