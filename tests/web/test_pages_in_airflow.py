"""The pages as a user meets them: a real Airflow, its navigation, a real browser, and the database to compare with."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from playwright.sync_api import Frame, expect
from web_lab import PATIENCE, Lab

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

RUN = "demo"
DAG = "bars_vn_1d"
PLANTED = "SYNFOOD"
expect.set_options(timeout=PATIENCE)


def one(lab: Lab, statement: str, *values: object) -> tuple[Any, ...]:
    with psycopg.connect(lab.dsn) as connection:
        found = connection.execute(statement, values).fetchone()
    assert found is not None
    return tuple(found)


def shown(text: str) -> float:
    """A number as the pages write it."""
    return float(re.sub(r"\s", "", text))


def cells(frame: Frame, row: str) -> list[str]:
    return frame.locator(row).first.locator("th, td").all_inner_texts()


def test_markets_is_in_the_navigation_and_shows_what_was_loaded(lab: Lab) -> None:
    lab.page.get_by_role("link", name="Markets").first.click()
    frame = lab.frame("markets")
    expect(frame.locator(".banner")).to_contain_text("SYNTHETIC SAMPLE DATA")
    daily = "#freshness tbody tr:has(a[href*='market=vn&interval=1D'])"
    expect(frame.locator(daily)).to_have_count(1)
    tickers, newest = one(
        lab, "select count(*), max(last_time)::date::text from series where (market, interval) = ('vn', '1d')"
    )
    (bars,) = one(lab, "select count(*) from market_data_1d")
    row = cells(frame, daily)
    assert (row[4], int(row[6]), shown(row[7])) == (newest, tickers, bars)
    assert "behind" in row[3]
    lab.picture("markets")


def test_the_heat_map_says_why_a_bar_is_missing(lab: Lab) -> None:
    frame = lab.open("plugin/hypertape-markets", "markets")
    frame.select_option("#cover-form [name=place]", "vn 1d")
    expect(frame.locator("#cover-say")).to_contain_text("Asia/Ho_Chi_Minh")
    hole = frame.locator("#heat tbody tr", has_text=PLANTED).locator("td a").first
    day, reason = one(
        lab,
        "select start_time::date::text, reason from gap where ticker = %s and interval = '1d' and closed_at is null "
        "and start_time >= '2025-06-01' and start_time < '2025-07-01' order by start_time limit 1",
        PLANTED,
    )
    label = hole.get_attribute("aria-label") or ""
    assert day in label
    assert reason in label
    lab.picture("markets-coverage")
    hole.click()
    ticker = lab.frame("ticker")
    expect(ticker.locator("#marks")).to_contain_text(f"gap: {reason}")


def test_ticker_shows_the_stored_bar_and_switches_the_interval(lab: Lab) -> None:
    lab.page.goto(f"{lab.url}/plugin/hypertape-ticker")
    frame = lab.frame("ticker")
    frame.select_option("[name=market]", "vn")
    frame.fill("[name=symbol]", "SYNBANK")
    frame.press("[name=symbol]", "Tab")
    for label, relation in (("1D", "market_data_1d"), ("1W", "market_data_1w"), ("5m", "market_data_5m")):
        frame.locator(".choice label", has_text=re.compile(f"^{label}$")).click()
        expect(frame.locator("#title")).to_have_text(f"SYNBANK · {label}")
        time, close, volume = one(
            lab,
            f"select time at time zone 'UTC', close, volume from {relation} where ticker = 'SYNBANK' "
            "order by time desc limit 1",
        )
        opening = f"{time:%Y-%m-%d %H:%M} UTC" if "m" in label else f"{time:%Y-%m-%d}"
        expect(frame.locator("#readout b").first).to_have_text(opening)
        values = dict(re.findall(r"(close|volume) ([\d\s.]+\d)", frame.locator("#readout").inner_text()))
        assert (shown(values["close"]), shown(values["volume"])) == (close, volume)
        assert frame.locator("#chart canvas").count() > 1
    lab.picture("ticker-5m")


def test_a_bar_leads_to_the_run_that_loaded_it(lab: Lab) -> None:
    frame = lab.open("plugin/hypertape-ticker/hypertape/pages/ticker?market=vn&symbol=SYNBANK", "ticker")
    frame.locator("#chart").focus()
    frame.locator("#chart").press("End")
    frame.locator("#chart").press("Enter")
    link = frame.locator("#origin a.run-link").first
    (run_id,) = one(
        lab,
        "select run_id from bars.market_data_1d join load using (load_id) where market_data_1d.ticker = 'SYNBANK' "
        "order by time desc limit 1",
    )
    assert run_id == f"{DAG}__{RUN}"
    expect(link).to_have_text(RUN)
    lab.picture("ticker")
    link.click()
    lab.page.wait_for_url(f"**/dags/{DAG}/runs/{RUN}**")
    expect(lab.page.get_by_text("refresh_rollups").first).to_be_visible()


def test_a_run_has_a_tab_with_its_own_checks(lab: Lab) -> None:
    lab.page.goto(f"{lab.url}/dags/{DAG}/runs/{RUN}")
    lab.page.locator("a[href$='/plugin/hypertape-run-quality']").click()
    frame = lab.frame("quality")
    assert f"run_id={RUN}" in frame.url
    failed, passed, idle = one(
        lab,
        "select count(*) filter (where status = 'failed'), count(*) filter (where status = 'passed'), "
        "count(*) filter (where status = 'not_evaluated') from quality_result where run_id = %s",
        f"{DAG}__{RUN}",
    )
    assert failed > 0
    expect(frame.locator(".check")).to_have_count(failed)
    expect(frame.locator("details summary")).to_have_text(f"{passed} checks")
    expect(frame.get_by_label("Checks that were not evaluated").locator("tbody tr")).to_have_count(idle)
    lab.picture("run-quality")
    frame.locator(".check .keys a").first.click()
    expect(lab.frame("ticker").locator("#marks-h")).to_contain_text("What happened")


def test_a_dag_has_its_own_tabs(lab: Lab) -> None:
    lab.page.goto(f"{lab.url}/dags/{DAG}")
    lab.page.get_by_role("link", name="Market", exact=True).click()
    frame = lab.frame("markets")
    assert f"dag_id={DAG}" in frame.url
    expect(frame.locator("#cover-form [name=place]")).to_have_value("vn 1d")
    runs = frame.locator("#runs tbody tr")
    (known,) = one(lab, "select count(distinct run_id) from load where (market, interval) = ('vn', '1d')")
    expect(runs).to_have_count(known)
    lab.picture("dag-market")


def test_quality_over_time_counts_what_is_stored(lab: Lab) -> None:
    lab.page.get_by_role("button", name="Browse").first.click()
    lab.page.get_by_role("menuitem", name="Quality").click()
    frame = lab.frame("quality")
    frame.select_option("[name=market]", "vn")
    (refused,) = one(lab, "select count(*) from quarantine where (market, interval) = ('vn', '1d')")
    card = frame.locator(".trend .card", has=frame.locator("h2", has_text="vn 1D"))
    expect(card.locator(".line", has_text="refused rows").locator("b")).to_have_text(str(refused))
    lab.picture("quality")


def test_stream_is_in_the_navigation_and_says_how_to_begin(lab: Lab) -> None:
    lab.page.get_by_role("button", name="Browse").first.click()
    lab.page.get_by_role("menuitem", name="Stream").click()
    frame = lab.frame("stream")
    expect(frame.locator("#streams .state")).to_contain_text("hypertape stream run")
    expect(frame.locator("#gaps")).to_contain_text("None is open")


def test_a_backfill_starts_from_a_filled_in_form(lab: Lab) -> None:
    frame = lab.open("plugin/hypertape-markets", "markets")
    frame.locator("#freshness tbody tr:has(a[href*='market=vn&interval=1m'])").get_by_role(
        "link", name="backfill"
    ).click()
    form = lab.frame("run")
    expect(form.locator("[name=market]")).to_have_value('"vn"')
    expect(form.locator("[name=interval]")).to_have_value('"1m"')
    assert form.locator("[name=dry_run]").is_checked()
    form.fill("[name=tickers]", "SYNBANK\nSYNLAND")
    lab.picture("run")
    form.get_by_role("button", name="Start the run").click()
    started = form.locator("#started").inner_text()
    conf = lab.airflow.get(f"/dags/backfill_bars/dagRuns/{quote(started, safe='')}")["conf"]
    assert conf["tickers"] == ["SYNBANK", "SYNLAND"]
    assert (conf["market"], conf["interval"], conf["dry_run"]) == ("vn", "1m", True)


EMPTY = [
    ("ticker/hypertape/pages/ticker?market=vn&symbol=%3Cb%3ENO", "<b>NO has no 1D bars."),
    ("ticker/hypertape/pages/ticker?market=us&interval=1m&symbol=SYNBIO", "US stocks has no 1m bars"),
    ("quality/hypertape/pages/quality?dag_id=bars_vn_1d&run_id=none", "know nothing of this run"),
    ("markets/hypertape/pages/run?dag_id=no_such_dag", "Airflow has no DAG no_such_dag."),
]


@pytest.mark.parametrize(("address", "said"), EMPTY)
def test_where_nothing_is_the_page_says_what_to_do(lab: Lab, address: str, said: str) -> None:
    lab.page.goto(f"{lab.url}/plugin/hypertape-{address}")
    lab.page.wait_for_selector("iframe")
    state = lab.page.frame_locator("iframe").locator(".state")
    expect(state.locator("strong")).to_contain_text(said)
    assert len(state.locator("p").inner_text()) > 10


def test_dark_is_followed_and_narrow_windows_scroll_inside(lab: Lab) -> None:
    lab.page.emulate_media(color_scheme="dark")
    lab.page.set_viewport_size({"width": 1100, "height": 760})
    frame = lab.open("plugin/hypertape-ticker/hypertape/pages/ticker?market=vn&symbol=SYNBANK", "ticker")
    background = frame.evaluate("getComputedStyle(document.body).backgroundColor")
    outside = lab.page.evaluate("document.documentElement.className")
    assert (background == "rgb(20, 24, 26)") == ("light" not in outside), (background, outside)
    assert frame.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    lab.picture("ticker-dark")


def test_the_browser_had_nothing_to_complain_about(lab: Lab) -> None:
    """No script failed, and nothing asked for more than the pages' policy allows."""
    assert lab.complaints == []
