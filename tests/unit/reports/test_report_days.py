"""What one cell of the map of tickers and sessions says."""

from __future__ import annotations

from datetime import date

import pytest

from hypertape.model import EXPLAINED
from hypertape.reports.days import GAP_LETTERS, Sheet, _cell

DAY = date(2024, 2, 5)
KEY = ("VIC", DAY)


def test_the_reasons_are_those_of_the_gap_ledger() -> None:
    assert set(EXPLAINED) <= set(GAP_LETTERS)
    assert len(set(GAP_LETTERS.values())) == len(GAP_LETTERS)


def mark(kind: str, critical: bool = False) -> dict[str, object]:
    return {"kind": kind, "what": ["a rule"], "critical": critical}


@pytest.mark.parametrize(
    ("bars", "marks", "gap", "due", "told", "missing", "reason"),
    [
        (5, [], None, True, ("h5", "", "✓"), 0, "as on a usual day"),
        (9, [], None, True, ("h5", "", "✓"), 0, "more than usual"),
        (2, [], None, True, ("h1", "", "40"), 0, "less than half"),
        (0, [], None, True, ("h0", "", "0"), 1, "nobody has looked for gaps yet"),
        (0, [], "unknown", True, ("h0", "", "?"), 1, "missing without an excuse"),
        (0, [], "halted", True, ("none", "", "s"), 0, "an excuse is no defect"),
        (0, [], None, False, ("none", "", "·"), 0, "before the ticker's first bar"),
        (
            0,
            [mark("check")],
            "unknown",
            True,
            ("h0", "flag-note", "?"),
            1,
            "the reason says more than the check",
        ),
        (5, [mark("restated")], None, True, ("h5", "", "r"), 0, "a restatement is no defect"),
        (5, [mark("refused"), mark("restated")], None, True, ("h5", "flag-note", "q"), 0, "the worst counts"),
        (
            5,
            [mark("check", True), mark("refused")],
            None,
            True,
            ("h5", "flag-bad", "✕"),
            0,
            "critical is worst",
        ),
    ],
)
def test_a_cell_tells_the_worst_that_is_known(bars, marks, gap, due, told, missing, reason) -> None:
    sheet = Sheet((DAY,), {DAY: 6}, {KEY: bars} if bars else {}, {KEY: marks}, {KEY: gap} if gap else {})
    cell = _cell(sheet, "VIC", DAY, due=due, usual=5.0)
    assert (cell["shade"], cell["flag"], cell["text"]) == told, reason
    assert cell["missing"] == missing, reason
    assert cell["marked"] == len(marks)
