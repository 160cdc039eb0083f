"""`make screenshots`: pictures of the pages, from a running Airflow over what `make demo` has loaded.

Every page is taken at 1440 and 1280 columns, light and dark, into build/screenshots; two of them are those of the
README, in docs/images. Needs a Chromium (`make browser`) and the demo's data (`make demo`); starts Airflow over it, and
stops it again unless it ran before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from hypertape.errors import HypertapeError
from hypertape.orchestration.airflow_home import USER
from hypertape.orchestration.progress import Progress
from hypertape.orchestration.standalone import DEMO, Standalone, of_warehouse
from hypertape.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from browser import NONE, find_browser  # noqa: E402 (of the tests)

TAKEN = ROOT / "build" / "screenshots"
PAGES = {
    "markets": "plugin/hypertape-markets/hypertape/pages/markets",
    "ticker": "plugin/hypertape-ticker/hypertape/pages/ticker?market=vn&symbol=SYNBANK",
    "quality": "plugin/hypertape-quality/hypertape/pages/quality",
    "stream": "plugin/hypertape-stream/hypertape/pages/stream",
}
"""Where Airflow shows each page."""
README = {"markets": "markets-1440-light", "ticker": "ticker-1440-light"}
"""The README's pictures, by the names of those they are copies of."""
HEIGHT, PATIENCE = 900, 60_000


def main() -> int:
    """Take every picture; returns the exit code."""
    path = find_browser()
    if path is None:
        print(NONE, file=sys.stderr)
        return 1
    try:
        standalone = Standalone(of_warehouse(load_settings(), DEMO))
        ran_before = standalone.status().running is not None
        with Progress(print) as step:
            url = standalone.up(step).url
            try:
                _take_all(path, url, standalone.home.password(), step)
            finally:
                if not ran_before:
                    standalone.down()
    except HypertapeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for name, source in README.items():
        _keep_small(TAKEN / f"demo-{source}.png", ROOT / "docs" / "images" / f"{name}.png")
    return 0


def _keep_small(taken: Path, kept: Path) -> None:
    """Keep a picture with 64 colours, where there is a pngquant: a third of the bytes, and nobody sees it."""
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "64", "--force", "--output", kept, taken], check=True)
    else:
        shutil.copyfile(taken, kept)


def _take_all(browser: str, url: str, password: str, step: Progress) -> None:
    TAKEN.mkdir(parents=True, exist_ok=True)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=arguments)
        for width in (1440, 1280):
            for scheme in ("light", "dark"):
                _take(opened, url, password, width, scheme, step)
        opened.close()


def _take(browser: Browser, url: str, password: str, width: int, scheme: str, step: Progress) -> None:
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.add_init_script(
        f"localStorage.setItem('chakra-ui-color-mode', '{scheme}'); localStorage.setItem('theme', '{scheme}')"
    )
    page.goto(url)
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Markets").wait_for()
    for name, path in PAGES.items():
        step(f"{name}, {width} columns, {scheme}")
        page.goto(f"{url}/{path}")
        _wait_until_filled(page)
        page.screenshot(path=TAKEN / f"demo-{name}-{width}-{scheme}.png")
    context.close()


def _wait_until_filled(page: Page) -> None:
    """Wait for our frame in Airflow's, and for what it asks for."""
    frame = page.frame_locator("iframe")
    frame.locator("#asof time").wait_for()
    page.wait_for_timeout(
        2000
    )  # tables after the head, the chart's first drawing; the page Stream never stops asking


if __name__ == "__main__":
    sys.exit(main())
