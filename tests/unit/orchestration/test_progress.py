"""Long work says that it goes on, and a step that is short says itself once."""

from __future__ import annotations

import re
import time

from hypertape.orchestration.progress import Progress


def test_a_long_step_is_told_again_and_a_short_one_once() -> None:
    said: list[str] = []
    with Progress(said.append, quiet=0.2) as step:
        step("starting PostgreSQL")
        step("waiting for Airflow")
        deadline = time.monotonic() + 60
        while len(said) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    told = [re.sub(r"^ +\d+ s  ", "", line) for line in said]
    assert told[:2] == ["starting PostgreSQL", "waiting for Airflow"]
    assert len(told) >= 4
    assert all(re.fullmatch(r"… waiting for Airflow: \d+ s so far", line) for line in told[2:])


def test_nothing_is_said_before_a_step() -> None:
    said: list[str] = []
    with Progress(said.append, quiet=0.05):
        time.sleep(0.2)
    assert said == []
