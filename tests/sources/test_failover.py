"""Several sources in order: who serves whom, what is said where nobody does, and runs read again without vendors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hypertape.calendars import expected_times
from hypertape.errors import (
    BadInput,
    CircuitOpen,
    DatabaseBusy,
    HypertapeError,
    NoData,
    RateLimited,
    SourceSchemaChanged,
    SourceUnavailable,
    UnknownTicker,
)
from hypertape.frame import bar_frame, empty_rejects
from hypertape.markets import get_market
from hypertape.model import Interval, Market, Window, utc
from hypertape.settings import load_settings
from hypertape.sources import Fetched, OnTicker, SourceConfig
from hypertape.steps.failures import failure_lines
from hypertape.steps.fetch import fetch_from
from hypertape.steps.landing import Landing, Received
from hypertape.steps.plan import plan
from hypertape.steps.run_batch import extract
from hypertape.steps.run_spec import Batch, BatchKind, Landed
from hypertape.steps.sync import SyncResult, sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.read import digests
from replay_server import Answer
from vci_replay import VciReplay

VN, D1 = get_market("vn"), Interval.D1
WEEK = Window(utc(2025, 6, 2), utc(2025, 6, 7))
NOW = utc(2025, 6, 20)


@dataclass
class Vendor:
    """A source that fails as it is told and serves the rest; `asked` keeps whom it was asked for."""

    name: str
    failing: Mapping[str, HypertapeError] = field(default_factory=dict)
    away: HypertapeError | None = None
    close: float = 1.0
    short: frozenset[str] = frozenset()
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def tickers(self, market: Market, interval: Interval) -> tuple[str, ...]:
        return ()

    def fetch(
        self, market: Market, tickers: Sequence[str], interval: Interval, window: Window, *,
        now: datetime, on_ticker: OnTicker | None = None,
    ) -> Fetched:  # fmt: skip
        self.asked.append(tuple(tickers))
        if self.away:
            raise self.away
        served = [ticker for ticker in tickers if ticker not in self.failing]
        times = expected_times(market, interval, window)[:1].repeat(len(served))
        values = dict.fromkeys(("open", "high", "low", "close", "volume"), [self.close] * len(served))
        return Fetched(
            bar_frame(served, times, values),
            empty_rejects(),
            {ticker: error for ticker, error in self.failing.items() if ticker in tickers},
            counted=dict.fromkeys(served, (5, 1)),
            short={ticker: (5, 1) for ticker in served if ticker in self.short},
        )


def ask(*vendors: Vendor, tickers: Sequence[str] = ("A", "B"), told: list[str] | None = None) -> Fetched:
    opened = [lambda vendor=vendor: vendor for vendor in vendors]
    return fetch_from(  # type: ignore[arg-type]
        opened, VN, tickers, D1, WEEK, now=NOW, on_ticker=told.append if told is not None else None
    )


def test_one_source_that_serves_all_is_the_only_one_asked() -> None:
    first, second = Vendor("first"), Vendor("second")
    fetched = ask(first, second)
    assert second.asked == []
    assert fetched.served_by == {"A": "first", "B": "first"}
    assert not fetched.failures


@pytest.mark.parametrize(
    "kind",
    [SourceUnavailable, RateLimited, CircuitOpen, NoData, SourceSchemaChanged],
    ids=lambda kind: kind.__name__,
)
def test_what_the_first_cannot_serve_the_next_is_asked_for(kind: type[HypertapeError]) -> None:
    first, second = Vendor("first", {"B": kind("It broke", ticker="B")}), Vendor("second", close=2.0)
    told: list[str] = []

    fetched = ask(first, second, told=told)

    assert second.asked == [("B",)]
    assert fetched.served_by == {"A": "first", "B": "second"}
    assert dict(zip(fetched.bars["ticker"].to_pylist(), fetched.bars["close"].to_pylist(), strict=True)) == {
        "A": 1.0,
        "B": 2.0,
    }
    assert not fetched.failures
    assert fetched.counted == {"A": (5, 1), "B": (5, 1)}


@pytest.mark.parametrize("kind", [UnknownTicker, BadInput, DatabaseBusy], ids=lambda kind: kind.__name__)
def test_what_another_source_would_not_mend_stays_as_it_is(kind: type[HypertapeError]) -> None:
    error = kind("It is wrong", ticker="B")
    first, second = Vendor("first", {"B": error}), Vendor("second")
    fetched = ask(first, second)
    assert second.asked == []
    assert fetched.failures == {"B": error}


def test_a_short_answer_is_not_mixed_with_another_vendors() -> None:
    first, second = Vendor("first", short=frozenset("A")), Vendor("second")
    fetched = ask(first, second)
    assert second.asked == []
    assert fetched.short == {"A": (5, 1)}


def test_a_source_that_is_away_as_a_whole_costs_nobody() -> None:
    first, second = Vendor("first", away=SourceUnavailable("down")), Vendor("second")
    fetched = ask(first, second)
    assert second.asked == [("A", "B")]
    assert fetched.served_by == {"A": "second", "B": "second"}


def test_a_source_that_cannot_work_stops_the_batch() -> None:
    with pytest.raises(BadInput):
        ask(Vendor("first", away=BadInput("no directory")), Vendor("second"))


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ((NoData("nothing"), SourceUnavailable("down")), SourceUnavailable),
        ((CircuitOpen("left alone"), NoData("nothing")), CircuitOpen),
        ((NoData("nothing"), UnknownTicker("who?")), NoData),
        ((SourceSchemaChanged("odd"), NoData("nothing")), SourceSchemaChanged),
    ],
    ids=["may pass", "may pass first", "nothing to hope for", "the first's"],
)
def test_a_ticker_nobody_served_says_what_each_said(
    errors: tuple[HypertapeError, HypertapeError], kind: type[HypertapeError]
) -> None:
    placed = [type(e)(e.what, market="vn", ticker="B", interval="1d", window=WEEK) for e in errors]
    fetched = ask(Vendor("first", {"B": placed[0]}), Vendor("second", {"B": placed[1]}))
    error = fetched.failures["B"]
    assert type(error) is kind
    assert f"No source served it: first: {errors[0].what}; second: {errors[1].what} (vn B 1d" in str(error)


def test_three_sources_are_asked_in_order_and_an_end_ends_it() -> None:
    first, second, third = (
        Vendor("first", {"A": NoData("1"), "B": NoData("1")}),
        Vendor("second", {"A": NoData("2"), "B": UnknownTicker("2")}),
        Vendor("third"),
    )
    fetched = ask(first, second, third)
    assert third.asked == [("A",)], "B is at its end"
    assert fetched.served_by == {"A": "third"}
    assert "first: 1; second: 2" in str(fetched.failures["B"])


# whole runs: VCI, then the sample in its place


@pytest.fixture
def vci() -> Iterator[VciReplay]:
    server = VciReplay()
    times = expected_times(VN, D1, Window(utc(2025, 4, 1), utc(2025, 6, 20))) // 1_000_000
    server.bars["SYNTECH", "ONE_DAY"] = [
        (int(t), 10_150.0, 30_325.0, 9_975.0, 10_010.1 + n, 10 + n) for n, t in enumerate(times)
    ]
    yield server
    server.stop()


@pytest.fixture
def environment(vci: VciReplay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HYPERTAPE_SOURCE_ENDPOINTS", f"vci={vci.url}")
    monkeypatch.setenv("HYPERTAPE_SOURCE_RATES", "vci=0")
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path / "state"))


SOURCES = {"name": "vci", "fallbacks": ["sample"]}
TICKERS = ["SYNTECH", "SYNBANK", "GONE"]
Warehouses = Callable[[], AbstractContextManager[str]]


def run(dsn: str, **others: Any) -> SyncResult:
    given = {
        "tickers": TICKERS,
        "start": WEEK.start,
        "end": WEEK.end,
        "source": SOURCES,
        "check": False,
        **others,
    }
    return sync(dsn, "vn", "1d", now=NOW, settings=load_settings(), **given)


def rows(dsn: str, run_id: str) -> dict[str, tuple[str, str, str | None]]:
    with connect(dsn) as connection:
        found = connection.execute(
            "select ticker, source, status, error from load where run_id = %s order by load_id", (run_id,)
        ).fetchall()
    return {ticker: (source, status, error) for ticker, source, status, error in found}


def stored(dsn: str) -> list[Any]:
    with connect(dsn) as connection:
        return list(digests(connection, VN, D1, indicators=True))


@pytest.mark.database
@pytest.mark.usefixtures("environment")
def test_every_load_names_its_source_and_a_replay_is_equal_to_the_bit(
    new_warehouse: Warehouses, vci: VciReplay
) -> None:
    with new_warehouse() as dsn:
        result = run(dsn)
        loads, before = rows(dsn, result.run_id), stored(dsn)
    assert {ticker: load[:2] for ticker, load in loads.items()} == {
        "SYNTECH": ("vci", "loaded"), "SYNBANK": ("sample", "loaded"), "GONE": ("vci", "failed"),
    }  # fmt: skip
    assert "vci: VCI's answer has no bars of it; sample: The sample has no such ticker" in (
        loads["GONE"][2] or ""
    )
    assert [found.rows for found in before] == [5, 5]

    vci.stop()
    with new_warehouse() as dsn:
        again = run(dsn, source={"replay": result.run_id}, start=None, end=None, tickers=None)
        assert stored(dsn) == before
        outcome = {ticker: load[:2] for ticker, load in rows(dsn, again.run_id).items()}
    assert outcome == {ticker: load[:2] for ticker, load in loads.items()}
    assert again.plan.batches == result.plan.batches


@pytest.mark.database
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "delisted", ["SYNTECH", "SYNLAND"], ids=["the last one loaded", "the first one loaded"]
)
def test_that_a_vendor_has_nothing_is_an_answer_for_a_stored_ticker_and_a_failure_for_an_unknown_one(
    new_warehouse: Warehouses, vci: VciReplay, delisted: str
) -> None:
    with new_warehouse() as dsn:
        vci.bars["SYNLAND", "ONE_DAY"] = vci.bars["SYNTECH", "ONE_DAY"]
        run(dsn, source={"name": "vci"}, tickers=["SYNTECH", "SYNLAND", "GONE"])
        del vci.bars[delisted, "ONE_DAY"]
        result = run(dsn, source={"name": "vci"}, tickers=[delisted, "GONE"])
        with connect(dsn) as connection:
            found = connection.execute(
                "select ticker, status, fetched, error is null from load where run_id = %s order by ticker",
                (result.run_id,),
            ).fetchall()
    assert found == [("GONE", "failed", 0, False), (delisted, "loaded", 0, True)]


@pytest.mark.database
@pytest.mark.usefixtures("environment")
def test_a_vendor_that_denies_everything_is_out_of_order_and_excuses_no_bar(
    new_warehouse: Warehouses, vci: VciReplay
) -> None:
    """It has nothing for anybody, not even for a bar that it gave before."""
    with new_warehouse() as dsn:
        only_vci = {"source": {"name": "vci"}, "tickers": ["SYNTECH", "SYNLAND"]}
        vci.bars["SYNLAND", "ONE_DAY"] = vci.bars["SYNTECH", "ONE_DAY"]
        run(dsn, **only_vci)
        vci.bars.clear()
        result = run(dsn, **only_vci)
        with connect(dsn) as connection:
            kinds = connection.execute(
                "select distinct status, error_kind from load where run_id = %s", (result.run_id,)
            ).fetchall()
    assert kinds == [("failed", "SourceUnavailable")]
    assert result.may_pass == {"SYNTECH", "SYNLAND"}
    (line,) = failure_lines(result.failures)
    assert re.match(r"SYNLAND, SYNTECH: vci had nothing for any of 2 tickers, nor for the bar of", line)


@pytest.mark.database
@pytest.mark.usefixtures("environment")
def test_a_part_of_a_run_is_replayed_although_its_requests_were_shared(
    new_warehouse: Warehouses, vci: VciReplay
) -> None:
    vci.bars["SYNLAND", "ONE_DAY"] = vci.bars["SYNTECH", "ONE_DAY"]
    with new_warehouse() as dsn:
        result = run(dsn, tickers=["SYNTECH", "SYNLAND"])
        before = stored(dsn)
    vci.stop()
    with new_warehouse() as dsn:
        again = run(dsn, source={"replay": result.run_id}, tickers=["SYNLAND"])
        assert stored(dsn) == before[:1]
        assert again.failed == {}


@pytest.mark.database
@pytest.mark.usefixtures("environment")
def test_a_vendor_that_is_down_opens_its_circuit_for_every_run(
    new_warehouse: Warehouses, vci: VciReplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERTAPE_SOURCE_FAILURES", "1")
    vci.fault = lambda request: Answer(500)
    with new_warehouse() as dsn:
        first = run(dsn, tickers=["SYNBANK"])
        asked = len(vci.asked)
        second = run(dsn, tickers=["SYNBANK"])
        assert (asked, len(vci.asked)) == (1, 1), "tried once, then left alone"
        assert rows(dsn, second.run_id)["SYNBANK"] == ("sample", "loaded", None)
    assert first.failed == second.failed == {}


@pytest.mark.database
@pytest.mark.usefixtures("environment")
def test_a_retry_that_asked_again_is_replayed_as_it_was_asked(
    new_warehouse: Warehouses, vci: VciReplay
) -> None:
    later = NOW + timedelta(minutes=5)
    with new_warehouse() as dsn:
        settings, names = load_settings(), ["SYNTECH", "SYNLAND"]
        planned = plan(
            dsn,
            "vn",
            "1d",
            run_id="first",
            data_interval=WEEK,
            exact=True,
            now=NOW,
            settings=settings,
            source={"name": "vci"},
            tickers=names,
        )
        batch = planned.batches[0]
        first = extract(planned.spec, batch, settings=settings, now=NOW, dsn=dsn)
        assert set(first.failed) == {"SYNLAND"}
        vci.bars["SYNLAND", "ONE_DAY"] = vci.bars["SYNTECH", "ONE_DAY"]
        second = extract(planned.spec, batch, settings=settings, now=later, attempt=2, dsn=dsn)
        assert second.failed == {}
    vci.stop()

    replayed = replace(planned.spec, run_id="again", source=SourceConfig("vci", replay="first"))
    third = extract(replayed, batch, settings=settings, now=later)

    assert third.failed == {}


@pytest.mark.database
@pytest.mark.usefixtures("environment")
def test_a_part_of_a_window_is_cut_from_the_whole_and_a_wider_one_is_not_made_up(
    warehouse: str, vci: VciReplay
) -> None:
    settings = load_settings()
    planned = plan(
        warehouse, "vn", "1d", run_id="first", data_interval=WEEK, exact=True, source={"name": "vci"},
        tickers=["SYNTECH"], now=NOW, settings=settings,
    )  # fmt: skip
    extract(planned.spec, planned.batches[0], settings=settings, now=NOW, dsn=warehouse)
    vci.stop()
    replayed = replace(planned.spec, run_id="again", source=SourceConfig("vci", replay="first"))

    def again(start: datetime, end: datetime, index: int) -> Landed:
        batch = Batch(BatchKind.PLAN, index, ("SYNTECH",), Window(start, end))
        return extract(replayed, batch, settings=settings, now=NOW)

    assert again(utc(2025, 6, 3), utc(2025, 6, 5), 0).failed == {}
    place = Landing(settings.landing, "again", "0")
    bars = place.read("bars")
    assert [at.day for at in bars["time"].to_pylist()] == [3, 4]
    received = Received.read(place)
    assert received is not None
    assert received.counted == {"SYNTECH": (2, 2)}
    wider = again(WEEK.start, utc(2025, 6, 14), 1)
    assert "did not ask for it in this window" in wider.failed["SYNTECH"].message


def test_a_replay_needs_a_run_that_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(tmp_path))
    with pytest.raises(BadInput, match="No raw answers of the run 'nobody'"):
        plan(
            "unused",
            "vn",
            "1d",
            run_id="x",
            data_interval=WEEK,
            exact=True,
            now=NOW,
            settings=load_settings(),
            source={"replay": "nobody"},
        )


@pytest.mark.database
@pytest.mark.usefixtures("environment")
def test_a_source_that_stands_in_brings_new_bars_and_changes_none(
    new_warehouse: Warehouses, vci: VciReplay
) -> None:
    longer = {"tickers": ["SYNTECH"], "end": utc(2025, 6, 14)}
    statement = (
        "select time::date, close, source from bars.market_data_1d join load using (load_id) order by 1"
    )
    vci.bars["SYNTECH", "ONE_DAY"] = [
        (at, *(price * 15 for price in prices), volume)
        for at, *prices, volume in vci.bars["SYNTECH", "ONE_DAY"]
    ]
    with new_warehouse() as dsn, connect(dsn, autocommit=True) as connection:
        run(dsn, tickers=["SYNTECH"])
        before = connection.execute(statement).fetchall()
        vci.fault = lambda request: Answer(500)
        away = run(dsn, **longer)
        after = connection.execute(statement).fetchall()
        again = run(dsn, **longer)
    assert away.failed == {}, "the sample's prices are of the same scale"
    assert (away.counts["inserted"], away.counts["updated"], away.failed) == (5, 0, {})
    assert after[:5] == before
    assert {source for *_, source in after[5:]} == {"sample"}
    assert (again.counts["inserted"], again.counts["updated"], again.failed) == (0, 0, {})
