"""Both reports: what they say, what they name, and that they need nothing but themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
import quality_lab as lab
from quality_lab import D1, MONDAY, PRICES, VN, Connection, edited, lone, scaled, without

from hypertape.errors import BadInput
from hypertape.model import utc
from hypertape.quality.results import QualityResult, record
from hypertape.quality.run import validate
from hypertape.reports.context import ReportContext
from hypertape.reports.pages import cumulative_report, run_report
from hypertape.warehouse.findings import Look, look
from hypertape.warehouse.ledger import register_calendar

RUN = "bars_vn_1d__manual__2024-02-13T09:00:00+00:00"
EVIL = "<script>alert(1)</script>"
_, WINDOW, NOW = lab.SPANS["vn", D1]

VOID = {"meta", "br", "hr"}
LEDGERS = ("finding", "load", "quarantine", "bar_revision", "rollup_pending", "restatement")


class Page(HTMLParser):
    """A report as a reader meets it: its text, its links, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def ledger(shared: Connection) -> Connection:
    for table in LEDGERS:
        shared.execute(f"delete from {table}")
    return shared


def load(connection: Connection, ticker: str, **values: Any) -> int:
    row = {"run_id": RUN, "market": "vn", "interval": "1d", "ticker": ticker, "source": "csv_tree"}
    row |= {
        "window_start": WINDOW.start,
        "window_end": WINDOW.end,
        "status": "loaded",
        "code_version": "0.1.0",
    }
    row |= {"fetched": 92, "inserted": 92, "expected": 92, "missing": 0} | values
    return insert(connection, "load", row, "returning load_id")


def refuse(connection: Connection, load_id: int, ticker: str, time: datetime, **values: Any) -> None:
    row = {
        "load_id": load_id,
        "run_id": RUN,
        "market": "vn",
        "interval": "1d",
        "ticker": ticker,
        "time": time,
    }
    row |= {"rule": "ohlc_order", "value": "high=1", "source": "csv_tree", "row_text": '{"high": 1}'} | values
    insert(connection, "quarantine", row)


def insert(connection: Connection, table: str, row: dict[str, Any], returning: str = "") -> Any:
    names = ", ".join(f'"{name}"' for name in row)
    values = ", ".join(f"%({name})s" for name in row)
    found = connection.execute(f"insert into {table} ({names}) values ({values}) {returning}", row)
    return found.fetchone()[0] if returning else None  # type: ignore[index]


def checked(connection: Connection, dsn: str, run_id: str = RUN) -> list[QualityResult]:
    register_calendar(connection, VN, WINDOW, NOW)
    results = validate(dsn, connection, VN, D1, WINDOW, run_id=run_id, now=NOW)
    record(connection, results)
    return results


def result(name: str, **values: Any) -> QualityResult:
    row = {"run_id": RUN, "market": "vn", "interval": "1d", "suite": "market_data_1d", "expectation": name}
    row |= {
        "description": "what it says",
        "severity": "critical",
        "status": "passed",
        "window": WINDOW,
    } | values
    return QualityResult(**row)


def looked(connection: Connection, at: datetime = NOW) -> Connection:
    """Look for what is wrong, as a run's tail does before its report."""
    with connection.transaction():
        look(connection, Look(at, RUN))
    return connection


# --- one run


def test_a_good_run_says_so(quality_warehouse: str, ledger: Connection) -> None:
    lab.store(ledger, VN, D1, lab.clean(VN, D1))
    for ticker in ("AAA", "BBB"):
        load(ledger, ticker)
    checked(ledger, quality_warehouse)

    page = Page(run_report(looked(ledger), RUN))

    assert "✓ Nothing is wrong that anybody knows of" in page.text
    assert "no ticker has bars of both intervals in the window" in page.text
    assert "Is every bar there? ✓ Yes" in page.text
    assert "Is every bar right? ✓ Yes" in page.text
    assert "No row was refused" in page.text
    assert "None: every rollup is as new as its bars" in page.text
    assert "csv_tree" in page.text
    assert "SYNTHETIC" not in page.text


