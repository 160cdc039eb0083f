"""One bar file: every spelling that is accepted, and one bad cell at a time."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypertape.cells import LONGEST_VALUE
from hypertape.errors import BadInput, SourceFileEmpty, SourceSchemaChanged
from hypertape.frame import BAR_SCHEMA
from hypertape.model import INDICATOR_COLUMNS, utc
from hypertape.sources._csv_file import CELLS, parse

HEADER = ",".join(CELLS)
FULL_HEADER = ",".join((*CELLS, *INDICATOR_COLUMNS))
FIRST = "VIC,2024-01-02,10,12,9,11,100"
SECOND = "VIC,2024-01-03,11,13,10,12,200"


def csv(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join((header, *lines, "")).encode()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-02", utc(2024, 1, 2)),
        ("2024-01-02T02:15:00", utc(2024, 1, 2, 2, 15)),
        ("2024-01-02 02:15:00", utc(2024, 1, 2, 2, 15)),
        ("2024-01-02T02:15:00Z", utc(2024, 1, 2, 2, 15)),
        ("2024-01-02T09:15:00+07:00", utc(2024, 1, 2, 2, 15)),
        ("2024-01-02 09:15:00+0700", utc(2024, 1, 2, 2, 15)),
    ],
)
@pytest.mark.parametrize("beside", [[], ["VIC,never,1,1,1,1,1"]], ids=["typed", "line by line"])
def test_times_of_every_spelling_are_utc(text: str, time: object, beside: list[str]) -> None:
    parsed = parse(csv(f"VIC,{text},10,12,9,11,100", *beside), "VIC")

    assert parsed.bars["time"].to_pylist() == [time]
    assert len(parsed.rejects) == len(beside)


@pytest.mark.parametrize("beside", [[], [SECOND]], ids=["typed", "mixed with a plain date"])
def test_a_zoned_midnight_of_the_exchange_is_its_session_date(beside: list[str]) -> None:
    data = csv("VIC,2024-01-02T00:00:00+07:00,10,12,9,11,100", *beside)

    assert parse(data, "VIC", session_zone="Asia/Ho_Chi_Minh").bars["time"][0].as_py() == utc(2024, 1, 2)
    assert parse(data, "VIC").bars["time"][0].as_py() == utc(2024, 1, 1, 17)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (csv(FIRST, SECOND), "as written"),
        (csv(FIRST, SECOND).rstrip(), "no newline at the end"),
        (csv(FIRST, "", SECOND, "", ""), "blank lines"),
        (csv(FIRST, "  ", SECOND), "a line of blanks"),
        (csv(FIRST, SECOND).replace(b"\n", b"\r\n"), "Windows line ends"),
        (csv(FIRST, SECOND).replace(b"\n", b"\r"), "old Mac line ends"),
        (b"\xef\xbb\xbf" + csv(FIRST, SECOND), "byte order mark"),
        (csv('"VIC","2024-01-02","10","12","9","11","100"', SECOND), "quoted cells"),
        (csv(FIRST.replace(",10,", ", 10 ,"), SECOND), "blanks around a number"),
        (csv(f"{FIRST}{',' * 13}", f"{SECOND}{',1' * 13}", header=FULL_HEADER), "20 columns"),
        (csv(f"{FIRST}{',x' * 13}", f"{SECOND}{',' * 13}", header=FULL_HEADER), "nonsense in an indicator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_same_bars_in_every_dress(data: bytes, why: str) -> None:
    parsed = parse(data, "VIC")

    assert parsed.bars.equals(parse(csv(FIRST, SECOND), "VIC").bars), why
    assert parsed.bars.schema == BAR_SCHEMA
    assert len(parsed.rejects) == 0


@pytest.mark.parametrize(
    ("line", "rule", "value", "has_time"),
    [
        ("VIC,2024-01-04,ten,12,9,11,100", "text_in_number", "ten", True),
        ("VIC,2024-01-04,10,12,9,N/A,100", "text_in_number", "N/A", True),
        ("VIC,2024-01-04,10,12,9,11,1_000", "text_in_number", "1_000", True),
        ('VIC,2024-01-04,10,12,9,11,"100', "text_in_number", '"100', True),
        ("VIC,2024-01-04,10,12,9,1\0,100", "text_in_number", "1␀", True),
        ("VIC,2024-02-30,10,12,9,11,100", "bad_time", "2024-02-30", False),
        ("VIC,04/01/2024,10,12,9,11,100", "bad_time", "04/01/2024", False),
        ("VIC,,10,12,9,11,100", "bad_time", "", False),
        ("VIC,2024-01-04,10,12,9,11", "wrong_field_count", "6 fields, expected 7", True),
        ("VIC,2024-01-04,10,12,9,11,100,1", "wrong_field_count", "8 fields, expected 7", True),
        ('VIC,2024-01-04,"10,5",12,9,11,100', "wrong_field_count", "8 fields, expected 7", True),
        ("VIC", "wrong_field_count", "1 fields, expected 7", False),
        ("\0\0\0\0", "wrong_field_count", "1 fields, expected 7", False),
        ("VCB,2024-01-04,10,12,9,11,100", "wrong_ticker", "VCB", True),
        ("vic,2024-01-04,ten,12,9,11,100", "wrong_ticker", "vic", True),
        (",2024-01-04,10,12,9,11,100", "wrong_ticker", "", True),
    ],
)
def test_a_bad_line_costs_itself_alone(line: str, rule: str, value: str, has_time: bool) -> None:
    parsed = parse(csv(FIRST, line, SECOND), "VIC")

    assert parsed.bars.equals(parse(csv(FIRST, SECOND), "VIC").bars)
    [reject] = parsed.rejects.to_pylist()
    assert (reject["ticker"], reject["rule"], reject["value"]) == ("VIC", rule, value)
    assert reject["time"] == (utc(2024, 1, 4) if has_time else None)
    assert json.loads(reject["row"])["line"] == 3
    assert "\0" not in reject["row"]


def test_the_rejected_row_can_be_read_again() -> None:
    [reject] = parse(csv(FIRST, "VIC,2024-01-04,10,12,9,?,100"), "VIC").rejects.to_pylist()

    cells = json.loads(reject["row"])
    assert [cells[name] for name in CELLS] == ["VIC", "2024-01-04", "10", "12", "9", "?", "100"]


def test_bytes_that_are_no_utf8_reject_their_row_only() -> None:
    data = csv(FIRST, SECOND).replace(b"11,13", b"11\xff,13")

    parsed = parse(data, "VIC")

    assert len(parsed.bars) == 1
    assert parsed.rejects["value"].to_pylist() == ["11�"]


def test_an_endless_line_is_cut() -> None:
    [reject] = parse(csv(FIRST, f"VIC,2024-01-04,{'9' * 5000}x,12,9,11,100"), "VIC").rejects.to_pylist()

    assert reject["value"] == f"{'9' * LONGEST_VALUE}… (5001 characters)"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("VIC,2024-01-04,10,12,9,11,-5", "negative volume"),
        ("VIC,2099-01-04,10,12,9,11,5", "a future bar"),
        ("VIC,2024-01-04T00:00:07,10,12,9,11,5", "off the grid"),
        ("VIC,2024-01-04,10,8,9,11,5", "high below low"),
        ("VIC,2024-01-02,1,1,1,1,1", "a second bar of a time"),
        ("VIC,1999-01-04,10,12,9,11,5", "not in order"),
        ("VIC,2024-01-04,,12,9,11,5", "an empty price"),
        ("VIC,2024-01-04,inf,12,9,11,5", "an infinite price"),
    ],
)
def test_what_the_gate_judges_passes_in_file_order(line: str, why: str) -> None:
    parsed = parse(csv(FIRST, line, SECOND), "VIC")

    assert len(parsed.bars) == 3, why
    assert parsed.bars["time"][2].as_py() == utc(2024, 1, 3)
    assert len(parsed.rejects) == 0


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", SourceFileEmpty, "empty"),
        (b"\n\n", SourceFileEmpty, "empty"),
        (csv(), SourceFileEmpty, "a header and no rows"),
        (csv("", ""), SourceFileEmpty, "a header and no rows"),
        (csv(FIRST, header="ticker,date,o,h,l,c,v"), SourceSchemaChanged, "ticker,date,o,h,l,c,v"),
        (csv(FIRST, header=HEADER.upper()), SourceSchemaChanged, HEADER),
        (f"{FIRST}\n{SECOND}\n".encode(), SourceSchemaChanged, FIRST),
        (csv(FIRST).decode().encode("utf-16"), BadInput, "UTF-8"),
    ],
)
def test_a_file_that_is_no_bar_file_says_so(data: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        parse(data, "VIC")


GOOD = [f"VIC,{(utc(2024) + timedelta(days=n)).date()},{n + 0.1},{n + 3},{n},{n + 1},{n}" for n in range(40)]
BAD = st.sampled_from(
    ["VIC,x,1,1,1,1,1", "VIC,2024-01-01,1,?,1,1,1", "VCB,2024-01-01,1,1,1,1,1", "VIC", ",,,,,,"]
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), BAD), max_size=12))
def test_bad_lines_anywhere_leave_the_good_ones_as_they_are(bad: list[tuple[int, str]]) -> None:
    lines = list(GOOD)
    for at, line in sorted(bad, reverse=True):
        lines.insert(at, line)

    parsed = parse(csv(*lines), "VIC")

    assert parsed.bars.equals(parse(csv(*GOOD), "VIC").bars)
    assert len(parsed.rejects) == len(bad)
