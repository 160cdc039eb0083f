"""The shell blocks of the documents: which lines are run by a test, and which are not, with the reason.

A block is run unless a comment before it says otherwise: `<!-- not run: why -->` for the whole block,
`<!-- not run (text; text): why -->` for the lines that contain one of the texts. A line whose remark says `exits 3` may
end with that code, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHELLS = ("console", "sh", "shell", "bash")
_COMMENT = re.compile(r"<!-- not run(?: \((?P<texts>.+?)\))?: (?P<why>.+?) -->")


@dataclass(frozen=True)
class Line:
    """One command of a document. `why` says why it is not run; empty where it is."""

    page: str
    number: int
    command: str
    codes: frozenset[int]
    why: str


def pages() -> list[Path]:
    """The documents that show commands to users: not the decisions, nor what has changed."""
    docs = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "decisions" not in path.parts]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *docs]


def lines_of(path: Path) -> Iterator[Line]:
    """The commands of a document's shell blocks, in order."""
    remarks: list[re.Match[str]] = []
    language: str | None = None
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if fence := re.match(r"\s*```(\w*)", text):
            language, remarks = (fence[1] or "text", remarks) if language is None else (None, [])
        elif language is None:
            found = _COMMENT.search(text)
            remarks = [*remarks, found] if found else remarks if not text.strip() else []
        elif language in SHELLS and text.startswith("$ "):
            command, _, said = text[2:].partition(" #")
            codes = frozenset({0, *map(int, re.findall(r"exits (\d+)", said))})
            yield Line(
                path.relative_to(ROOT).as_posix(), number, command.strip(), codes, _why(remarks, command)
            )


def _why(remarks: list[re.Match[str]], command: str) -> str:
    for remark in remarks:
        texts = remark["texts"]
        if texts is None or any(part.strip() in command for part in texts.split(";")):
            return remark["why"]
    return ""
