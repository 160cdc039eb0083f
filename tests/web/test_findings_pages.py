"""Findings, conditions and provisional bars on the pages: who may write puts a finding away, a reader does not."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from alone_lab import NOW, add_result, add_series, app_on_a_port, filled, picture, window
from playwright.sync_api import Browser, expect
from typer.testing import CliRunner

from hypertape.cli import app
from hypertape.errors import SourceUnavailable
from hypertape.markets import get_market
from hypertape.model import Interval, Window, utc
from hypertape.reports.pages import cumulative_report, run_report
from hypertape.settings import Settings, load_settings
from hypertape.steps.findings import watch
from hypertape.steps.notify import tell
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Look, findings, look
from hypertape.warehouse.loading.load import LoadRequest, record_failures
from message_hook import Hook

pytestmark = [pytest.mark.database, pytest.mark.timeout(300)]

OUT = "yahoo does not answer: 30 tickers of us 1d not loaded"
REASON = "the vendor is told; <b>back on Monday</b>"


def outage(dsn: str) -> None:
    """A vendor that is away, a check that fails, and a market that nobody checked."""
    tickers = [f"LONGNAME{number:02d}" for number in range(30)]
    add_series(dsn, "us", "1d", tickers)
    add_series(dsn, "crypto", "1h", ["BTC"])
    add_result(
        dsn, "us", "1d", "bars_us_1d__lab", status="failed", severity="warning", expectation="close_jump"
    )
    request = LoadRequest(get_market("us"), Interval.D1, "lab", "yahoo", Window(utc(2025), NOW), NOW)
    with connect(dsn) as connection:
        record_failures(connection, dict.fromkeys(tickers, SourceUnavailable("no route to host")), request)
        connection.commit()
        look(connection, Look(NOW, "lab"))
        connection.commit()


def test_what_acts_comes_first_and_one_cause_is_one_line(browser: Browser, warehouse: str) -> None:
    outage(warehouse)
    with app_on_a_port(warehouse) as url, window(browser, width=1280) as page:
        page.goto(f"{url}/pages/markets")
        filled(page)
        (row,) = page.get_by_role("region", name="Failures", exact=True).locator("tbody tr").all()
        expect(row).to_contain_text("no route to host")
        expect(row).to_contain_text("30 tickers: LONGNAME29, ")
        href = row.get_by_role("link", name="backfill").get_attribute("href")
        assert href is not None
        (asked,) = parse_qs(urlsplit(href).query)["tickers"]
        assert len(asked.split(",")) == 30
        acting = page.get_by_role("link", name=re.compile("^(backfill|heal)$")).all()
        assert len(acting) == 5, "two for each of two series, one for the cause"
        for link in acting:
            box = link.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 1280, "clipped"
        first = page.locator("#freshness thead th").all_inner_texts()
        assert first[:3] == ["Market", "Interval", "Act"]


def state_of(dsn: str) -> Any:
    with connect(dsn) as connection:
        (found,) = findings(connection, NOW, kinds=["source"])
    return found


def test_a_finding_is_put_away_and_taken_back(browser: Browser, warehouse: str) -> None:
    outage(warehouse)
    with app_on_a_port(warehouse) as url, window(browser) as page:
        page.goto(f"{url}/pages/markets")
        filled(page)
        verdict = page.locator("#verdict .verdict strong")
        expect(verdict).to_contain_text(OUT)
        row = page.get_by_role("region", name="Findings", exact=True).locator("tbody tr", has_text=OUT)
        row.get_by_role("button", name="Acknowledge").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(OUT)
        expect(dialog.locator("[name=reason]")).to_be_focused()
        dialog.get_by_role("button", name="Acknowledge").click()
        expect(dialog).to_be_visible()  # without a reason it is not sent
        dialog.locator("[name=reason]").fill(REASON)
        dialog.locator("[name=until]").fill("2025-06-30")
        dialog.get_by_role("button", name="Acknowledge").click()
        expect(dialog).to_be_visible()  # nor with a time that is over
        picture(page, "findings-acknowledge")
        dialog.locator("[name=until]").fill("2025-07-08")
        dialog.get_by_role("button", name="Acknowledge").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(verdict).to_contain_text("The check close_jump of us 1d fails")
        expect(row).to_have_count(0)
        found = state_of(warehouse)
        assert (found.state, found.acknowledged_by, found.acknowledged_reason) == (
            "acknowledged",
            "lab",
            REASON,
        )
        assert found.acknowledged_until == utc(2025, 7, 8)
        away = page.locator("#acknowledged")
        expect(away.locator("summary")).to_have_text("1 finding is acknowledged and may wait")
        away.locator("summary").click()
        expect(away.locator("tbody tr")).to_contain_text(REASON)
        away.get_by_role("button", name="Reopen").click()
        expect(verdict).to_contain_text(OUT)
        expect(page.locator("#acknowledged")).to_have_count(0)
        assert state_of(warehouse).state == "open"


@pytest.mark.parametrize("of", ["markets", "quality"])
def test_who_may_only_read_sees_why_and_no_button(browser: Browser, warehouse: str, of: str) -> None:
    outage(warehouse)
    with connect(warehouse) as connection:
        number = state_of(warehouse).finding_id
        connection.execute(
            "update finding set acknowledged_at = %s, acknowledged_by = 'ann', acknowledged_reason = 'known', "
            "acknowledged_fingerprint = fingerprint where finding_id = %s",
            (NOW, number),
        )
    with app_on_a_port(warehouse, writing=False) as url, window(browser) as page:
        page.goto(f"{url}/pages/{of}")
        filled(page)
        expect(page.locator("#findings tbody tr").first).to_contain_text("close_jump")
        expect(page.locator("#acknowledged tbody tr")).to_contain_text("known")
        for name in ("Acknowledge", "Reopen"):
            assert (
                page.locator("#findings").get_by_role("button", name=name, include_hidden=True).count() == 0
            )
        answer = page.request.post(f"{url}/findings/{number}/reopen", headers={"Origin": url})
        assert (answer.status, state_of(warehouse).state) == (403, "acknowledged")


OUTAGE = "yahoo does not answer: 500 tickers of us 1d not loaded"


def test_an_outage_of_three_days_is_two_messages_one_finding_and_one_headline_everywhere(
    browser: Browser, warehouse: str, hook: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Of 500 tickers no answer comes, day by day: report, pages, API, doctor and messages have the same words."""
    tickers = [f"T{number:03d}" for number in range(500)]
    began, settings = NOW - timedelta(days=3), load_settings(state_dir=tmp_path, notify=hook.address)
    add_series(warehouse, "us", "1d", tickers)
    add_result(warehouse, "us", "1d", "before")
    loaded(warehouse, tickers, began, "before")
    for hours in range(0, 72, 8):
        at = began + timedelta(hours=hours + 1)
        if hours % 24 == 0:
            no_answer(warehouse, tickers, at, f"day-{hours // 24}")
        look_and_tell(warehouse, at, settings)
    with connect(warehouse) as connection:
        reports = [cumulative_report(connection, now=NOW), run_report(connection, "day-2")]
    said = [
        html.unescape(re.findall(r'class="verdict .*?<strong>(.*?)</strong>', each, re.S)[0])
        for each in reports
    ]
    monkeypatch.setenv("HYPERTAPE_DATABASE_URL", warehouse)
    doctor = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    said += [row["finding"] for row in doctor if row["what"] == "data"]
    with app_on_a_port(warehouse) as url, window(browser) as page:
        said.append(page.request.get(f"{url}/findings").json()["headline"]["text"])
        said.append(page.request.get(f"{url}/overview").json()["headline"]["text"])
        for name in ("markets", "quality", "quality?ledger_run=day-2"):
            page.goto(f"{url}/pages/{name}")
            filled(page)
            said.append(page.locator("#verdict strong").inner_text())
    assert said == [OUTAGE] * 8
    loaded(warehouse, tickers, NOW, "after")
    for hours in range(1, 4):
        look_and_tell(warehouse, NOW + timedelta(hours=hours), settings)
    assert hook.titles == [f"hypertape critical: {OUTAGE}", f"hypertape over: {OUTAGE}"]
    with connect(warehouse) as connection:
        (found,) = findings(connection, NOW, closed=True)
    assert (found.title, found.times, len(found.tickers), found.state) == (
        OUTAGE, 10, 500, "closed",  # nine looks by the clock, and doctor's
    )  # fmt: skip


