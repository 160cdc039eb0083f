"""The synthetic sample in a market of a project: sound along its own calendar, and every planted defect is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from hypertape.markets import forget_markets, get_market
from hypertape.model import STORED_INTERVALS, Interval, Window, utc
from hypertape.orchestration.demo_defects import find_planted
from hypertape.orchestration.demo_jobs import sample_jobs
from hypertape.settings import load_settings
from hypertape.sources.sample import LAST_DAY, Sample, plan_until
from hypertape.steps.project import TEMPLATE
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.schema import apply
from thorough import is_thorough

COINS = """\
title = "Coins of another exchange"
timezone = "UTC"
calendar = "always"
price_unit = "KRW"
sources = ["csv_tree"]
history_start = 2020-01-06
schedule = "30 0 * * *"
daily_move_limit = 0.3
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example market jp, and one that never closes."""
    for folder in ("markets", "tickers"):
        (tmp_path / folder).mkdir()
    (tmp_path / "hypertape.toml").touch()
    shutil.copy(TEMPLATE / "markets" / "_jp.toml", tmp_path / "markets" / "jp.toml")
    shutil.copy(TEMPLATE / "tickers" / "_jp.csv", tmp_path / "tickers" / "jp.csv")
    (tmp_path / "markets" / "coins.toml").write_text(COINS)
    (tmp_path / "tickers" / "coins.csv").write_text("ticker,name,group,kind\nAAA,A,COINS,crypto\n")
    monkeypatch.setenv("HYPERTAPE_PROJECT", str(tmp_path))
    forget_markets()
    yield
    forget_markets()


def test_every_planted_defect_of_a_market_of_ones_own_is_found(
    warehouse: str, project: None, tmp_path: Path
) -> None:
    """Days and hours in every run, minutes too at length."""
    intervals = STORED_INTERVALS if is_thorough() else (Interval.D1, Interval.H1)
    plan, market = plan_until(), get_market("jp")
    settings, source = load_settings(state_dir=tmp_path / "state"), {"name": "sample"}
    with connect(warehouse) as connection:
        apply(connection, [market])
        connection.commit()
    before = plan.corrected_at["jp"] - timedelta(days=1)
    sync(warehouse, "jp", "1d", now=before, end=before, source=source, settings=settings)
    for interval in sorted(intervals, key=lambda each: each is Interval.D1):
        end = plan.spans["jp", interval].end
        result = sync(warehouse, "jp", interval.value, now=end, end=end, source=source, settings=settings)
        assert result.error is None
    with connect(warehouse) as connection:
        found = find_planted(connection, [("jp", interval) for interval in intervals], plan)
    assert [each.planted for each in found if not each.found] == []
    assert len(found) == sum(p.market == "jp" and p.interval in intervals for p in plan.planted)


@pytest.mark.parametrize("last_day", [LAST_DAY, date(2026, 11, 29)], ids=str)
@pytest.mark.parametrize("code", ["jp", "coins"])
def test_bars_lie_in_the_markets_own_sessions_and_prices(project: None, code: str, last_day: date) -> None:
    market, source = get_market(code), Sample(last_day)
    plan = plan_until(last_day)
    fetched = source.fetch(
        market, source.tickers(market, Interval.D1), Interval.D1, Window(utc(2000), utc(2100)), now=utc(2100)
    )
    assert not fetched.failures
    gaps = {
        p.ticker: len(p.times)
        for p in plan.planted
        if p.market == code and p.interval is Interval.D1 and p.kind == "gap"
    }
    assert {ticker: due - got for ticker, (due, got) in fetched.counted.items() if due != got} == gaps
    lowest, highest = market.plausible_prices.get("stock", (0, 1e9))
    assert all(lowest < close < highest for close in fetched.bars["close"].to_pylist())


def test_the_demo_loads_the_days_of_the_project(project: None) -> None:
    jobs = {(job.market, job.interval) for job in sample_jobs(plan_until(date(2026, 11, 29)))}
    assert {("jp", Interval.D1), ("coins", Interval.D1), ("vn", Interval.M1)} <= jobs


def test_a_market_that_the_project_broke_leaves_the_others_their_bars(project: None, tmp_path: Path) -> None:
    (tmp_path / "tickers" / "us.csv").write_text("ticker\n")
    forget_markets()
    plan = plan_until(date(2026, 11, 28))
    assert {planted.market for planted in plan.planted} == {"coins", "crypto", "jp", "vn"}
    assert Sample(plan.last_day).tickers(get_market("jp"), Interval.D1)[0] == "SYNBIO"
