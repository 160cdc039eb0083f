"""Hooks of mkdocs: the pages that stand outside docs/, and those that nobody has put into the navigation.

README.md is the site's first page, the other pages of the repository's root are under `about/`. A page that is new in
docs/ is added under *How-to*, and every decision under *Explanation*: no page needs a second list.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import reference

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = "about/decisions.md"
ABOUT = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
FILES_ONLY = ("LICENSE", "NOTICE")
"""What a page of the root may link to and the site shows as it is."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation by what lies in docs/ and is not named in it."""
    docs = Path(config.docs_dir)
    nav: list[Any] = list(config.nav or [])
    named = set(_pages(nav))
    for section, pattern in (("How-to", "*.md"), ("How-to", "how-to/*.md"), ("Reference", "reference/*.md")):
        found = sorted(path.relative_to(docs).as_posix() for path in docs.glob(pattern))
        _section(nav, section).extend(name for name in found if name not in named)
    decisions = sorted(path.relative_to(docs).as_posix() for path in (docs / "decisions").glob("*.md"))
    _section(nav, "Explanation").append({"Decisions": [DECISIONS, *decisions]})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's root, their links turned to where the site has them."""
    made = {"index.md": _as_index(_root("README.md")), DECISIONS: _list_of_decisions(Path(config.docs_dir))}
    made |= {"reference/commands.md": reference.commands(), "reference/routes.md": reference.routes()}
    made["reference/findings.md"] = reference.findings(_root("docs/runbook.md"))
    made |= {f"about/{name}": _as_about(_root(name)) for name in ABOUT}
    made |= {f"about/{name}": _root(name) for name in FILES_ONLY}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def _root(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _as_index(text: str) -> str:
    text = re.sub(r"\]\(docs/decisions\)", f"]({DECISIONS})", text)
    text = re.sub(r"\]\(docs/", "](", text)
    return re.sub(rf"\]\(({'|'.join((*ABOUT, *FILES_ONLY))})\)", r"](about/\1)", text)


def _as_about(text: str) -> str:
    text = re.sub(r"\]\(docs/decisions\)", "](decisions.md)", text)
    return re.sub(r"\]\(docs/", "](../", text)


def _list_of_decisions(docs: Path) -> str:
    """Every decision's title, as a page: the directory has no page of its own."""
    pages = sorted((docs / "decisions").glob("*.md"))
    titles = [(page.name, page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")) for page in pages]
    return "# Decisions\n\n" + "\n".join(f"- [{title}](../decisions/{name})" for name, title in titles) + "\n"


def _pages(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in _pages(part)]


def _section(nav: list[Any], title: str) -> list[Any]:
    return next(entry[title] for entry in nav if isinstance(entry, dict) and title in entry)
