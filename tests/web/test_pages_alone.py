"""The pages on warehouses that an Airflow of the demo never has: large ones, unchecked ones, oddly named runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from alone_lab import NOW, add_load, add_result, add_series, app_on_a_port, filled, picture, window
from playwright.sync_api import Browser, expect

from hypertape.settings import load_settings
from hypertape.steps.sync import sync
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Look, look

pytestmark = [pytest.mark.database, pytest.mark.timeout(300)]

TICKERS = [f"T{k:04}" for k in range(60)]


# --- large markets


def test_a_market_of_many_minute_series_has_its_ticker_page(browser: Browser, warehouse: str) -> None:
    """A year of forty tickers' minutes is more than may be counted; their names are no count."""
    add_series(warehouse, "crypto", "1m", TICKERS)
    with psycopg.connect(warehouse) as connection:
        connection.execute(
            "insert into bars.crypto_data_1m (ticker, time, open, high, low, close, volume, load_id) "
            "select 'T0000', at, 1, 2, 1, 1.5, 3, 1 from "
            "generate_series('2025-06-30 00:00+00', '2025-06-30 03:00+00', interval '1 minute') as at"
        )
    with app_on_a_port(warehouse) as url, window(browser) as page:
        filled_page = page.goto(f"{url}/pages/ticker?market=crypto&interval=1m")
        assert filled_page is not None
        filled(page)
        assert page.locator("#symbols option").count() == len(TICKERS)
        expect(page.locator("[name=symbol]")).to_have_value("T0000")
        expect(page.locator("#title")).to_have_text("T0000 · 1m")
        expect(page.locator("#readout b").first).to_have_text("2025-06-30 03:00 UTC")
        assert page.locator(".state.bad").count() == 0


def test_a_list_that_is_too_long_is_searched_while_one_types(browser: Browser, warehouse: str) -> None:
    add_series(warehouse, "crypto", "1d", [f"A{k:04}" for k in range(5000)] + ["ZLAST"])
    with app_on_a_port(warehouse) as url, window(browser) as page:
        page.goto(f"{url}/pages/ticker?market=crypto")
        filled(page)
        assert page.locator("#symbols option").count() == 5000
        page.locator("[name=symbol]").press_sequentially("zla")
        page.locator("[name=symbol]").fill("zla")
        expect(page.locator("#symbols option")).to_have_count(1)
        assert page.locator("#symbols option").get_attribute("value") == "ZLAST"


