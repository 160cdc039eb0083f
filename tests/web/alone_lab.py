"""The pages without Airflow: the app on a port of its own, in front of a warehouse that a test fills as it likes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import uvicorn
from fastapi import HTTPException, Request
from playwright.sync_api import Browser, ConsoleMessage, Page

from airflow_environment import REPOSITORY
from hypertape.api import Access, create_app
from hypertape.api.access import MAY_WRITE
from hypertape.settings import Settings

SCREENSHOTS = REPOSITORY / "build" / "screenshots"
NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)
"""The app's clock: a Tuesday, with the sample's last bars just behind it."""


@contextmanager
def app_on_a_port(dsn: str, *, writing: bool = True) -> Iterator[str]:
    """Serve the app for everybody, who may write or only read, and yield its address."""

    def let_in(access: Access) -> Any:
        def admitted(request: Request) -> None:
            request.state.caller = "lab"
            setattr(request.state, MAY_WRITE, lambda: writing)
            if access is Access.WRITE and not writing:
                raise HTTPException(403, "Only to read.")

        return admitted

    app = create_app(Settings(), authorize=let_in, clock=lambda: NOW, dsn=lambda: dsn)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def window(browser: Browser, scheme: str = "light", width: int = 1280) -> Iterator[Page]:
    """A window whose scripts may not fail."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if _ours(message) else None)
    yield page
    context.close()
    assert complaints == []


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def filled(page: Page) -> Page:
    """The page once everything that it asks for has come."""
    page.wait_for_selector("#asof time")
    page.wait_for_load_state("networkidle")
    return page


def _ours(message: ConsoleMessage) -> bool:
    """A complaint of the browser, but for what is asked of Airflow, which is not there."""
    return message.type == "error" and "/api/v2/" not in message.location.get("url", "")


def add_series(dsn: str, market: str, interval: str, tickers: list[str]) -> None:
    """Note series in the catalogue as a load does, up to the newest session, without any bar."""
    last = NOW.replace(hour=0) - timedelta(days=1)
    with psycopg.connect(dsn) as connection:
        connection.cursor().executemany(
            "insert into series (market, interval, ticker, first_time, last_time) values (%s, %s, %s, %s, %s)",
            [(market, interval, ticker, last - timedelta(days=90), last) for ticker in tickers],
        )


def add_load(dsn: str, market: str, interval: str, ticker: str, source: str, run_id: str = "lab") -> None:
    """Note a load in the ledger, as it stands there after bars were loaded."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into load (run_id, market, interval, ticker, source, window_start, window_end, status, "
            "code_version) values (%s, %s, %s, %s, %s, '2025-06-01', '2025-07-01', 'loaded', 'lab')",
            (run_id, market, interval, ticker, source),
        )


def add_result(dsn: str, market: str, interval: str, run_id: str, **result: str) -> None:
    """Keep one result of a check; passed and critical unless something else is said."""
    row = {"expectation": "not_null", "severity": "critical", "status": "passed", **result}
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into quality_result (run_id, market, interval, suite, expectation, description, severity, status, "
            "evaluated, unexpected, window_start, window_end, seconds, error) values "
            "(%s, %s, %s, 'lab', %s, 'Lab', %s, %s, 1, 0, '2025-06-01', '2025-07-01', 0, %s)",
            (run_id, market, interval, row["expectation"], row["severity"], row["status"], row.get("error")),
        )
