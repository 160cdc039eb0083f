"""What the tests of the pages hold on to: Airflow, its warehouse, and a window of a browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Frame, Page

from airflow_environment import REPOSITORY
from hypertape.model import Interval
from hypertape.orchestration.rest import Airflow
from hypertape.orchestration.standalone import Standalone

SCREENSHOTS = REPOSITORY / "build" / "screenshots"
BY_ITS_DAG, BY_STEPS = ("vn", Interval.D1), ("vn", Interval.M1)
"""What the warehouse has of the demo's sample."""

PATIENCE = 30_000
"""Milliseconds that something on a page may take on a busy machine."""


@dataclass
class Lab:
    """Airflow, its warehouse, a window that is logged in, and what the browser complained about in our pages."""

    standalone: Standalone
    airflow: Airflow
    dsn: str
    url: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    def frame(self, part: str) -> Frame:
        """The frame in which Airflow shows one of our pages, once the page is filled."""
        self.page.wait_for_selector("iframe")
        for _ in range(60):
            inner = self.page.main_frame.child_frames  # the window's own address names the page, too
            found = [frame for frame in inner if f"/hypertape/pages/{part}" in frame.url]
            if found:
                found[0].wait_for_load_state("networkidle")
                found[0].wait_for_selector("#asof time, [data-page=run] #form:not([hidden]), .state.bad")
                return found[0]
            self.page.wait_for_timeout(250)
        raise AssertionError(f"no frame shows {part}: {[frame.url for frame in self.page.frames]}")

    def open(self, path: str, part: str) -> Frame:
        """Go to an address of Airflow and return our frame in it."""
        self.page.goto(f"{self.url}/{path}")
        return self.frame(part)

    def picture(self, name: str) -> Path:
        """Keep what the window shows."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path
