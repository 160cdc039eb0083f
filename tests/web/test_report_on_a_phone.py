"""Reports on a phone: nothing is wider than 390 pixels but what is framed to be scrolled, and what acts is not."""

from __future__ import annotations

import pytest
from alone_lab import NOW, add_load, add_result, add_series, picture
from playwright.sync_api import Browser

from hypertape.reports.context import ReportContext
from hypertape.reports.pages import cumulative_report, run_report
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Look, look

pytestmark = [pytest.mark.database, pytest.mark.timeout(120)]

PHONE = {"width": 390, "height": 844}
RUN = "bars_vn_1d__manual__2025-07-01T08:30:00+00:00"
AROUND = ReportContext("http://localhost:8080", {"vn": "desk@example.com"})


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> dict[str, str]:
    """A report of each kind over a warehouse with failed checks, findings and many columns."""
    with request.getfixturevalue("new_warehouse")() as dsn:
        add_series(dsn, "vn", "1d", [f"TICKER{number:02}" for number in range(12)])
        add_series(dsn, "us", "1h", ["AAPL"])
        add_load(dsn, "vn", "1d", "TICKER01", "vci", RUN)
        for check, severity in (("close_jump", "warning"), ("high_not_below_low", "critical")):
            add_result(dsn, "vn", "1d", RUN, status="failed", severity=severity, expectation=check)
        with connect(dsn) as connection:
            look(connection, Look(NOW, "lab"))
            connection.commit()
            return {
                "run": run_report(connection, RUN, AROUND),
                "cumulative": cumulative_report(connection, now=NOW, around=AROUND),
            }


@pytest.mark.parametrize("kind", ["run", "cumulative"])
def test_a_report_fits_a_phone(browser: Browser, reports: dict[str, str], kind: str) -> None:
    context = browser.new_context(viewport=PHONE, device_scale_factor=2)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_content(reports[kind])
    picture(page, f"report-{kind}-390")
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => !e.parentElement.closest('.scroll, svg'))"
        ".filter(e => e.getBoundingClientRect().right > 390.5).map(e => e.tagName + '.' + e.className)"
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    scrolled = page.evaluate(
        "[...document.querySelectorAll('.scroll:not(:has(table[class]))')].filter(e => e.checkVisibility())"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.getAttribute('aria-label'))"
    )
    assert scrolled == [], "tables, but for the maps, that are wider than a phone"
    context.close()


def test_a_failed_check_leads_to_its_run_and_to_who_minds_it(
    browser: Browser, reports: dict[str, str]
) -> None:
    context = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    run = "http://localhost:8080/dags/bars_vn_1d/runs/manual__2025-07-01T08%3A30%3A00%2B00%3A00"
    page.set_content(reports["run"])
    checks = page.locator("article.check")
    assert checks.count() == 2
    for check in checks.all():
        assert check.get_by_role("link", name="The run in Airflow").get_attribute("href") == run
        assert "Minded by desk@example.com" in check.inner_text()
    page.set_content(reports["cumulative"])
    row = page.locator("#todo ~ .scroll tr", has_text="high_not_below_low").first
    assert row.get_by_role("link").get_attribute("href") == run
    assert "desk@example.com" in row.inner_text()
    context.close()