@pytest.fixture
def large(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A market of which twenty of its sixty tickers can be counted at a time, the last ones with gaps."""
    monkeypatch.setattr("hypertape.api.routes.coverage.MOST_COUNTS", 38 * 20)
    add_series(warehouse, "crypto", "1d", TICKERS)
    with psycopg.connect(warehouse) as connection:
        for ticker, days in (("T0059", 9), ("T0042", 4)):
            connection.execute(
                "insert into gap (market, interval, ticker, start_time, end_time, sessions, bars, reason, found_run) "
                "values ('crypto', '1d', %s, '2025-06-10', timestamptz '2025-06-10' + %s * interval '1 day', %s, %s, "
                "'provider empty', 'lab')",
                (ticker, days, days, days),
            )
    return warehouse


def test_the_heat_map_of_a_large_market_is_counted_in_parts(browser: Browser, large: str) -> None:
    with app_on_a_port(large) as url, window(browser) as page:
        page.goto(f"{url}/pages/markets")
        filled(page)
        names = page.locator("#heat tbody th")
        assert names.all_inner_texts() == ["T0042", "T0059"], "the ledger knows who lacks most"
        assert page.locator("#heat tbody tr", has_text="T0059").get_by_text("P", exact=True).count() == 9
        part = page.locator("#cover-part")
        expect(part).to_contain_text("2 of 60 tickers are counted: those with the most in the gap ledger.")
        picture(page, "markets-large")
        page.locator("[name=like]").fill("t003")
        expect(part).to_contain_text("10 of 60 tickers are counted.")
        assert sorted(names.all_inner_texts()) == TICKERS[30:40]
        page.locator("[name=like]").fill("nope")
        expect(page.locator("#cover .state")).to_contain_text("No ticker contains")


def test_the_tickers_that_follow_are_counted_on_request(browser: Browser, large: str) -> None:
    with app_on_a_port(large) as url, window(browser) as page:
        page.goto(f"{url}/pages/markets")
        filled(page)
        page.select_option("[name=order]", "name")
        part, names = page.locator("#cover-part"), page.locator("#heat tbody th")
        for counted in (20, 40, 60):
            expect(part).to_contain_text(f"{counted} of 60 tickers are counted: the first by name.")
            if counted < 60:
                part.get_by_role("button", name="Count more").click()
        assert names.all_inner_texts() == TICKERS
        assert part.get_by_role("button").count() == 0


# --- the verdict of Markets

PASSED: list[dict[str, str]] = [{}]
WELL = "Nothing is wrong that anybody knows of"
VERDICTS: list[tuple[str, list[dict[str, str]], str, str, str]] = [
    ("never checked", [], "note", "Nothing of crypto 1d was ever checked", "never checked"),
    ("a critical rule did not run", [*PASSED, {"status": "broken", "error": "boom", "expectation": "x"}], "bad",
     "The check x of crypto 1d did not run", "1 rule did not run"),
    ("only a status that says nothing", [{"status": "not_evaluated"}], "note", "Nothing of crypto 1d was ever checked",
     "1 not evaluated"),
    ("one beside passed checks", [*PASSED, {"status": "not_evaluated", "expectation": "x"}], "good", WELL,
     "1 passed, 1 not evaluated"),
    ("a critical check fails", [*PASSED, {"status": "failed", "expectation": "x"}], "bad",
     "The check x of crypto 1d fails", "1 critical"),
    ("a warning", [*PASSED, {"status": "failed", "severity": "warning", "expectation": "x"}], "note",
     "The check x of crypto 1d fails", "1 warning"),
    ("all passed", PASSED, "good", WELL, "all 1 passed"),
]  # fmt: skip


def look_now(dsn: str) -> None:
    """Look for what is wrong, as runs and the clock do."""
    with connect(dsn) as connection:
        look(connection, Look(NOW, "lab"))


@pytest.mark.parametrize(
    ("what", "results", "level", "said", "why"), VERDICTS, ids=[row[0] for row in VERDICTS]
)
def test_markets_calls_good_only_what_was_proven(
    browser: Browser,
    warehouse: str,
    what: str,
    results: list[dict[str, str]],
    level: str,
    said: str,
    why: str,
) -> None:
    add_series(warehouse, "crypto", "1d", ["BTC"])
    with psycopg.connect(warehouse) as connection:  # a later version's status is not this version's
        connection.execute("alter table quality_result drop constraint if exists quality_result_status_check")
    for result in results:
        add_result(warehouse, "crypto", "1d", "bars_crypto_1d__lab", **result)
    look_now(warehouse)
    with app_on_a_port(warehouse) as url, window(browser) as page:
        page.goto(f"{url}/pages/markets")
        filled(page)
        verdict = page.locator("#verdict .verdict")
        expect(verdict).to_have_class(re.compile(rf"\b{level}\b"))
        expect(verdict).to_contain_text(said)
        shown = page.locator("#verdict").inner_text() + page.locator("#freshness").inner_text()
        assert why in " ".join(shown.split()), shown


def test_one_checked_place_does_not_speak_for_another(browser: Browser, warehouse: str) -> None:
    for interval in ("1d", "1h"):
        add_series(warehouse, "crypto", interval, ["BTC"])
    add_result(warehouse, "crypto", "1d", "bars_crypto_1d__lab")
    look_now(warehouse)
    with app_on_a_port(warehouse) as url, window(browser, "dark") as page:
        page.goto(f"{url}/pages/markets")
        filled(page)
        expect(page.locator("#verdict")).to_contain_text("Nothing of crypto 1h was ever checked")
        expect(page.locator("#findings")).to_contain_text("hypertape validate -m crypto -i 1h")
        picture(page, "markets-unchecked-dark")


def test_nor_does_it_on_the_quality_page(browser: Browser, warehouse: str) -> None:
    for interval in ("1d", "1h"):
        add_series(warehouse, "crypto", interval, ["BTC"])
    add_result(warehouse, "crypto", "1d", "bars_crypto_1d__lab")
    look_now(warehouse)
    with app_on_a_port(warehouse) as url, window(browser) as page:
        page.goto(f"{url}/pages/quality")
        filled(page)
        expect(page.locator("#verdict .verdict.note")).to_contain_text(
            "Nothing of crypto 1h was ever checked"
        )
        add_result(warehouse, "crypto", "1h", "bars_crypto_1h__lab")
        look_now(warehouse)
        page.reload()
        filled(page)
        expect(page.locator("#verdict .verdict.good")).to_contain_text(WELL)


# --- the chart, by ear and in two themes


@pytest.fixture(scope="module")
def sampled(new_warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the pages over the sample's daily bars."""
    settings = load_settings(state_dir=tmp_path_factory.mktemp("state"))
    with new_warehouse() as dsn:
        sync(dsn, "vn", "1d", now=NOW, end=NOW, source={"name": "sample"}, settings=settings)
        with app_on_a_port(dsn) as url:
            yield url


def test_a_screen_reader_is_told_the_bar_that_keys_move_to(browser: Browser, sampled: str) -> None:
    with window(browser) as page:
        page.goto(f"{sampled}/pages/ticker?market=vn&symbol=SYNBANK")
        filled(page)
        said = page.locator("#readout")
        chart = page.locator("#chart")
        chart.focus()
        dates = []
        for key in ("End", "ArrowLeft", "ArrowLeft", "Home"):
            chart.press(key)
            expect(said).to_have_attribute("aria-live", "polite")
            dates.append(said.locator("b").first.inner_text())
        assert dates == sorted(set(dates), reverse=True)
        assert said.get_attribute("aria-atomic") == "true"
        for x in (760, 780):
            chart.hover(position={"x": x, "y": 100})
        expect(said).to_have_attribute("aria-live", "off")
        chart.press("ArrowRight")
        expect(said).to_have_attribute("aria-live", "polite")


PAPER = (
    "(wanted) => document.querySelector('#chart canvas').getContext('2d').getImageData(4, 4, 1, 1).data"
    ".slice(0, 3).join() === wanted"
)
"""Whether the chart's paper has a colour."""

CARD = {"light": "255,255,255", "dark": "28,34,37"}


def test_the_chart_follows_the_systems_theme(browser: Browser, sampled: str) -> None:
    with window(browser) as page:
        page.goto(f"{sampled}/pages/ticker?market=vn&symbol=SYNBANK&at=2025-03-03")
        filled(page)
        before = [page.locator(each).inner_text() for each in ("#readout", "#origin", "#marks")]
        picture(page, "ticker-alone-light")
        for scheme in ("dark", "light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(PAPER, arg=CARD[scheme])
        picture(page, "ticker-alone-dark")
        assert [page.locator(each).inner_text() for each in ("#readout", "#origin", "#marks")] == before


def test_the_chart_follows_the_switch_of_the_window_around_it(browser: Browser, sampled: str) -> None:
    page_of = "/pages/ticker?market=vn&symbol=SYNBANK"
    outside = f'<!doctype html><html class="light"><iframe width="1200" height="900" src="{page_of}">'
    with window(browser) as page:
        page.route("**/outside", lambda route: route.fulfill(body=outside, content_type="text/html"))
        page.goto(f"{sampled}/outside")
        (frame,) = page.main_frame.child_frames
        frame.wait_for_selector("#chart canvas")
        frame.wait_for_function(PAPER, arg=CARD["light"])
        page.evaluate("document.documentElement.className = 'dark'")
        frame.wait_for_function(PAPER, arg=CARD["dark"])


# --- names of runs

JANUARY = "manual__2024-01-05T08:30:00+00:00"
RUNS: list[tuple[str | None, list[list[Any]], str]] = [
    ("bars_vn_1d__demo", [["bars_vn_1d", "demo", 0]], "a run with a name"),
    (f"bars_vn_1d__{JANUARY}", [["bars_vn_1d", JANUARY, 0]], "Airflow's"),
    (f"bars_vn_1d__{JANUARY}__2", [["bars_vn_1d", JANUARY, 1]], "cleared"),
    (
        "our__bars__scheduled__2024-01-05__3",
        [["our__bars", "scheduled__2024-01-05", 2]],
        "a DAG id with the sign",
    ),
    (
        "bars_vn_1d__nightly__12",
        [["bars_vn_1d", "nightly__12", 0], ["bars_vn_1d", "nightly", 11], ["bars_vn_1d__nightly", "12", 0]],
        "three readings",
    ),
    (
        "bars_vn_1d__manual__12",
        [["bars_vn_1d", "manual__12", 0], ["bars_vn_1d", "manual", 11]],
        "almost Airflow's",
    ),
    ("a__nightly__01", [["a", "nightly__01", 0], ["a__nightly", "01", 0]], "no count begins with a nought"),
    ("sync__20250101T000000_abcd", [], "the command line's"),
    ("lab", [], "nobody's"),
    (None, [], "none"),
]


def test_a_ledgers_run_id_is_read_in_every_way_it_may_be_meant(browser: Browser, sampled: str) -> None:
    with window(browser) as page:
        page.goto(f"{sampled}/pages/markets")
        read = (
            "async (name) => (await import('/pages/files/runs.js')).dagRuns(name)"
            ".map(({ dag, run, cleared }) => [dag, run, cleared])"
        )
        for name, expected, reason in RUNS:
            assert page.evaluate(read, name) == expected, reason


@pytest.mark.parametrize(
    ("name", "there", "path"),
    [
        ("bars_vn_1d__nightly__12", "bars_vn_1d/dagRuns/nightly__12", "/dags/bars_vn_1d/runs/nightly__12"),
        ("bars_vn_1d__nightly__2", "bars_vn_1d/dagRuns/nightly", "/dags/bars_vn_1d/runs/nightly"),
        ("our__bars__one", "our__bars/dagRuns/one", "/dags/our__bars/runs/one"),
    ],
)
def test_where_several_runs_may_be_meant_airflow_says_which_there_is(
    browser: Browser, warehouse: str, name: str, there: str, path: str
) -> None:
    """Airflow's own API is played here; tests of the pages inside Airflow follow the usual names."""
    add_series(warehouse, "vn", "1d", ["VCB"])
    with psycopg.connect(warehouse) as connection:
        connection.execute(
            "insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, "
            "code_version) values (%s, 'vn', '1d', 'VCB', 'lab', now(), now(), 'loaded', '0')",
            (name,),
        )
    with app_on_a_port(warehouse) as url, window(browser) as page:
        page.route(
            "**/api/v2/dags/**",
            lambda route: route.fulfill(
                status=200 if route.request.url.endswith(f"/{there}") else 404, body="{}"
            ),
        )
        page.route("**/dags/*/runs/**", lambda route: route.fulfill(body="Airflow's page"))
        page.goto(f"{url}/pages/markets")
        filled(page)
        page.locator("#runs a.run-link").click()
        page.wait_for_url(f"{url}{path}")


# --- what is made up


@pytest.mark.parametrize(
    ("page_of", "told"),
    [
        ("markets", "us 1D: 1 of 3 tickers (SYNTECH)"),
        ("quality", "us 1D: 1 of 3 tickers (SYNTECH)"),
        ("quality?market=us", "us 1D: 1 of 3 tickers (SYNTECH)"),
        ("quality?market=vn", None),
        ("quality?ledger_run=lab", "us 1D: 1 of 2 tickers (SYNTECH)"),
        ("quality?ledger_run=real", None),
        ("ticker?market=us&symbol=SYNTECH", "us 1D: SYNTECH"),
        ("ticker?market=us&symbol=AAPL", None),
    ],
)
def test_made_up_series_are_told_from_real_ones(
    browser: Browser, warehouse: str, page_of: str, told: str | None
) -> None:
    """One series of the sample made every page call every series of its market synthetic."""
    add_series(warehouse, "us", "1d", ["AAPL", "MSFT", "SYNTECH"])
    add_series(warehouse, "vn", "1d", ["VCB"])
    for ticker, source, run in (
        ("SYNTECH", "sample", "lab"),
        ("AAPL", "yahoo", "lab"),
        ("AAPL", "yahoo", "real"),
    ):
        add_load(warehouse, "us", "1d", ticker, source, run)
    add_result(warehouse, "us", "1d", "lab")
    with app_on_a_port(warehouse) as url, window(browser) as page:
        page.goto(f"{url}/pages/{page_of}")
        filled(page)
        banner = page.locator("#banner")
        if told is None:
            expect(banner).not_to_contain_text("SYNTHETIC")
        else:
            expect(banner).to_contain_text(f"SYNTHETIC SAMPLE DATA · {told} · made by")
            said = "SYNTECH" not in told or " of " in told
            assert ("Every other series" in banner.inner_text()) == said
