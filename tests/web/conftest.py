"""A real Airflow with the demo's sample in its warehouse, and a browser that is logged in."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from web_lab import BY_ITS_DAG, BY_STEPS, PATIENCE, Lab

from browser import NONE, REQUIRED, find_browser
from hypertape.orchestration import demo
from hypertape.orchestration.airflow_home import USER
from hypertape.orchestration.standalone import Standalone
from hypertape.sources.sample import plan_until
from hypertape.steps.sync import sync
from hypertape.warehouse.embedded.server import EmbeddedServer
from skipping import pytest_runtest_makereport  # noqa: F401  (no test is skipped here in CI)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Where there must be one, none is a failure; else the tests are reported as not run."""
    path = find_browser()
    if path is None:
        (pytest.fail if REQUIRED else pytest.skip)(NONE)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def lab(browser: Browser, standalone: Standalone) -> Iterator[Lab]:
    with standalone.client() as airflow:
        dsn = EmbeddedServer(standalone.settings).up()
        _load(standalone, dsn)
        running = standalone.status().running
        assert running is not None
        context = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="Asia/Ho_Chi_Minh")
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        made = Lab(standalone, airflow, dsn, running.url, page)
        page.on("console", lambda message: _noticed(made, message))
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        _log_in(page, running.url, standalone.home.password())
        yield made
        context.close()


def _load(standalone: Standalone, dsn: str) -> None:
    """What `make demo` does, for two series: the days by their DAG, the minutes by the same steps without one."""
    told: list[str] = []
    plan = plan_until()
    demo._yesterday(dsn, standalone.settings, plan, told.append)
    jobs = {(job.market, job.interval): job for job in demo.sample_jobs(plan)}
    (run,) = demo._run_all(standalone, [jobs[BY_ITS_DAG]], told.append)
    assert run.state == "success", told
    minutes = jobs[BY_STEPS]
    source = minutes.source.to_json()
    sync(
        dsn,
        *map(str, BY_STEPS),
        now=minutes.end,
        end=minutes.end,
        source=source,
        settings=standalone.settings,
    )


def _log_in(page: Page, url: str, password: str) -> None:
    page.goto(url)
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Markets").wait_for()


def _noticed(lab: Lab, message: ConsoleMessage) -> None:
    ours = "/hypertape/" in message.location.get("url", "")
    if message.type == "error" and (ours or "Content Security Policy" in message.text):
        lab.complaints.append(f"{message.text} ({message.location})")