def test_a_bad_run_names_every_offender(quality_warehouse: str, ledger: Connection) -> None:
    series = lab.clean(VN, D1)
    series["AAA"] = edited(edited(series["AAA"], scaled(1.3, -20, *PRICES)), without(-10))
    lab.store(ledger, VN, D1, series)
    lab.add(ledger, VN, D1, [lone(MONDAY + timedelta(hours=1), ticker="BAD")])  # off the grid: critical
    refuse(
        ledger, load(ledger, "AAA", quarantined=1, missing=1), "AAA", utc(2024, 1, 25), rule="negative_volume"
    )
    load(ledger, "CCC", status="failed", error="No data for CCC. Try another source.", inserted=0)
    checked(ledger, quality_warehouse)

    page = Page(run_report(looked(ledger), RUN))

    assert re.search(r"✕ The check \w+ of vn 1d fails 1 time: BAD, and \d other finding", page.text)
    assert "BAD · 2024-01-15" in page.text
    assert "close_jump" in page.text
    assert "What mends it: hypertape gaps heal -m vn -i 1d --tickers AAA" in page.text
    assert "What mends it: hypertape forget vn 1d --tickers BAD --no-dry-run" in page.text
    assert "What mends it: hypertape actions sync -m vn --tickers AAA" in page.text
    assert "hypertape validate" not in page.text
    assert "AAA · 2024-01-11" in page.text
    assert "1 by sessions_complete" in page.text
    assert "AAA 1 2024-01-25 2024-01-25 2024-01-25" in page.text
    assert "negative_volume" in page.text
    assert '{"high": 1}' in page.text
    assert "No data for CCC. Try another source." in page.text
    assert "1 loaded, 1 failed, 0 skipped" in page.text
    assert "91 of 92" in page.text


def test_a_rule_that_did_not_run_is_apart_from_bad_data(ledger: Connection) -> None:
    record(ledger, [result("averages", status="broken", error='column "ma10" does not exist')])

    page = Page(run_report(looked(ledger), RUN))

    assert "The check averages of vn 1d did not run" in page.text
    assert "Rules that did not run Nothing is known about what they would have looked at" in page.text
    assert 'column "ma10" does not exist' in page.text
    assert "This run loaded nothing: it only checked" in page.text


def test_restated_bars_show_before_and_now(ledger: Connection) -> None:
    lab.store(ledger, VN, D1, {"AAA": lab.clean(VN, D1)["AAA"]})
    stored = ledger.execute("select close from bars.market_data_1d where time = %s", (MONDAY,)).fetchone()
    first, second = load(ledger, "AAA", run_id="before"), load(ledger, "AAA", inserted=0, updated=1)
    ledger.execute(
        "insert into bar_revision (market, interval, ticker, time, open, high, low, close, volume, adjusted_close, "
        "load_id, replaced_by, valid_from, valid_to) "
        "select 'vn', '1d', ticker, time, open, high, low, 12345.75, volume, adjusted_close, %s, %s, "
        "'2024-01-16 00:00:00+00', '2024-02-01 00:00:00+00' from bars.market_data_1d where time = %s",
        (first, second, MONDAY),
    )

    page = Page(run_report(ledger, RUN))

    assert "The source changed 1 bar that was final" in page.text
    assert f"AAA 2024-01-15 close 12 345.75 {stored[0]:,.12g} 2024-01-16 2024-02-01" in page.text  # type: ignore[index]
    assert "AAA 1 2024-01-15 2024-01-15 close" in page.text


def test_a_row_refused_by_an_earlier_run_is_shown_with_its_first_time(ledger: Connection) -> None:
    refuse(ledger, load(ledger, "AAA", run_id="before"), "AAA", utc(2024, 1, 25), run_id="before")
    refuse(ledger, load(ledger, "BBB", run_id="before"), "BBB", utc(2024, 1, 25), run_id="before")
    load(ledger, "AAA", quarantined=1)
    load(ledger, "BBB")

    page = Page(run_report(ledger, RUN))

    assert "1 row in this run's windows could not be bars" in page.text
    assert "first refused" in page.text


def test_a_retried_ticker_counts_once_with_its_last_outcome(ledger: Connection) -> None:
    load(ledger, "AAA", status="failed", error="the source was down", fetched=0, inserted=0)
    load(ledger, "AAA", attempt=2)

    page = Page(run_report(ledger, RUN))

    assert "1 loaded, 0 failed, 0 skipped" in page.text
    assert "attempt 2" in page.text
    assert "the source was down" not in page.text


def test_waiting_rollups_and_open_gaps_are_listed(ledger: Connection) -> None:
    load_id = load(ledger, "AAA")
    ledger.execute(
        "insert into rollup_pending values (%s, 'vn', '1d', '2024-01-02 00:00:00+00', '2024-01-05 00:00:00+00')",
        (load_id,),
    )
    ledger.execute(
        "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run) values "
        "('vn', '1d', 'AAA', '2024-01-25 00:00:00+00', '2024-01-27 00:00:00+00', 2, 'provider empty', 'test')"
    )

    page = Page(run_report(ledger, RUN))

    assert "vn 1d 1 2024-01-02 2024-01-05" in page.text
    assert "vn 1d provider empty 1 1 2 1 1 0 2024-01-25" in page.text, "no series: before any bar"


