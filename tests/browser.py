"""The browser of tests/web: find it, or as a command (`make browser`) install it.

Debian's chromium is the one that is meant. Whoever is not root gets the one that playwright downloads. With
HYPERTAPE_BROWSER=required, as CI sets it, a machine without a browser is a failure; else these tests are not run, and
pytest says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
REQUIRED = os.environ.get("HYPERTAPE_BROWSER") == "required"
NONE = (
    "there is no browser for tests/web. Install one (Debian, as root: apt-get install chromium; else: "
    ".venv/bin/playwright install chromium), or name it in HYPERTAPE_CHROMIUM"
)
_MINUTES = 15


def find_browser() -> str | None:
    """The path of a Chromium: HYPERTAPE_CHROMIUM, one on the PATH, or the one that playwright downloaded."""
    named = os.environ.get("HYPERTAPE_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None) or _downloaded()


def _downloaded() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def install() -> None:
    """Install a browser the way this user can, and say what does not work."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "update", "--quiet=2")
        _run("apt-get", "install", "--quiet=2", "--no-install-recommends", "chromium", "fonts-dejavu-core")
    if find_browser() is None:
        _run(sys.executable, "-m", "playwright", "install", "chromium")


def _run(*command: str) -> None:
    print(f"browser: {' '.join(command)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(
            [*command], check=True, env=environment, timeout=60 * _MINUTES, stdin=subprocess.DEVNULL
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        print(f"browser: {error}", flush=True)


def main() -> None:
    """Install a browser unless there is one. Without any the tests themselves say so: one place, one message."""
    if find_browser() is None:
        install()
        print(f"browser: {find_browser() or NONE}")


if __name__ == "__main__":
    main()
