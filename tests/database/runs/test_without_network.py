"""A first run without a network: five hundred tickers lack their bars for one cause, and that is told once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hypertape.errors import SourceUnavailable
from hypertape.markets import get_market
from hypertape.model import CRITICAL, Interval, Window, utc
from hypertape.settings import Settings
from hypertape.steps.findings import watch
from hypertape.steps.notify import tell
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Look, headline, look, open_findings
from hypertape.warehouse.loading.load import LoadRequest, record_failures
from message_hook import Hook

pytestmark = pytest.mark.database

NOW = utc(2025, 7, 1, 12)
NOBODY = "http://127.0.0.1:9"
"""Where nobody listens."""


@pytest.mark.thorough
def test_a_first_run_without_a_network_is_one_finding_one_message_and_one_headline(
    warehouse: str, tmp_path: Path, hook: Hook
) -> None:
    """A real run, whose requests wait for each other for half a minute; the quicker one is below."""
    tickers = [entry.ticker for entry in get_market("vn").tickers][:500]
    settings = Settings(
        state_dir=tmp_path, notify=hook.address, source="vci", source_endpoints=f"vci={NOBODY}", source_failures=1,
        batch_size=500,
    )  # fmt: skip
    done = sync(warehouse, "vn", "1d", now=NOW, tickers=tickers, start=utc(2025, 6, 1), settings=settings)
    assert len(done.failed) == len(tickers) == 500
    for hours in range(1, 4):
        at = NOW + timedelta(hours=hours)
        watch(warehouse, f"watch-{hours}", now=at, settings=settings)
        tell(warehouse, now=at, settings=settings)
    with connect(warehouse) as connection:
        (found,) = open_findings(connection, NOW)
        said = headline([found])
    assert (found.kind, found.severity, len(found.tickers)) == ("source", CRITICAL, 500)
    assert said.text == found.title == "vci does not answer: 500 tickers of vn 1d not loaded"
    assert hook.titles == [f"hypertape critical: {found.title}"]
    assert "hypertape sync -m vn -i 1d" in found.mend


@pytest.mark.parametrize("gate", ["ccxt", "ccxt:binance", "ccxt@127.0.0.1:9"])
def test_a_source_and_the_gate_of_its_turns_are_one_cause(warehouse: str, gate: str) -> None:
    """The circuit goes by the exchange or the server; that is the same outage, not a second one."""
    request = LoadRequest(get_market("crypto"), Interval.D1, "run", "ccxt", Window(utc(2025), NOW), NOW)
    with connect(warehouse) as connection:
        record_failures(connection, dict.fromkeys(("BTC", "ETH"), SourceUnavailable("no route")), request)
        connection.execute(
            "insert into source_state (source, state, failures, opened_at) values (%s, 'open', 5, now())",
            (gate,),
        )
        look(connection, Look(NOW, "watch"))
        (found,) = open_findings(connection, NOW)
    assert (found.kind, found.title) == ("source", "ccxt does not answer: 2 tickers of crypto 1d not loaded")
    assert found.evidence["circuit"] == "open"
