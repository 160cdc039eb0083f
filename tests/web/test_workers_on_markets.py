"""Workers on the page Markets and in `GET /workers`: alive or dead, what each holds, since when."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from alone_lab import add_series, app_on_a_port, filled, picture, window
from playwright.sync_api import Browser, expect

from hypertape.markets import get_market
from hypertape.model import Interval
from hypertape.warehouse import progress
from hypertape.warehouse.claims import Worker
from hypertape.warehouse.connect import connect

pytestmark = [pytest.mark.database, pytest.mark.timeout(300)]

VN, M1 = get_market("vn"), Interval.M1
HELD = [f"vn/1m/T{number:03}" for number in range(10)]


@pytest.fixture(scope="module")
def url(new_warehouse: Any) -> Iterator[str]:
    """The app in front of a warehouse with a worker at work, an idle one, one that died, one that ended, one silent."""
    with new_warehouse() as dsn:
        add_series(dsn, "vn", "1d", ["VCB"])
        with connect(dsn, autocommit=True) as connection:
            names = ("a/11/working", "a/12/idle", "b/13/killed", "b/14/ended", "c/15/<b>silent")
            everyone = [Worker("worker", worker_id=f"host-{name}") for name in names]
            for each in everyone:
                each.beat(connection)
            working, _, killed, ended, _ = everyone
            working.take(connection, progress.SERIES, HELD)
            progress.begin(connection, working.worker_id, VN, M1, ["DONE", "BAD"])
            progress.end(connection, working.worker_id, VN, M1, ["DONE", "BAD"], {"BAD": "no answer"})
            killed.take(connection, progress.SERIES, ["vn/1m/LEFT"])
            killed.leave(connection)
            ended.leave(connection)
            connection.execute(
                "update worker_heartbeat set last_heartbeat = last_heartbeat - %s where worker_id like %s",
                (timedelta(hours=1), "host-c/%"),
            )
        with app_on_a_port(dsn) as address:
            yield address


def asked(url: str, search: str = "") -> dict[str, dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/workers{search}") as answer:
        return {each["worker_id"]: each for each in json.load(answer)["workers"]}


def test_the_api_tells_who_lives_and_who_is_dead(url: str) -> None:
    found = asked(url)
    assert {name.split("/")[2]: each["state"] for name, each in found.items()} == {
        "working": "working", "idle": "idle", "killed": "dead", "<b>silent": "dead",
    }  # fmt: skip
    working = found["host-a/11/working"]
    assert (working["units"], working["holds"]) == (10, {"series": HELD})
    assert (working["completed"], working["failed"], working["gone_at"]) == (1, 1, None)
    assert found["host-b/13/killed"]["gone_at"] is not None
    assert asked(url, "?all=true")["host-b/14/ended"]["state"] == "ended"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_them(browser: Browser, url: str, scheme: str) -> None:
    with window(browser, scheme) as page:
        page.goto(f"{url}/pages/markets")
        filled(page)
        rows = page.locator("#workers tbody tr")
        expect(rows).to_have_count(4)
        working = " ".join(rows.filter(has_text="working").first.inner_text().split())
        assert "vn/1m/T000, vn/1m/T001, vn/1m/T002 and 7 more" in working
        assert "✕ 1" in working
        assert "vn/1m/LEFT" in rows.filter(has_text="killed").inner_text()
        expect(rows.filter(has_text="killed").locator(".pill.bad")).to_contain_text("dead")
        expect(rows.filter(has_text="<b>silent")).to_contain_text("nothing")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        picture(page, f"workers-{scheme}")


def test_without_a_worker_it_says_how_to_start_one(browser: Browser, warehouse: str) -> None:
    with app_on_a_port(warehouse) as address, window(browser) as page:
        page.goto(f"{address}/pages/markets")
        filled(page)
        expect(page.locator("#workers .state")).to_contain_text("hypertape worker --market vn")