def no_answer(dsn: str, tickers: list[str], at: datetime, run: str) -> None:
    request = LoadRequest(get_market("us"), Interval.D1, run, "yahoo", Window(utc(2025), at), at)
    with connect(dsn) as connection:
        record_failures(connection, dict.fromkeys(tickers, SourceUnavailable("no route to host")), request)
        connection.execute("update load set loaded_at = %s where run_id = %s", (at, run))
        connection.commit()


def loaded(dsn: str, tickers: list[str], at: datetime, run: str) -> None:
    """Note loads that brought every ticker up to date."""
    with connect(dsn) as connection:
        connection.execute(
            "insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, "
            "code_version, loaded_at) select %s, 'us', '1d', ticker, 'yahoo', '2025-06-01', %s, 'loaded', 'lab', %s "
            "from unnest(%s::text[]) as ticker",
            (run, at, at, tickers),
        )
        connection.execute(
            "update series set last_time = date_trunc('day', %s::timestamptz, 'UTC') - interval '1 day'",
            (at,),
        )
        connection.execute(ENDS)
        connection.commit()


ENDS = """
insert into bars.us_data_1d (ticker, time, open, high, low, close, volume, load_id)
select ticker, time, 1, 1, 1, 1, 1, 0 from series cross join unnest(array[first_time, last_time]) as time
where market = 'us' and interval = '1d'
on conflict do nothing
"""
"""The first and the last bar of each series, which doctor compares with what `series` says."""


