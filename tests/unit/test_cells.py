"""What somebody else wrote: which text is a number, and what of it may be shown and stored."""

from __future__ import annotations

import json
import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from hypertape.cells import LONGEST_VALUE, number, row_text, shown, visible
from hypertape.cli.common import console, table


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0), ("-1.5", -1.5), ("+.5", 0.5), ("5.", 5.0), ("1e3", 1000.0), (" 10\t", 10.0), ("1E-2", 0.01),
        (7, 7.0), (7.5, 7.5), ("inf", math.inf), ("-Infinity", -math.inf), (math.inf, math.inf), ("9" * 401, math.inf),
    ],
)  # fmt: skip
def test_numbers_as_they_are_usually_written(cell: object, value: float) -> None:
    assert number(cell) == value


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1_00_50", "underscores, which Python allows"),
        ("١٢٣", "digits of another script"),
        ("１２", "wide digits"),
        ("1,000", "a comma"),
        ("0x10", "hexadecimal"),
        ("1 0", "a blank inside"),
        ("\N{NO-BREAK SPACE}1", "a blank that is none"),
        ("1\0", "a NUL"),
        ("nan", "no number at all"),
        (math.nan, "no number at all"),
        ("", "nothing"),
        (None, "nothing"),
        (True, "a truth"),
        ([1], "a list"),
        (10**400, "more than a double holds"),
    ],
)
def test_what_is_no_number(cell: object, why: str) -> None:
    assert number(cell) is None, why


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_what_python_writes_reads_back(value: float) -> None:
    assert number(repr(value)) == value


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=2 * LONGEST_VALUE))
def test_shown_text_fits_into_arrow_and_the_database(text: str) -> None:
    made = shown(text)
    assert "\0" not in made
    assert pa.array([made]).to_pylist() == [made]
    assert len(made) <= LONGEST_VALUE + 30


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none())
    )
)
def test_a_row_is_strict_json(row: dict[str, object]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    read = json.loads(row_text(row), parse_constant=refuse)
    assert all(
        read[name] == cell
        for name, cell in row.items()
        if isinstance(cell, int) and number(cell) and name in read
    )


def test_a_list_nested_deeper_than_the_stack_is_told_by_its_size() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "a list of 1"
    assert json.loads(row_text({"o": deep})) == {"o": "a list of 1"}


def test_what_is_printed_cannot_act_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A directory's name reaches the screen as it is; `\\x1b[2J` in it would wipe what was said before."""
    named = "VIC\x1b[2J\x9b1mX\u202eY\ttab"
    assert visible(named) == "VIC\\x1b[2J\\x9b1mX\\u202eY\ttab"
    console().print(f"failed: {named}")
    console().print(table("names", ("ticker",), [(named,)]))
    console(stderr=True).print(Text("error:", "bold red"), Text(named))
    said = capsys.readouterr()
    assert "failed: VIC\\x1b[2J" in said.out
    assert "\\u202e" in said.err
    assert not [letter for letter in said.out + said.err if not letter.isprintable() and letter != "\n"]