def test_long_lists_are_cut_and_say_how_to_read_the_rest(ledger: Connection) -> None:
    for number in range(203):
        load_id = load(ledger, f"T{number:03}", quarantined=1)
        refuse(ledger, load_id, f"T{number:03}", MONDAY, row_text=f"row {number}")

    page = Page(run_report(ledger, RUN))

    assert page.text.count("3 more. All of them:") == 2
    assert f"select * from quarantine where run_id = '{RUN}'" in page.text
    assert "203 in all" in page.text


def test_an_unknown_run_is_refused(ledger: Connection) -> None:
    with pytest.raises(BadInput, match=r"No run 'nothing' in the ledger\. See"):
        run_report(ledger, "nothing")


# --- the warehouse


def test_the_cumulative_report_tells_freshness_coverage_and_trend(
    quality_warehouse: str, ledger: Connection
) -> None:
    series = lab.clean(VN, D1)
    series["BBB"] = edited(series["BBB"], without(*range(-12, -4)))
    lab.store(ledger, VN, D1, series)
    refuse(ledger, load(ledger, "AAA", inserted=1000), "AAA", MONDAY, value="high=1")
    load(ledger, "CCC", status="failed", error="gone", inserted=0)
    checked(ledger, quality_warehouse)
    now = newest(ledger)

    html = cumulative_report(looked(ledger, now), now=now)
    page = Page(html)

    assert "2 of 2 tickers of vn 1d are behind their calendar" in page.text
    assert re.search(
        r"vn 1d Vietnamese stocks 2 1 000 2023-01-03 2024-02-07 ! [\d ]+ sessions behind", page.text
    )
    assert "! 1 warning" in page.text
    cells = {title: value for title, value in cell_values(html).items() if "2024-01" in title}
    assert list(cells.items()) == [("BBB 2024-01: 15 of 22", "68"), ("AAA 2024-01: 22 of 22", "100")]
    assert "vn 1d, quarantined by day: 1 in all, most on" in page.text
    assert "CCC vn 1d 1 0 –" in page.text
    assert "BBB vn 1d 0 0 sessions_complete" in page.text
    assert "ohlc_order vn 1d 1 1" in page.text
    assert "AAA high=1" in page.text


def test_the_cumulative_report_says_what_to_do_and_what_has_changed(ledger: Connection) -> None:
    """A ticker whose load failed is a finding; a day later it is old, and once it is loaded it is over."""
    load(ledger, "CCC", status="failed", error="gone", inserted=0)
    (now,) = ledger.execute("select max(loaded_at) + interval '1 second' from load").fetchone()  # type: ignore[misc]
    page = Page(cumulative_report(looked(ledger, now), now=now)).text
    (title,) = re.findall(r"! warning ([^!]*?CCC[^!]*?) \(finding \d+, new\) hypertape ", page)
    later = now + timedelta(days=2)
    page = Page(cumulative_report(ledger, now=later)).text
    assert ": 0 new, none over." in page
    assert re.search(re.escape(title) + r" \(finding \d+\) hypertape ", page)
    load(ledger, "CCC", run_id="later", inserted=10)
    page = Page(cumulative_report(looked(ledger, later), now=later)).text
    (over,) = re.findall(r"\d+ over: (.*?)\.", page)
    assert title in over.split("; ")
    before = ReportContext(before=later - timedelta(minutes=1))
    page = Page(cumulative_report(ledger, now=later + timedelta(days=9), around=before)).text
    assert re.search(r"Since the report before, [-: \d]+: \d+ new, \d+ over: ", page)


def test_a_fresh_warehouse_is_told_in_sessions(quality_warehouse: str, ledger: Connection) -> None:
    lab.store(ledger, VN, D1, lab.clean(VN, D1))
    checked(ledger, quality_warehouse)

    page = Page(cumulative_report(looked(ledger), now=NOW))  # in the closure of Tet, days after the last bar

    assert "✓ Nothing is wrong that anybody knows of" in page.text
    assert "✓ up to date" in page.text


def test_markets_can_be_chosen(ledger: Connection) -> None:
    lab.store(ledger, VN, D1, lab.clean(VN, D1))
    lab.store(ledger, lab.US, D1, lab.clean(lab.US, D1))

    assert "us 1d" not in Page(cumulative_report(ledger, now=NOW, markets=["vn"])).text
    assert "us 1d" in Page(cumulative_report(ledger, now=NOW)).text


