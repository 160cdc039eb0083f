"""The generated runbooks."""

from __future__ import annotations

from hypertape.markets import all_markets, get_market
from hypertape.model import Interval
from hypertape.orchestration.runbook import runbook
from hypertape.settings import Settings


def test_it_names_what_the_dag_reads_and_writes() -> None:
    text = runbook(get_market("vn"), Interval.D1, Settings(source=None))
    for named in (
        "`market_data_1d`",
        "`market_data_1w`",
        "`market_data_2w`",
        "`market_data_1mo`",
        "`vci`",
        "8 h 30 min",
    ):
        assert named in text
    assert "market_data_5m" not in text


def test_an_interval_without_rollups_says_so() -> None:
    assert "rollups: none" in runbook(get_market("vn"), Interval.H1, Settings())


def test_it_says_what_to_press_while_it_is_paused() -> None:
    text = " ".join(runbook(get_market("vn"), Interval.D1, Settings()).split())
    assert "a run that is triggered here waits, without a word, until the DAG is unpaused" in text
    assert "with this DAG paused, trigger `backfill_bars`" in text


def test_every_dag_has_one_of_its_own() -> None:
    texts = {runbook(m, i, Settings()) for m in all_markets().values() for i in m.intervals}
    assert len(texts) == sum(len(market.intervals) for market in all_markets().values())
