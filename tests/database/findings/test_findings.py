"""Findings: a cause is one row, opened once, kept while it lasts, closed when it is over, and may be acknowledged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lab import D1, H1, US, VN, Connection, new_ticker, put, query, request, scaled, value, walk

from hypertape.calendars import expected_times
from hypertape.errors import BadInput, CircuitOpen, HypertapeError, SourceUnavailable
from hypertape.frame import Bars
from hypertape.model import CRITICAL, FINDING_KINDS, WARNING, Market, Window, utc
from hypertape.quality.results import FAILED, PASSED, QualityResult, record
from hypertape.warehouse.claims import Worker
from hypertape.warehouse.findings import (
    Look,
    Looked,
    Observation,
    acknowledge,
    findings,
    headline,
    keep,
    look,
    open_findings,
    reopen,
)
from hypertape.warehouse.findings.look import OBSERVERS
from hypertape.warehouse.loading.load import record_failures

NOW = utc(2024, 4, 1, 12)
"""A Monday; the Friday before it was Good Friday."""

HOUR = timedelta(hours=1)
EVERYWHERE = (Looked(("loads",)),)


def seen(cause: str = "loads/a", **others: Any) -> Observation:
    return Observation(**{"cause": cause, "kind": "loads", "title": f"{cause} is wrong", **others})


def bars_until(market: Market, end: datetime, days: int = 40) -> Bars:
    """Daily bars of every session of the days before `end`."""
    times = expected_times(market, D1, Window(end - timedelta(days=days), end))
    bars = scaled(walk(len(times)), 1.0)
    return Bars(times, bars.open, bars.high, bars.low, bars.close, bars.volume + 1, bars.adjusted_close)


def fail(connection: Connection, errors: Mapping[str, HypertapeError], market: Market, at: datetime) -> None:
    """Note failed loads, and when they were."""
    record_failures(connection, errors, request(market, D1, now=at, run_id=f"run {at}"))
    connection.execute("update load set loaded_at = %s where run_id = %s", (at, f"run {at}"))


def titles(connection: Connection, now: datetime = NOW) -> dict[str, str]:
    return {each.kind: each.title for each in open_findings(connection, now)}


def test_a_cause_is_opened_once_kept_current_and_closed_where_was_looked(connection: Connection) -> None:
    first = keep(connection, [seen(), seen("loads/b")], EVERYWHERE, NOW, "one")
    again = keep(connection, [seen(title="worse", tickers=("AAA",))], EVERYWHERE, NOW + HOUR, "two")
    elsewhere = keep(connection, [], [Looked(("gaps",))], NOW + 2 * HOUR, "three")
    assert (len(first.opened), first.kept, first.closed) == (2, (), ())
    assert (again.opened, again.kept, again.closed) == ((), first.opened[:1], first.opened[1:])
    assert elsewhere.to_json() == {"opened": 0, "kept": 0, "closed": 0}
    (held,) = open_findings(connection, NOW)
    assert (held.title, held.tickers, held.times) == ("worse", ["AAA"], 2)
    assert (held.opened_at, held.last_seen_at, held.opened_by) == (NOW, NOW + HOUR, "one")
    over = findings(connection, NOW, closed=True)[1]
    assert (over.closed_at, over.closed_by, over.state) == (NOW + HOUR, "two", "closed")


def test_what_comes_back_is_another_row(connection: Connection) -> None:
    for cycle in range(3):
        at = NOW + cycle * HOUR
        assert len(keep(connection, [seen()], EVERYWHERE, at, "on").opened) == 1
        assert len(keep(connection, [], EVERYWHERE, at, "off").closed) == 1
    assert value(connection, "select count(*) from finding where cause = 'loads/a'") == 3


def test_looking_at_one_place_closes_nothing_of_another(connection: Connection) -> None:
    vn = seen("loads/vn", market="vn", interval="1d")
    us = seen("loads/us", market="us", interval="1d")
    keep(connection, [vn, us], EVERYWHERE, NOW, "one")
    assert len(keep(connection, [], [Looked(("loads",), "vn", "1d")], NOW, "two").closed) == 1
    assert [each.cause for each in open_findings(connection, NOW)] == ["loads/us"]


def test_an_acknowledged_one_is_out_of_the_way_until_it_changes_or_its_time_is_up(
    connection: Connection,
) -> None:
    (number,) = keep(connection, [seen(tickers=("AAA",))], EVERYWHERE, NOW, "one").opened
    asked = {"now": NOW, "by": "me", "reason": "the vendor knows", "until": NOW + 2 * HOUR}
    assert acknowledge(connection, number, **asked).state == "acknowledged"
    keep(connection, [seen(tickers=("AAA",), title="other words")], EVERYWHERE, NOW, "two")
    assert open_findings(connection, NOW + HOUR) == []
    assert len(open_findings(connection, NOW + 2 * HOUR)) == 1, "its time is up"
    keep(connection, [seen(tickers=("AAA", "BBB"))], EVERYWHERE, NOW, "three")
    assert len(open_findings(connection, NOW)) == 1, "another ticker"
    acknowledge(connection, number, **asked)
    assert open_findings(connection, NOW) == []
    assert reopen(connection, number, now=NOW).state == "open"
    assert len(open_findings(connection, NOW)) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reason": " "}, "is not said"),  # nobody would know why
        ({"until": NOW}, "is over"),  # would be open again at once
        ({"finding": -1}, "There is no finding -1"),
    ],
)
def test_an_acknowledgement_that_means_nothing_is_refused(
    connection: Connection, change: dict[str, Any], says: str
) -> None:
    (number,) = keep(connection, [seen()], EVERYWHERE, NOW, "one").opened
    asked = {"finding": number, "now": NOW, "by": "me", "reason": "why", "until": None} | change
    with pytest.raises(BadInput, match=says):
        acknowledge(connection, asked.pop("finding"), **asked)
    keep(connection, [], EVERYWHERE, NOW, "two")
    with pytest.raises(BadInput, match="is closed since 2024-04-01"):
        reopen(connection, number, now=NOW)


def test_the_headline_is_the_worst_finding_and_counts_the_others(connection: Connection) -> None:
    assert headline([]).level == "good"
    assert headline([], empty=True).text == "The warehouse is empty"
    keep(connection, [seen("n", severity="note")], EVERYWHERE, NOW, "one")
    assert headline(open_findings(connection, NOW)).text == "Nothing is wrong that anybody knows of; 1 note"
    keep(
        connection,
        [seen("a"), seen("b", severity=CRITICAL), seen("n", severity="note")],
        EVERYWHERE,
        NOW,
        "two",
    )
    found = headline(open_findings(connection, NOW))
    assert (found.level, found.text) == ("bad", "b is wrong, and 1 other finding")
    assert found.because == ("a is wrong", "n is wrong")


def test_every_kind_has_an_observer_and_no_two_have_the_same() -> None:
    kinds = [kind for observer in OBSERVERS for kind in observer.kinds]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) == set(FINDING_KINDS)


def test_an_empty_warehouse_has_nothing_to_say(connection: Connection) -> None:
    assert look(connection, Look(NOW, "watch", thorough=True)).to_json() == {
        "opened": 0,
        "kept": 0,
        "closed": 0,
    }


def test_a_dead_source_is_one_finding_whatever_follows_from_it(connection: Connection) -> None:
    tickers = [new_ticker("OUT") for _ in range(50)]
    last = utc(2024, 3, 26)
    put(connection, {ticker: bars_until(VN, last) for ticker in tickers}, VN, now=last)
    connection.execute("update load set loaded_at = %s", (last,))
    connection.execute("delete from rollup_pending")
    assert set(titles_after(connection, last)) == {"unchecked"}
    for day in range(1, 4):
        at = last + timedelta(days=day, hours=12)
        errors = {
            ticker: CircuitOpen("left alone") if n > 4 else SourceUnavailable("no route")
            for n, ticker in enumerate(tickers)
        }
        fail(connection, errors, VN, at)
        said = titles_after(connection, at)
    assert set(said) == {"unchecked", "source"}
    assert said["source"] == "csv_tree does not answer: 50 tickers of vn 1d not loaded"
    assert value(connection, "select times from finding where kind = 'source'") == 3
    (found,) = findings(connection, NOW, kinds=["source"])
    assert (found.market, found.interval, found.severity, len(found.tickers)) == ("vn", "1d", CRITICAL, 50)
    assert "no route" in found.evidence["error"]
    put(connection, {ticker: bars_until(VN, NOW) for ticker in tickers}, VN, now=NOW, run_id="after")
    assert set(titles_after(connection, NOW)) == {"unchecked"}
    assert value(connection, "select count(*) from finding where kind <> 'unchecked'") == 1


def titles_after(connection: Connection, now: datetime) -> dict[str, str]:
    with connection.transaction():
        look(connection, Look(now, f"run {now}", "vn", "1d"))
    return titles(connection, now)


def test_who_was_late_before_the_source_died_stays_late(connection: Connection) -> None:
    old, fresh = new_ticker("OLD"), new_ticker("NEW")
    put(connection, {old: bars_until(VN, utc(2024, 3, 1)), fresh: bars_until(VN, utc(2024, 3, 27))}, VN)
    connection.execute("update load set loaded_at = %s", (utc(2024, 3, 27),))
    before = titles_after(connection, utc(2024, 3, 27))["late"]
    assert old in before
    fail(connection, {old: SourceUnavailable(), fresh: SourceUnavailable()}, VN, NOW)
    late = findings(connection, NOW, kinds=["late"])
    assert [each.tickers for each in late] == [[old]]
    titles_after(connection, NOW)
    assert [each.tickers for each in findings(connection, NOW, kinds=["late"], closed=True)] == [[old]]


def test_lateness_counts_sessions_not_days(connection: Connection) -> None:
    """The last session is Thursday's: Good Friday and the weekend after it make nothing late."""
    ticker = new_ticker("US")
    put(connection, {ticker: bars_until(US, utc(2024, 3, 29))}, US)
    look(connection, Look(NOW, "watch"))
    assert "late" not in titles(connection)
    look(connection, Look(utc(2024, 4, 5, 12), "watch"))
    assert (
        f"1 of 1 ticker of us 1d are behind their calendar, by up to 4 sessions: {ticker}"
        == titles(connection)["late"]
    )