def look_and_tell(dsn: str, at: datetime, settings: Settings) -> None:
    """What the DAG watch_warehouse does."""
    watch(dsn, f"watch {at}", now=at, settings=settings, thorough=False)
    tell(dsn, now=at, settings=settings)


@pytest.fixture(scope="module")
def running(new_warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The sample's daily bars, the last of which was open when it was asked for, and a flagged one; and the pages."""
    settings = load_settings(state_dir=tmp_path_factory.mktemp("state"))
    with new_warehouse() as dsn:
        sync(dsn, "vn", "1d", now=NOW, end=NOW, source={"name": "sample"}, settings=settings)
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "insert into bar_flag (market, interval, ticker, time, rule, value, load_id) "
                "values ('vn', '1d', 'SYNBANK', '2025-06-25', 'ohlc_order', '', 1)"
            )
            connection.execute("update series set provisional_time = last_time where ticker = 'SYNBANK'")
        with app_on_a_port(dsn) as url:
            yield dsn, url


def test_a_ticker_shows_what_is_provisional_and_the_condition_of_its_sessions(
    browser: Browser, running: tuple[str, str]
) -> None:
    with window(browser) as page:
        page.goto(f"{running[1]}/pages/ticker?market=vn&symbol=SYNBANK&limit=100")
        filled(page)
        said = page.locator("#readout")
        expect(said).to_contain_text("2025-06-30")
        expect(said).to_contain_text("provisional")
        expect(page.locator("#condition-counts")).to_contain_text("1 degraded")
        expect(page.locator("#condition-counts")).to_contain_text("2 pending")
        rows = page.locator("#condition tbody tr")
        expect(rows.filter(has_text="2025-06-25")).to_contain_text("flagged: ohlc_order")
        expect(rows.filter(has_text="2025-06-30")).to_contain_text("its last bar is provisional")
        expect(rows.filter(has_text="2025-07-01")).to_contain_text("within what its market allows")
        page.locator("#chart").focus()
        page.locator("#chart").press("ArrowLeft")
        expect(said).to_contain_text("available")
        expect(said).not_to_contain_text("provisional")
        page.locator("#table-box summary").click()
        expect(page.locator("#table tbody tr").first).to_contain_text("provisional")
        expect(page.locator("#table tbody tr").nth(1)).not_to_contain_text("provisional")
        page.locator(".choice label", has_text="1W").click()
        expect(page.locator("#title")).to_have_text("SYNBANK · 1W")
        expect(said).to_contain_text("provisional")
        expect(said).not_to_contain_text("session ")


def test_the_map_of_coverage_says_which_sessions_are_degraded(
    browser: Browser, running: tuple[str, str]
) -> None:
    with window(browser) as page:
        page.goto(f"{running[1]}/pages/markets")
        filled(page)
        cell = page.locator("#heat tbody tr", has_text="SYNBANK").get_by_title("SYNBANK 2025-06-25")
        expect(cell).to_have_text("!")
        assert "degraded: flagged: ohlc_order" in (cell.get_attribute("title") or "")


CLIPPED = """
() => [document.documentElement, ...document.querySelectorAll('main *')]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0)
  .filter((each) => !each.closest('.scroll, .chart, .choice, select, textarea, input'))
  .map((each) => `${each.tagName} ${each.id} ${each.className}: ${each.textContent.slice(0, 60)}`)
"""
"""What is wider than its place outside of what scrolls."""

BEYOND = """
() => [...document.querySelectorAll('.scroll')]
  .filter((each) => !each.matches('#heat') && each.scrollWidth > each.clientWidth + 1)
  .map((each) => `${each.getAttribute('aria-label')}: ${each.scrollWidth} in ${each.clientWidth}`)
"""
"""Tables that one has to scroll sideways."""


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1440, "light"),
        pytest.param(
            1440, "dark", marks=pytest.mark.thorough
        ),  # in every run each of both with one of the others
        pytest.param(1280, "light", marks=pytest.mark.thorough),
        (1280, "dark"),
    ],
)
def test_nothing_is_clipped_with_findings_open(
    browser: Browser, running: tuple[str, str], width: int, scheme: str
) -> None:
    dsn, url = running
    outage_once(dsn)
    with window(browser, scheme, width) as page:
        for name in ("markets", "quality", "ticker?market=vn&symbol=SYNBANK&limit=100"):
            page.goto(f"{url}/pages/{name}")
            filled(page)
            picture(page, f"findings-{name.partition('?')[0]}-{width}-{scheme}")
            assert page.evaluate(CLIPPED) == [], name
            assert page.evaluate(BEYOND) == [], name


def outage_once(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        there = connection.execute("select exists (select from finding where kind = 'source')").fetchone()
    if there == (False,):
        outage(dsn)
        with connect(dsn) as connection:
            look(connection, Look(NOW + timedelta(hours=1), "lab"))
            connection.commit()
