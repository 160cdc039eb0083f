"""What is wrong in one sentence: the same words in reports, pages, the API, `doctor` and messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypertape.model import CRITICAL, NOTE
from hypertape.warehouse.findings.ledger import Finding

GOOD, NOTED, BAD, UNKNOWN = "good", "note", "bad", "unknown"

NOTHING = "Nothing is wrong that anybody knows of"
EMPTY = "The warehouse is empty"


@dataclass(frozen=True, slots=True)
class Headline:
    """`level` is good, note, bad or unknown; `because` are further sentences."""

    level: str
    text: str
    because: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {"level": self.level, "text": self.text, "because": list(self.because)}


def headline(found: Sequence[Finding], *, empty: bool = False) -> Headline:
    """The headline of open findings, the worst first (`open_findings`). `empty`: there are no bars at all."""
    if not found:
        return (
            Headline(UNKNOWN, EMPTY, ("Load something: `hypertape sync --help`.",))
            if empty
            else Headline(GOOD, NOTHING)
        )
    level = BAD if found[0].severity == CRITICAL else NOTED
    notes = sum(each.severity == NOTE for each in found)
    if notes == len(found):
        text = f"{NOTHING}; {plural(notes, 'note')}"
        return Headline(GOOD, text, tuple(each.title for each in found))
    others = len(found) - 1 - notes
    text = found[0].title + (f", and {plural(others, 'other finding')}" if others else "")
    return Headline(level, text, tuple(each.title for each in found[1:]))


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 bar`, `2 bars`, `1 000 bars`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", " ")


def some(tickers: Sequence[str], most: int = 5) -> str:
    """`AAA, BBB`, and of many `AAA, BBB, … (500)`."""
    named = ", ".join(sorted(tickers)[:most])
    return named if len(tickers) <= most else f"{named}, … ({len(tickers)})"