def result(status: str, start: datetime, end: datetime, **others: Any) -> QualityResult:
    given = {
        "run_id": f"run {start}",
        "expectation": "high_not_below_low",
        "severity": CRITICAL,
        "suite": "market_data_1d",
    }
    bad = status == FAILED
    sample = ({"ticker": "AAA", "time": "2024-03-05"},) if bad else ()
    return QualityResult(
        **{**given, "market": "vn", "interval": "1d", "description": "low ≤ high", "status": status, "sample": sample,
           "window": Window(start, end), "evaluated": 100, "unexpected": int(bad), **others}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("later", "over"),
    [
        ([], False),
        (
            [result(PASSED, utc(2024, 3, 6), utc(2024, 4, 1))],
            False,
        ),  # looked elsewhere: the bad bar is still there
        ([result(PASSED, utc(2024, 3, 1), utc(2024, 4, 1))], True),
        ([result(PASSED, utc(2024, 3, 5), utc(2024, 3, 6))], True),  # over the bad bar alone
    ],
    ids=["nothing since", "another window", "the same window", "the bar itself"],
)
def test_a_failed_check_lasts_until_the_same_bars_pass(
    connection: Connection, later: list[QualityResult], over: bool
) -> None:
    record(connection, [result(FAILED, utc(2024, 3, 1), utc(2024, 4, 1))])
    look(connection, Look(NOW, "watch"))
    assert titles(connection) == {"check": "The check high_not_below_low of vn 1d fails 1 time: AAA"}
    record(connection, later)
    look(connection, Look(NOW, "watch", "vn", "1d"))
    assert (titles(connection) == {}) is over