def test_trends_begin_where_asked(ledger: Connection) -> None:
    record(ledger, [result("ohlc_order", status="failed", unexpected=1)])
    now = newest(ledger)

    assert "vn 1d, critical by day: 1 in all" in Page(cumulative_report(ledger, now=now)).text
    assert "No check ran and no row was refused" in Page(cumulative_report(ledger, now=now, since=now)).text


def test_an_empty_warehouse_says_what_to_do(ledger: Connection) -> None:
    page = Page(cumulative_report(ledger, now=NOW))

    assert "The warehouse is empty" in page.text
    assert "hypertape sync" in page.text


def test_every_ticker_and_session_is_told_with_what_is_known_of_it(
    quality_warehouse: str, ledger: Connection
) -> None:
    series = lab.clean(VN, D1, ("AAA", "BBB", "CCC"))
    series["BBB"] = edited(series["BBB"], without(-3, -4, -5))
    lab.store(ledger, VN, D1, series)
    lab.add(ledger, VN, D1, [lone(WINDOW.start + timedelta(days=7), ticker="NEW", close=50.0)])
    refuse(ledger, load(ledger, "AAA", quarantined=1), "AAA", utc(2024, 2, 7), rule="ohlc_order")
    ledger.execute(
        "insert into gap (market, interval, ticker, start_time, end_time, bars, reason, found_run) values "
        "('vn', '1d', 'BBB', '2024-02-02', '2024-02-03', 1, 'provider empty', 'test'), "
        "('vn', '1d', 'BBB', '2024-02-05', '2024-02-06', 1, 'halted', 'test')"
    )
    checked(ledger, quality_warehouse)

    html = cumulative_report(ledger, now=NOW)
    cells = day_cells(html)

    assert cells["AAA 2024-02-07: 1 of 1; refused: ohlc_order"] == ("h5 flag-note", "q")
    assert cells["AAA 2024-02-06: 1 of 1"] == ("h5", "✓")
    assert cells["BBB 2024-02-02: 0 of 1; gap: provider empty; check: sessions_complete"] == (
        "h0 flag-note",
        "e",
    )
    assert cells["BBB 2024-02-05: 0 of 1; gap: halted"] == ("none", "s"), "excused, and no check fails for it"
    assert "Vietnamese stocks, 1d: 2 sessions missing" in Page(html).text
    assert 'href="#days-vn-1d-BBB"' in html
    assert 'href="#runs-vn-1d"' in html


def test_a_finding_that_a_later_run_took_back_is_told_no_more(ledger: Connection) -> None:
    lab.store(ledger, VN, D1, lab.clean(VN, D1))
    key = {"ticker": "AAA", "time": "2024-02-06"}
    record(ledger, [result("ohlc_order", run_id="first", status="failed", unexpected=1, sample=(key,))])
    assert day_cells(cumulative_report(ledger, now=NOW))["AAA 2024-02-06: 1 of 1; check: ohlc_order"] == (
        "h5 flag-bad", "✕",
    )  # fmt: skip
    record(ledger, [result("ohlc_order", run_id="second", status="passed", unexpected=0)])
    assert day_cells(cumulative_report(ledger, now=NOW))["AAA 2024-02-06: 1 of 1"] == ("h5", "✓")


def test_the_trend_of_failed_checks_goes_run_by_run(ledger: Connection) -> None:
    for number, offenders in enumerate((0, 1, 4, 7)):
        status = "failed" if offenders else "passed"
        record(ledger, [result("ohlc_order", run_id=f"run{number}", status=status, unexpected=offenders)])
    record(ledger, [result("key_unique", run_id="run3", status="broken", error="no such column")])

    page = Page(cumulative_report(ledger, now=newest(ledger)))

    assert "vn 1d, 4 runs" in page.text
    assert re.search(r"✕ ohlc_order rising ✓ 1 4 7", page.text)
    assert re.search(r"✕ key_unique steady ✓ ✓ ✓ \?", page.text)


def test_restatements_and_released_rows_are_counted(ledger: Connection) -> None:
    lab.store(ledger, VN, D1, lab.clean(VN, D1))
    refuse(ledger, load(ledger, "AAA", quarantined=2), "AAA", MONDAY, row_text="one")
    refuse(ledger, load(ledger, "AAA", quarantined=2), "AAA", MONDAY, row_text="two")
    ledger.execute("update quarantine set released_at = now(), outcome = 'loaded' where row_text = 'two'")
    ledger.execute(
        "insert into restatement (market, interval, ticker, source, state, direction, ratio, bars, first_changed, "
        "last_changed, compared_from, found_run, found_load) values ('vn', '1d', 'AAA', 'vci', 'reread', 'down', 0.5, "
        "200, '2023-01-03', '2024-02-07', '2024-01-25', 'test', 1)"
    )
    page = Page(cumulative_report(ledger, now=NOW))

    assert re.search(r"ohlc_order vn 1d 1 1 \S+ \S+ \S+ \S+ AAA .*?1 0 The rows themselves", page.text)
    assert "AAA vn 1d reread down ×0.5 200 2023-01-03 2024-02-07 vci" in page.text


