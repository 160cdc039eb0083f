"""The page Stream: feeds, rate, lag, queue, spool, gaps, dead letters and candles, each with the command that acts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alone_lab import NOW, SCREENSHOTS, app_on_a_port, window
from playwright.sync_api import Browser, Page, expect

from hypertape.frame import micros
from hypertape.stream.database import DatabaseSink
from hypertape.stream.model import SCALE, FeedGap, Rejected, Tick
from hypertape.stream.rollups import refresh_candles
from hypertape.stream.workers import beat
from hypertape.warehouse.connect import connect
from hypertape.warehouse.findings import Look, look

pytestmark = [pytest.mark.database, pytest.mark.timeout(300)]

FEED = "fix:ME-<b>THEM"
"""A name with signs that a browser and a shell would read."""

SECOND = 1_000_000


def ticks() -> list[Tick]:
    first = micros(NOW) - 600 * SECOND
    return [
        Tick("EURUSD", first + n * SECOND, n, 108_455_000 + n, 108_457_000 + n, SCALE, SCALE, FEED)
        for n in range(590)
    ]


@pytest.fixture(scope="module")
def url(new_warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app in front of a warehouse with a live stream, one that is gone, a gap, and a letter of markup."""
    with new_warehouse() as dsn:
        with ThreadPoolExecutor(1) as aside:  # the browser's own loop runs in this thread
            aside.submit(asyncio.run, fill(dsn, tmp_path_factory.mktemp("spool"))).result()
        feed = {
            "ticks": 590,
            "rejected": 1,
            "gaps": 1,
            "filled": 0,
            "state": "running",
            "calendar": "24/7",
            "live": True,
        }
        heard = {
            "calendar": "24/7",
            "live": True,
            "heard_at": micros(NOW) - 10 * SECOND,
            "last_tick": ticks()[-1].time,
        }
        with connect(dsn, autocommit=True) as connection:
            refresh_candles(connection, "lab")
            figures = {
                "feeds": {FEED: feed | heard},
                "rate": 12.5,
                "lag_seconds": 11.0,
                "writer": {"queued": 1234},
            }
            beat(
                connection,
                "gone",
                NOW,
                {"writer": {"queued": 0, "spool_bytes": 4096, "away": "The server is away"}},
            )
            connection.execute("update stream_worker set beat_at = '2025-06-30 09:00+00', host = 'elsewhere'")
            beat(connection, "near", NOW, figures)
            connection.execute("update stream_worker set beat_at = %s where name = 'near'", (NOW,))
            look(connection, Look(NOW, "lab"))
        with app_on_a_port(dsn) as address:
            yield address


async def fill(dsn: str, spool: Path) -> None:
    async with DatabaseSink(dsn, spool, now=lambda: micros(NOW)) as sink:
        await sink.publish(ticks())
        gap = FeedGap(FEED, "EURUSD", "sequence", micros(NOW) - SECOND, micros(NOW), 17, 20)
        await sink.record([gap, Rejected(FEED, b'{"symbol": "<img src=x onerror=alert(1)>"}', "no price")])


def opened(page: Page, url: str, search: str = "") -> Page:
    page.goto(f"{url}/pages/stream{search}")
    page.wait_for_selector("#asof time")
    page.wait_for_load_state("networkidle")
    return page


def row(page: Page, section: str, text: str) -> str:
    """A row's text, its spaces as one."""
    return " ".join(page.locator(f"#{section} tbody tr", has_text=text).inner_text().split())


def test_it_shows_how_the_streams_do_and_what_acts(browser: Browser, url: str) -> None:
    with window(browser) as page:
        opened(page, url)
        here, gone = row(page, "streams", "near"), row(page, "streams", "gone")
        for shown in ("alive", "12.5", "11 s", "1 234", "hypertape stream status"):
            assert shown in here, here
        for shown in ("silent", "4 096", "on elsewhere: hypertape stream replay --spool"):
            assert shown in gone, gone
        feed = row(page, "feeds", FEED)
        for shown in ("running", "2025-07-01 11:59:49", "2025-07-01 11:59:50", "24/7", "590"):
            assert shown in feed, feed
        assert f"hypertape stream gaps --source '{FEED}'" in feed
        expect(page.locator("#verdict .verdict")).to_be_visible()
        found = page.locator("#findings").inner_text()
        assert "1 gap of the feed" in found
        assert "wait on the disk of elsewhere" in found
        assert "hypertape stream replay" in found
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "stream.png", full_page=True)


def test_gaps_and_dead_letters_are_text_with_the_command_that_mends_them(browser: Browser, url: str) -> None:
    with window(browser) as page:
        opened(page, url)
        gap = row(page, "gaps", "EURUSD")
        for shown in (
            "sequence",
            "17",
            "20",
            f"hypertape stream replay FILE --source '{FEED}'",
            "gaps --close",
        ):
            assert shown in gap, gap
        letter = row(page, "letters", "no price")
        assert '{"symbol": "<img src=x onerror=alert(1)>"}' in letter
        assert "hypertape stream dead-letters --settle" in letter
        assert page.locator("main img, main b").count() == 0, "what came from outside is text"


def test_candles_follow_the_chosen_symbol_and_width_by_keyboard(browser: Browser, url: str) -> None:
    with window(browser) as page:
        opened(page, url, "?symbol=EURUSD&timeframe=5m")
        rows = page.locator("#candles tbody tr")
        expect(rows).to_have_count(2)
        assert rows.first.inner_text().split("\t")[0] == "2025-07-01 11:55", "the newest first"
        page.locator("[name=timeframe]").focus()
        page.keyboard.press("ArrowUp")
        expect(page.locator("#candles-say")).to_have_text("EURUSD, 1m, the newest first")
        expect(rows).to_have_count(10)
        assert page.url.endswith("?symbol=EURUSD&timeframe=1m"), "the address can be passed on"
        assert page.locator("nav [aria-current]").inner_text() == "Stream"
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_of_a_warehouse_without_a_stream_it_says_what_to_do(browser: Browser, warehouse: str) -> None:
    with app_on_a_port(warehouse) as address, window(browser) as page:
        opened(page, address)
        expect(page.locator("#streams .state")).to_contain_text("hypertape stream run")
        expect(page.locator("#gaps")).to_contain_text("None is open")
        expect(page.locator("#letters")).to_contain_text("everything that came is stored")
        expect(page.locator("#candles .state")).to_contain_text("No feed has brought a symbol yet")