@pytest.mark.parametrize(
    ("away", "named", "folded"),
    [
        (10, 30, False),  # those that are listed are the outage's; twenty others are not
        (30, 30, True),
        (30, 31, False),  # one more
        (30, 0, False),  # the rule cannot say who
    ],
)
def test_what_a_check_found_follows_from_an_outage_only_where_all_its_tickers_do(
    connection: Connection, away: int, named: int, folded: bool
) -> None:
    """Ten keys are kept of a check; comparing these alone hid whoever else had the defect."""
    tickers = [f"FOLD{number:02d}" for number in range(31)]
    fail(connection, {ticker: SourceUnavailable("no route") for ticker in tickers[:away]}, VN, NOW)
    sample = tuple({"ticker": ticker, "time": "2024-03-05"} for ticker in tickers[:10])
    details = {"tickers": tickers[:named]} if named else {}
    found = result(FAILED, utc(2024, 3, 1), NOW, severity=WARNING, expectation="sessions_complete",
                   unexpected=named or 30, sample=sample, details=details)  # fmt: skip
    record(connection, [found])
    look(connection, Look(NOW, "watch", "vn", "1d"))
    kept = findings(connection, NOW, kinds=["check"])
    assert (kept == []) is folded
    assert [len(each.tickers) for each in kept] == ([] if folded else [named or 10])
    assert [len(each.tickers) for each in findings(connection, NOW, kinds=["source"])] == [away]


