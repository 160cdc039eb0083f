"""The site: it builds strictly, every page is reached, and nothing in it asks the web for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README_LINES = 150
SMALL_PICTURE = 200_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it; a link that leads nowhere, or an anchor, ends the build."""
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(target)],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return target


class _Loaded(HTMLParser):
    """The addresses that a browser fetches when it shows the page, and those that a reader can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.follows: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "a":
            self.follows.append(has.get("href") or "")
        elif tag == "link" and has.get("rel") in ("canonical", "prev", "next"):
            return
        else:
            self.loads += [address for name in ("src", "href", "srcset") if (address := has.get(name))]


def _read(page: Path) -> _Loaded:
    parser = _Loaded()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def _is_elsewhere(address: str) -> bool:
    return re.match(r"(https?:)?//", address) is not None


@pytest.mark.parametrize(
    ("html", "elsewhere"),
    [
        ('<script src="https://cdn.example/x.js"></script>', True),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', True),
        ('<img src="images/a.png"><a href="https://example.com">followed by the reader only</a>', False),
    ],
)
def test_the_rule_of_requests_itself(html: str, elsewhere: bool) -> None:
    parser = _Loaded()
    parser.feed(html)
    assert any(map(_is_elsewhere, parser.loads)) is elsewhere


def test_no_page_asks_the_web_for_anything(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50, "the site is not all there"
    asked = {
        str(page.relative_to(site)): [a for a in _read(page).loads if _is_elsewhere(a)] for page in pages
    }
    assert {page: found for page, found in asked.items() if found} == {}
    styles = [sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css")]
    assert styles
    assert not any(re.search(r"url\(\s*['\"]?(https?:)?//|@import", text) for text in styles)


def test_every_page_of_docs_is_in_the_navigation(site: Path) -> None:
    first = {address.partition("#")[0] for address in _read(site / "index.html").follows}
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert {str(page) for page in pages if page.with_suffix(".html").as_posix() not in first} == set()


def test_search_knows_every_page(site: Path) -> None:
    """From the disk, too: the index is a script there, because a browser fetches no file of a file:// page."""
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    for page in ("first-hour.html", "reference/settings.html", "about/ARCHITECTURE.html"):
        assert page in index


def test_the_readme_is_short_and_shows_two_pages() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= README_LINES
    pictures = [found for line in lines for found in re.findall(r"!\[.+?\]\((docs/images/.+?)\)", line)]
    assert sum(picture.endswith(".png") for picture in pictures) >= 2
    assert {name for name in pictures if (ROOT / name).stat().st_size > SMALL_PICTURE} == set()