def day_cells(html: str) -> dict[str, tuple[str, str]]:
    found = re.findall(r'<td class="([^"]+)" title="([^"]+)">([^<]+)</td>', html)
    return {title: (classes, text) for classes, title, text in found}


def newest(connection: Connection) -> datetime:
    """A moment after everything the ledgers recorded."""
    (found,) = connection.execute("select max(checked_at) from quality_result").fetchone()  # type: ignore[misc]
    assert isinstance(found, datetime)
    return found + timedelta(seconds=1)


def cell_values(html: str) -> dict[str, str]:
    return dict(re.findall(r'<td class="h\d" title="([^"]+)">(\d+)</td>', html))


# --- both, as files


def hostile(connection: Connection, dsn: str) -> Sequence[str]:
    """Both reports over a warehouse whose every text tries to be markup."""
    lab.store(connection, VN, D1, lab.clean(VN, D1, ("AAA", EVIL)))
    lab.add(connection, VN, D1, [lone(MONDAY, ticker=f"{EVIL}2", close=12.0)])
    load(connection, EVIL, source="sample")
    load_id = load(connection, EVIL, quarantined=1, source="sample", status="failed", error=EVIL)
    refuse(connection, load_id, EVIL, MONDAY, rule=EVIL, value=EVIL, row_text=EVIL, source=EVIL)
    checked(connection, dsn)
    record(connection, [result("broken", status="broken", error=EVIL, description=EVIL)])
    record(
        connection, [result("named", status="failed", unexpected=1, sample=({"ticker": EVIL, "why": EVIL},))]
    )
    return run_report(connection, RUN), cumulative_report(connection, now=newest(connection))


def test_nothing_from_outside_becomes_markup(quality_warehouse: str, ledger: Connection) -> None:
    for html in hostile(ledger, quality_warehouse):
        page = Page(html)

        assert "<script" not in html
        assert EVIL in page.text
        assert page.open == []


def test_a_report_needs_nothing_but_itself(quality_warehouse: str, ledger: Connection) -> None:
    for html in hostile(ledger, quality_warehouse):
        page = Page(html)

        assert re.findall(r"(?:https?:)?//[a-z]", html) == []
        assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
        assert re.findall(r"@import|url\(", html) == []
        assert "default-src 'none'" in html


def test_a_report_can_be_read_without_a_mouse_or_eyes(quality_warehouse: str, ledger: Connection) -> None:
    for html in hostile(ledger, quality_warehouse):
        page = Page(html)
        anchors = {attributes.get("id") for _, attributes in page.tags}

        assert page.named("html")[0]["lang"] == "en"
        assert all(str(link["href"])[1:] in anchors for link in page.named("a"))
        assert all(row.get("scope") for row in page.named("th"))
        assert [
            box
            for box in page.named("div")
            if "scroll" in str(box.get("class")) and not box.get("aria-label")
        ] == []
        assert len(page.named("title")) >= 1
        assert "prefers-color-scheme: dark" in html
        assert "@media print" in html


def test_synthetic_data_is_labelled_wherever_it_shows(quality_warehouse: str, ledger: Connection) -> None:
    for html in hostile(ledger, quality_warehouse):
        assert Page(html).text.startswith(("✕", "?", "!", "✓"))
        assert "SYNTHETIC SAMPLE DATA" in Page(html).text


def test_one_series_of_the_sample_leaves_its_neighbours_real(ledger: Connection) -> None:
    lab.store(ledger, VN, D1, lab.clean(VN, D1, ("AAA", "BBB", "CCC")))
    for ticker, source in (("AAA", "sample"), ("BBB", "csv_tree")):
        load(ledger, ticker, source=source)
    run = Page(run_report(ledger, RUN)).text
    whole = Page(cumulative_report(ledger, now=NOW)).text
    assert "SYNTHETIC SAMPLE DATA in 1 of 2 loads (AAA): made by" in run
    assert "SYNTHETIC SAMPLE DATA in vn 1d: 1 of 3 tickers (AAA): made by" in whole
