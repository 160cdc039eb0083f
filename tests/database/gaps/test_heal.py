"""Healing from end to end: a source that lacks bars, is down, recovers; through the steps, the verbs and the checks."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from lab import query, value
from typer.testing import CliRunner

from hypertape.calendars import sessions
from hypertape.cli import app
from hypertape.errors import BadInput
from hypertape.markets import get_market
from hypertape.model import utc
from hypertape.settings import Settings
from hypertape.steps.heal import find_gaps, finish_heal, heal, plan_heal, plan_lines
from hypertape.steps.sync import sync
from hypertape.warehouse.gaps.healing import GapFilter, reopen_gaps

VN = get_market("vn")
FIRST, AFTER = utc(2024, 3, 4), utc(2024, 4, 6)
DAYS = [session.date for session in sessions(VN, FIRST.date(), AFTER.date())]
TICKERS = ("AAA", "BBB", "CCC", "DDD")
PRICES = (10_000, 10_100, 10_200)
HEADER = "ticker,time,open,high,low,close,volume"


class Vendor:
    """A CSV tree that delivers what it is told to."""

    def __init__(self, root):
        self.root = root
        self.source = {"name": "csv_tree", "directory": str(root)}
        for ticker in TICKERS:
            self.deliver(ticker)

    def deliver(self, ticker, without=(), bad=()):
        rows = [
            f"{ticker},{day},10000,{8000 if k in bad else 11000},9000,{PRICES[k % 3]},100"
            for k, day in enumerate(DAYS)
            if k not in without
        ]
        (self.root / ticker).mkdir(parents=True, exist_ok=True)
        (self.root / ticker / "1D.csv").write_text("\n".join([HEADER, *rows]) + "\n")

    def fail(self, ticker):
        (self.root / ticker / "1D.csv").write_bytes("ticker".encode("utf-16"))


@pytest.fixture
def vendor(tmp_path):
    return Vendor(tmp_path / "tree")


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path / "state", batch_size=10)


@pytest.fixture
def load(warehouse, vendor, settings):
    def run(now=AFTER, start=FIRST, **others):
        return sync(
            warehouse, "vn", "1d", now=now, start=start, end=AFTER, source=vendor.source, settings=settings, **others
        )  # fmt: skip

    return run


@pytest.fixture
def healed(warehouse, vendor, settings):
    def run(now, run_id, **others):
        planned = plan_heal(
            warehouse, "vn", "1d", run_id=run_id, now=now, source=vendor.source, settings=settings, **others
        )
        return planned, *heal(warehouse, planned, now=now, settings=settings)

    return run


def gaps(connection):
    return query(
        connection,
        "select ticker, sessions, reason, attempts from gap where closed_at is null order by ticker, start_time",
    )


def test_what_the_source_delivers_late_is_healed_and_closed(load, healed, vendor, connection):
    vendor.deliver("AAA", without=(3, 4, 12))
    vendor.fail("BBB")
    assert load().failed.keys() == {"BBB"}
    assert gaps(connection) == [
        ("AAA", 2, "provider empty", 0),
        ("AAA", 1, "provider empty", 0),
        ("BBB", len(DAYS), "fetch failed", 0),
    ]
    vendor.deliver("AAA", without=(12,))
    vendor.deliver("BBB")
    planned, result, finished = healed(AFTER, "heal1")
    assert (planned.gaps, planned.sessions, planned.spec.mode) == (3, 3 + len(DAYS), "missing")
    assert [(list(batch.tickers), f"{batch.window.start:%Y-%m-%d}") for batch in planned.batches] == [
        (["AAA"], "2024-03-04"),
        (["BBB"], "2024-03-04"),
    ]
    assert (result.counts["inserted"], result.counts["updated"], result.error) == (2 + len(DAYS), 0, None)
    assert finished.still_missing == 1
    assert gaps(connection) == [("AAA", 1, "provider empty", 1)]
    closed = query(
        connection, "select ticker, sessions, closed_run from gap where closed_at is not null order by 1"
    )
    assert closed == [("AAA", 2, "heal1"), ("BBB", len(DAYS), "heal1")]


def test_a_gap_that_stays_empty_rests_after_the_limit_until_it_is_reopened(
    load, healed, vendor, connection, warehouse, settings
):
    vendor.deliver("AAA", without=(12,))
    load()
    for day in range(3):
        planned, _, finished = healed(AFTER + timedelta(days=day), f"heal{day}")
        assert (planned.gaps, finished.still_missing) == (1, 1)
        assert finish_heal(warehouse, planned.spec, now=AFTER).still_missing == 0, "no attempt counts twice"
    planned = plan_heal(
        warehouse, "vn", "1d", run_id="rest", now=AFTER, source=vendor.source, settings=settings
    )
    assert (planned.gaps, planned.batches, planned.expected_bars) == (0, (), 0)
    assert gaps(connection) == [("AAA", 1, "provider empty", 3)]
    more = plan_heal(
        warehouse,
        "vn",
        "1d",
        run_id="more",
        now=AFTER,
        source=vendor.source,
        settings=settings,
        max_attempts=4,
    )
    assert more.gaps == 1


def test_a_week_without_deals_becomes_a_halt_when_healing_confirms_it(load, healed, vendor, connection):
    vendor.deliver("AAA", without=range(5, 11))
    load()
    assert gaps(connection) == [("AAA", 6, "provider empty", 0)]
    healed(AFTER, "heal1")
    assert gaps(connection) == [("AAA", 6, "halted", 1)]
    planned, *_ = healed(AFTER, "heal2")
    assert planned.gaps == 0, "confirmed: not asked for again"


def test_a_refused_row_rests_after_one_equal_answer_and_is_healed_when_it_is_reopened(
    load, healed, vendor, connection
):
    vendor.deliver("AAA", bad=(7,))
    load()
    assert gaps(connection) == [("AAA", 1, "fetch failed", 0)]
    healed(AFTER, "heal1")
    assert gaps(connection) == [("AAA", 1, "fetch failed", 1)], "still refused"
    vendor.deliver("AAA")
    planned, *_ = healed(AFTER, "heal2")
    assert (planned.gaps, planned.resting) == (0, 1), "the vendor stands by it"
    assert plan_lines(planned)[2] == (
        "1 gap rests: asked for often enough, and not again until `hypertape gaps reopen`."
    )
    reopen_gaps(connection, GapFilter())
    connection.commit()
    healed(AFTER, "heal3")
    assert gaps(connection) == []


def test_three_outages_do_not_end_healing(load, healed, vendor, connection):
    vendor.deliver("AAA", without=(12,))
    load()
    vendor.fail("AAA")
    for attempt in range(3):
        planned, result, finished = healed(AFTER, f"heal{attempt}")
        assert (planned.gaps, result.failed.keys(), finished.still_missing) == (1, {"AAA"}, 1)
    assert gaps(connection) == [("AAA", 1, "fetch failed", 0)]
    vendor.deliver("AAA")
    assert healed(AFTER, "heal3")[2].still_missing == 0
    assert gaps(connection) == []


def test_a_cut_first_answer_is_healed_and_a_late_listing_is_believed_then(load, healed, vendor, connection):
    """To the first run both look the same: the bars begin late."""
    vendor.deliver("AAA", without=range(14))
    vendor.deliver("BBB", without=range(14))
    load()
    assert gaps(connection) == [("AAA", 14, "provider empty", 0), ("BBB", 14, "provider empty", 0)]
    vendor.deliver("AAA")
    planned, result, _ = healed(AFTER, "heal1")
    assert [(list(batch.tickers), f"{batch.window.start:%Y-%m-%d}") for batch in planned.batches] == [
        (["AAA", "BBB"], "2024-03-04")
    ], "one request each, over the whole stretch"
    assert (result.counts["inserted"], result.failed) == (14, {})
    assert gaps(connection) == [("BBB", 14, "not listed", 0)]
    assert healed(AFTER, "heal2")[0].gaps == 0


def test_stored_bars_stay_as_they_are(load, healed, vendor, connection):
    vendor.deliver("AAA", without=(12,))
    load()
    stored = "select count(*) from bars.market_data_1d where ticker = 'AAA' and high = 11000"
    before = value(connection, stored)
    path = vendor.root / "AAA" / "1D.csv"
    vendor.deliver("AAA")
    path.write_text(path.read_text().replace(",11000,9000,", ",12000,8000,"))
    _, result, _ = healed(AFTER, "heal1")
    assert (result.counts["inserted"], result.counts["updated"]) == (1, 0)
    assert value(connection, stored) == before == len(DAYS) - 1


def test_an_excused_gap_fails_no_check_and_the_report_says_why_another_one_does(load, vendor, connection):
    for ticker in TICKERS:
        vendor.deliver(ticker, without=(8, 14) if ticker == "BBB" else (8,))
    found = load()
    assert found.quality.warnings == [f"sessions_complete (1, first BBB {DAYS[14]})"]
    assert {(ticker, reason) for ticker, _, reason, _ in gaps(connection)} == {
        *((ticker, "holiday") for ticker in TICKERS),
        ("BBB", "provider empty"),
    }
    assert ">provider empty</td>" in Path(found.after.published.report).read_text()


def test_the_report_says_where_the_ledger_counts_more_than_the_check(load, healed, vendor, connection):
    """The check looks between first and last bar; rows that were refused before the first are missing, too."""
    vendor.deliver("AAA", without=(12,), bad=(0, 1, 7))
    found = load()
    assert found.quality.warnings == [f"sessions_complete (2, first AAA {DAYS[7]})"]
    assert value(connection, "select sum(sessions) from gap where closed_at is null") == 4
    page = " ".join(Path(found.after.published.report).read_text().split())
    assert "The gap ledger has 2 sessions more before their ticker" in page
    assert found.after.published.gaps.open == {"provider empty": 1, "fetch failed": 3}
    assert found.after.published.gaps.refused == 3
    planned, *_ = healed(AFTER, "heal1")
    assert plan_lines(planned)[0] == "open sessions: 1 provider empty, 3 fetch failed (3 refused)"
    row = re.search(r">fetch failed</td>(.*?)<td class=\"t\"", page)
    assert re.findall(r">(\d+)<", row[1]) == ["2", "1", "3", "3", "2", "3"], (
        "gaps, tickers, bars, sessions, early, refused"
    )


def test_looking_for_gaps_without_a_run(load, vendor, warehouse, connection):
    vendor.deliver("AAA", without=(12,))
    load(check=False)
    assert gaps(connection) == [("AAA", 1, "provider empty", 0)], "a run without checks looks too"
    connection.execute("delete from gap")
    connection.execute("delete from gap_judged")
    connection.commit()
    counts = find_gaps(warehouse, "vn", "1d", now=AFTER)
    assert (counts.opened, counts.open) == (1, {"provider empty": 1})


@pytest.fixture
def verb(warehouse, monkeypatch, settings):
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    monkeypatch.setenv("HYPERTAPE_STATE_DIR", str(settings.state_dir))

    def run(*arguments):
        result = CliRunner().invoke(app, ["gaps", *arguments])
        return result, result.stdout

    return run


def test_the_verbs(verb, load, vendor, connection):
    vendor.deliver("AAA", without=(3, 12))
    load(check=False)
    options = ("-m", "vn", "-i", "1d")
    until = ("--start", FIRST.isoformat(), "--end", AFTER.isoformat())
    result, text = verb("find", *options, *until, "--json")
    assert result.exit_code == 0
    assert [line["open"] for line in json.loads(text)] == [{"provider empty": 2}]
    assert "2 provider empty" in verb("find", *options, *until)[1]
    strict, _ = verb("find", *options, *until, "--strict")
    assert "provider empty" in str(strict.exception)
    assert strict.exception.exit_code == 3
    listed = json.loads(verb("list", "--tickers", "AAA", "--json")[1])
    assert [(row["ticker"], row["sessions"], row["reason"]) for row in listed] == [
        ("AAA", 1, "provider empty")
    ] * 2
    assert "AAA" in verb("list", *options)[1]
    assert "AAA" not in verb("list", *options, "--reason", "holiday")[1]
    shown = verb("list", "--most", "1")
    assert "--most shows more" in shown[0].stderr
    assert verb("list", "--strict")[0].exception.exit_code == 3
    assert verb("list", "--reason", "lost")[0].exception.exit_code == 2


def test_the_verb_that_heals(verb, load, vendor, connection):
    vendor.deliver("AAA", without=(3, 12))
    load()
    ask = (
        "heal",
        "-m",
        "vn",
        "-i",
        "1d",
        "--source-dir",
        str(vendor.root),
        "--tickers",
        "AAA",
        "--reason",
        "provider empty",
    )
    result, text = verb(*ask, "--dry-run")
    assert result.exit_code == 0, result.exception
    assert "gaps," in text
    assert "2024-03-04" in text
    assert [row[3] for row in gaps(connection) if row[0] == "AAA"][:2] == [0, 0]
    vendor.deliver("AAA", without=(12,))
    result, text = verb(*ask)
    assert result.exit_code == 0, result.exception
    assert "2 gaps asked for, 1 of them still have no bars" in text.replace("\n", " ")
    for _ in range(2):
        assert verb(*ask)[0].exit_code == 0
    rests = "1 gap rests: asked for often enough, and not again until `hypertape gaps reopen`."
    for words in (("list",), (*ask, "--dry-run")):
        assert rests in verb(*words)[1].replace("\n", " "), words
    assert sum(row["rests"] for row in json.loads(verb("list", "--json")[1])) == 1
    assert isinstance(verb("reopen")[0].exception, BadInput), "which ones is to be said"
    assert verb("reopen", "--all")[0].exit_code == 0
    assert "rest" not in verb("list")[1]
    assert value(connection, "select sum(attempts) from gap where ticker = 'AAA' and closed_at is null") == 0