def test_a_check_with_more_offenders_than_are_kept_lasts_until_all_its_bars_pass(
    connection: Connection,
) -> None:
    """The keys that are kept are all of the first days: a later look at these days proves nothing of the others."""
    many = result(FAILED, utc(2024, 3, 1), utc(2024, 4, 1), unexpected=300, details={"tickers": ["AAA"]})
    record(connection, [many, result(PASSED, utc(2024, 3, 5), utc(2024, 3, 6))])
    look(connection, Look(NOW, "watch"))
    assert titles(connection) == {"check": "The check high_not_below_low of vn 1d fails 300 times: AAA"}
    record(connection, [result(PASSED, utc(2024, 3, 1), utc(2024, 4, 1))])
    look(connection, Look(NOW, "watch"))
    assert titles(connection) == {}


def test_a_check_that_did_not_run_is_another_finding(connection: Connection) -> None:
    record(
        connection,
        [result("broken", utc(2024, 3, 1), utc(2024, 4, 1), error="division by zero", severity=WARNING)],
    )
    look(connection, Look(NOW, "watch"))
    (found,) = open_findings(connection, NOW)
    assert (found.kind, found.severity) == ("check_not_run", WARNING)
    assert found.evidence["error"] == "division by zero"
    record(connection, [result(PASSED, utc(2024, 3, 30), utc(2024, 4, 1))])
    look(connection, Look(NOW, "watch"))
    assert open_findings(connection, NOW) == []


@pytest.mark.parametrize("status", ["broken", FAILED])
def test_what_a_projects_rule_found_is_over_when_its_file_is_gone(
    connection: Connection, status: str
) -> None:
    window, own = (utc(2024, 3, 1), utc(2024, 4, 1)), {"statement": "dear.sql"}
    wrong = result(status, *window, details=own, error="line 3" if status == "broken" else None, unexpected=2)
    right = result(PASSED, *window)
    record(connection, [replace(wrong, expectation="dear", run_id="first"), replace(right, run_id="first")])
    look(connection, Look(NOW, "watch"))
    (found,) = open_findings(connection, NOW)
    assert "dear" in found.title
    assert status == FAILED or found.mend.startswith("hypertape config check; then hypertape validate")
    record(connection, [replace(right, run_id="second")])
    look(connection, Look(NOW, "watch"))
    assert open_findings(connection, NOW) == []


def test_bars_written_past_hypertape_are_found(connection: Connection) -> None:
    ticker = new_ticker("FOR")
    put(connection, {ticker: bars_until(VN, NOW)}, VN)
    connection.execute(
        "insert into bars.market_data_1d (ticker, time, open, high, low, close, volume, load_id) "
        "values (%s, '2024-04-02', 1, 1, 1, 1, 1, 0)",
        (ticker,),
    )
    look(connection, Look(NOW, "run", "vn", "1d"))
    assert "spans" not in titles(connection), "a tail does not read the bars"
    look(connection, Look(NOW, "watch", thorough=True))
    assert titles(connection)["spans"].endswith(f"written past hypertape: {ticker}")


def test_a_mark_in_the_future_is_found(connection: Connection) -> None:
    ticker = new_ticker("FUT")
    put(connection, {ticker: bars_until(VN, NOW)}, VN)
    query_ = (
        "update series set watermark = clock_timestamp() + interval '30 days' where ticker = %s returning 1"
    )
    assert query(connection, query_, ticker) == [(1,)]
    look(connection, Look(NOW, "watch"))
    assert "which is in the future" in titles(connection)["watermarks"]
    assert H1.value not in titles(connection)["watermarks"]


def test_a_worker_known_to_be_dead_is_found_with_what_it_holds(connection: Connection) -> None:
    worker = Worker("backfill")
    worker.beat(connection)
    worker.take(connection, "backfill", ["AAA 2025", "BBB 2025"])
    look(connection, Look(NOW, "watch"))
    assert "worker" not in titles(connection)
    worker.leave(connection)
    look(connection, Look(NOW, "watch"))
    title = titles(connection)["worker"]
    assert title.startswith(f"The worker {worker.worker_id} is silent since 20")
    assert title.endswith(", holding 2 units of backfill")


def test_the_runbook_has_a_paragraph_for_every_kind_and_no_other() -> None:
    text = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text(encoding="utf-8")
    section = text.split("## Findings\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^- `(\w+)`:", section, re.MULTILINE)) == sorted(FINDING_KINDS)
