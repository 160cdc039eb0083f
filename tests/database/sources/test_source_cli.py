"""`hypertape source` as a user has it."""

from __future__ import annotations

from functools import partial

import pytest

from hypertape.markets import all_markets
from hypertape.model import utc
from hypertape.settings import load_settings
from hypertape.warehouse.connect import connect
from hypertape.warehouse.doctor import examine
from hypertape.warehouse.findings import Look, look
from hypertape.warehouse.source_state import DatabaseThrottle

NOW = utc(2025, 6, 20)


@pytest.fixture
def run(command_line):
    """Call `hypertape source …`; returns exit code, stdout, stderr."""
    return partial(command_line, "source")


def test_the_list_names_rates_markets_and_endpoints(run, monkeypatch):
    monkeypatch.setenv("HYPERTAPE_SOURCE_RATES", "vci=0.25")
    monkeypatch.setenv("HYPERTAPE_SOURCE_ENDPOINTS", "vci=http://127.0.0.1:8080")
    code, out, _ = run("list")
    assert code == 0
    lines = {words[0]: words for line in out.splitlines() if len(words := line.split()) > 1}
    assert {"ccxt", "csv_tree", "sample", "vci", "yahoo"} <= set(lines)
    assert "0.25/s" in lines["vci"]
    assert "http://127.0.0.1:8080" in lines["vci"]
    assert "(2)" in lines["yahoo"]


def test_status_and_reset_of_a_source_that_is_left_alone(run, warehouse):
    with DatabaseThrottle(warehouse, failures=1, rate=lambda gate: 2.0) as throttle:
        throttle.wait("good")
        throttle.record("good", True)
        throttle.record("tired", False, reason="HTTP status 503")

    code, out, err = run("status")
    assert code == 75
    assert "Left alone for now: tired" in err
    assert "hypertape source reset NAME" in err
    (line,) = (line for line in out.splitlines() if "tired" in line)
    assert "open" in line
    assert "HTTP status 503" in line

    code, out, _ = run("reset", "tired")
    assert (code, out.strip()) == (0, "Asked again from now on: tired.")
    assert run("status")[0] == 0


def test_the_doctor_names_a_source_that_is_left_alone(warehouse):
    def finding(connection):
        look(connection, Look(NOW, "watch"))
        found = examine(connection, tuple(all_markets().values()), load_settings(), now=NOW)
        return [(one.level, one.finding) for one in found if one.subject == "source paused"]

    with connect(warehouse, autocommit=True) as connection:
        assert finding(connection) == []
        with DatabaseThrottle(warehouse, failures=1, rate=lambda gate: None) as throttle:
            throttle.record("vci", False, reason="HTTP status 503")
            assert finding(connection) == [("note", "vci does not answer and is left alone for now")]
            throttle.record("vci", True)
            assert finding(connection) == []


def test_an_unknown_source_cannot_be_reset(run, warehouse):
    with DatabaseThrottle(warehouse, rate=lambda gate: None) as throttle:
        throttle.wait("known")
    code, _, err = run("reset", "nobody")
    assert code == 2
    assert "Nobody has asked a source 'nobody'" in err
    assert "known" in err
