"""What is written when the ledger should say something else: identity, history, and never two rows for one bar."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertape.model import utc
from hypertape.warehouse.gaps.difference import ARRIVED, NOT_DUE, Difference, Entry, difference

THEN, NOW = utc(2025, 1, 1), utc(2025, 1, 2)
WIDTH = 8
REASONS = "uefx"


def entries(picture: str, *, stored: bool, at=THEN) -> list[Entry]:
    """The runs of a picture: letters are reasons, `.` is a bar, `|` (nothing) is not judged."""
    found, start = [], 0
    for position in range(1, len(picture) + 1):
        if position == len(picture) or picture[position] != picture[start]:
            if picture[start] not in ".|":
                found.append(Entry("T", start, position - 1, picture[start], None, 0, "run", at))
            start = position
    return [replace(entry, gap_id=10 + n) for n, entry in enumerate(found)] if stored else found


def compare(before: str, after: str) -> Difference:
    missing = np.array([letter not in ".|" for letter in after])
    judged = np.array([letter != "|" for letter in after])
    return difference(
        entries(before, stored=True), entries(after, stored=False, at=NOW), {"T": missing}, {"T": judged},
        run_id="again", now=NOW,
    )  # fmt: skip


def applied(before: str, found: Difference) -> tuple[list[Entry], list[Entry]]:
    """The ledger after the difference: open and closed rows."""
    rows = {entry.gap_id: entry for entry in entries(before, stored=True)}
    for gap_id in found.absorbed:
        del rows[gap_id]
    for number, row in enumerate(found.rows):
        if row.gap_id is not None:
            assert row.gap_id in rows, "updated rows exist"
        rows[row.gap_id if row.gap_id is not None else 100 + number] = row
    kept = sorted(rows.values(), key=lambda row: row.first)
    return [row for row in kept if row.closed_at is None], [row for row in kept if row.closed_at is not None]


def picture(rows: list[Entry]) -> str:
    letters = ["."] * WIDTH
    for row in rows:
        for position in range(row.first, row.last + 1):
            assert letters[position] == ".", "no bar is in two rows"
            letters[position] = row.reason
    return "".join(letters)


@pytest.mark.parametrize(
    ("before", "after", "updated", "inserted", "absorbed", "reason"),
    [
        ("..ee....", "..ee....", 0, 0, 0, "nothing changed"),
        ("........", "..ee....", 0, 1, 0, "a new gap"),
        ("..ee....", "..eee...", 1, 0, 0, "it grows: the same row"),
        ("..ee....", "..e.....", 1, 1, 0, "half of it arrives: the row shrinks, the arrival is kept"),
        ("..ee....", "........", 1, 0, 0, "all of it arrives: the row closes"),
        ("..eee...", "..e.e...", 1, 2, 0, "the middle arrives: two open, one closed"),
        ("..uu....", "..ee....", 1, 0, 0, "another reason: the same row"),
        ("..uu....", "..ue....", 1, 1, 0, "half of it has another reason"),
        ("..ee.ee.", "..eeeee.", 1, 0, 1, "a new one joins two"),
        ("..ueeee.", "..eeeee.", 1, 0, 1, "the reasons become one"),
        ("eeee....", "||ee....", 1, 1, 0, "what is not due any more closes without having arrived"),
    ],
)
def test_rows_to_write(
    before: str, after: str, updated: int, inserted: int, absorbed: int, reason: str
) -> None:
    found = compare(before, after)
    changed = [row for row in found.rows if row.gap_id is not None]
    assert (len(changed), len(found.rows) - len(changed), len(found.absorbed)) == (
        updated,
        inserted,
        absorbed,
    ), reason


def test_an_entry_remembers_when_it_was_found_and_what_it_was() -> None:
    (row,) = compare("..uu....", "..ee....").rows
    assert (row.gap_id, row.found_at, row.found_run) == (10, THEN, "run")
    assert (row.reason, row.former_reason, row.changed_at) == ("e", "u", NOW)


def test_what_arrives_is_kept_with_the_run_that_brought_it() -> None:
    found = compare("..eee...", "..e.e...")
    (closed,) = found.closed
    assert (closed.first, closed.last, closed.reason, closed.found_at) == (3, 3, "e", THEN)
    assert (closed.closed_at, closed.closed_run, closed.closed_reason) == (NOW, "again", ARRIVED)


def test_what_is_not_due_did_not_arrive() -> None:
    assert [row.closed_reason for row in compare("eeee....", "||ee....").closed] == [NOT_DUE]


def test_a_session_the_calendar_lost_closes_its_entry() -> None:
    lost = replace(
        entries("e.......", stored=True)[0], first=3, last=2, stored_sessions=1, stored_span=(THEN, NOW)
    )
    found = difference(
        [lost], [], {"T": np.zeros(WIDTH, bool)}, {"T": np.ones(WIDTH, bool)}, run_id="again", now=NOW
    )
    assert [(row.gap_id, row.closed_reason) for row in found.rows] == [(lost.gap_id, NOT_DUE)]


def test_another_tickers_entries_are_left_alone() -> None:
    other = replace(entries("ee......", stored=True)[0], ticker="U", gap_id=99)
    mine = entries("ee......", stored=False, at=NOW + timedelta(days=1))
    masks = {name: np.array([True, True] + [False] * 6) for name in "TU"}
    found = difference([other], [*mine, replace(other, gap_id=None)], masks, masks, run_id="again", now=NOW)
    assert [(row.ticker, row.gap_id) for row in found.rows] == [("T", None)]


pictures = st.text(alphabet=".." + REASONS, min_size=WIDTH, max_size=WIDTH)


@given(before=pictures, after=pictures)
def test_the_ledger_then_shows_what_it_should_and_what_arrived(before: str, after: str) -> None:
    still, closed = applied(before, compare(before, after))
    assert picture(still) == after
    assert [(row.first, row.last) for row in still] == [
        (entry.first, entry.last) for entry in entries(after, stored=False)
    ]
    arrived = {position for row in closed for position in range(row.first, row.last + 1)}
    assert arrived == {k for k in range(WIDTH) if before[k] != "." and after[k] == "."}


@given(before=pictures, after=pictures)
def test_no_row_moves_to_a_start_that_another_open_row_has(before: str, after: str) -> None:
    old = {entry.first: entry.gap_id for entry in entries(before, stored=True)}
    found = compare(before, after)
    for row in found.rows:
        if row.closed_at is None and old.get(row.first) not in (None, *found.absorbed):
            assert row.gap_id == old[row.first]
