"""Bars as text: what is left out, what must be quoted, and that slices do not show."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from hypertape.api.bar_chunks import PRICES, BarChunk, BarSlice, IndicatorStream
from hypertape.api.bar_encoder import CSV_HEADER, as_csv, as_json
from hypertape.api.bar_query import read_query
from hypertape.model import utc

DAY = 86_400_000_000
QUESTION = read_query()
AS_CSV = read_query(format="csv")


def part(name: str, count: int) -> BarChunk:
    columns = {column: np.arange(count) + 1.5 for column in PRICES}
    return BarChunk(name, IndicatorStream().follow(BarSlice(np.arange(count, dtype=np.int64) * DAY, columns)))


def test_nothing_is_an_empty_object_and_a_header() -> None:
    assert b"".join(as_json([], QUESTION)) == b"{}"
    assert b"".join(as_csv([], AS_CSV)).decode() == CSV_HEADER + "\n"


def test_pieces_of_a_series_are_one_list() -> None:
    whole = part("A", 30)
    pieces = [BarChunk("A", whole.bars.cut(0, 7)), BarChunk("A", whole.bars.cut(7)), part("B", 2)]
    assert json.loads(b"".join(as_json(pieces, QUESTION))) == json.loads(
        b"".join(as_json([whole, part("B", 2)], QUESTION))
    )


@pytest.mark.parametrize("most", [1, 2, 5_000])
def test_slices_and_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    parts = [part("A", 25), part("B", 3), part("C", 40)]
    expected = [b"".join(write(parts, QUESTION)) for write in (as_json, as_csv)]
    monkeypatch.setattr("hypertape.api.bar_encoder._SLICE", most)
    monkeypatch.setattr("hypertape.api.bar_encoder._CHUNK", 10)
    assert [b"".join(write(parts, QUESTION)) for write in (as_json, as_csv)] == expected


@pytest.mark.parametrize("odd", ["A,B", 'A"B', "A\nB", "É\U0001f600", "<script>"])
def test_an_odd_ticker_stays_one_cell_and_one_key(odd: str) -> None:
    parts = [part(odd, 2)]
    assert list(json.loads(b"".join(as_json(parts, QUESTION)))) == [odd]
    lines = list(csv.DictReader(io.StringIO(b"".join(as_csv(parts, AS_CSV)).decode(), newline="")))
    assert [line["symbol"] for line in lines] == [odd, odd]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_has_no_key_and_an_empty_cell(value: float) -> None:
    bars = part("A", 3).bars
    bars.columns["close_changed"][1] = value
    told = json.loads(b"".join(as_json([BarChunk("A", bars)], QUESTION)))["A"]
    assert ["close_changed" in bar for bar in told] == [False, False, True]
    lines = list(csv.DictReader(io.StringIO(b"".join(as_csv([BarChunk("A", bars)], AS_CSV)).decode())))
    assert lines[1]["close_changed"] == ""


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-7, 1e22, 123456789.123456789, 5e-324])
def test_numbers_read_back_to_the_same_bits(value: float) -> None:
    bars = part("A", 1).bars
    bars.columns["open"][0] = value
    assert json.loads(b"".join(as_json([BarChunk("A", bars)], QUESTION)))["A"][0]["open"] == value
    (line,) = csv.DictReader(io.StringIO(b"".join(as_csv([BarChunk("A", bars)], AS_CSV)).decode()))
    assert float(line["open"]) == value


@pytest.mark.parametrize("most", [1, 5_000])
def test_a_bar_that_may_change_has_a_key_more_and_no_other_is_touched(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """As JSON the default answer says it; as CSV the default answer has the columns that old readers count."""
    monkeypatch.setattr("hypertape.api.bar_encoder._SLICE", most)
    parts, openings = [part("A", 3), part("B", 3)], {"A": utc(1970, 1, 3)}
    told = json.loads(b"".join(as_json(parts, QUESTION, openings)))
    assert [bar.pop("provisional", None) for bar in told["A"]] == [None, None, True]
    assert told == json.loads(b"".join(as_json(parts, QUESTION)))
    plain, marked = (read_query(format="csv", **given).provisional for given in ({}, {"provisional": "true"}))
    assert (plain, marked, read_query(provisional="false").provisional) == (False, True, False)
    old = b"".join(as_csv(parts, read_query(format="csv"), openings)).decode()
    assert old == b"".join(as_csv(parts, read_query(format="csv"))).decode()
    new = b"".join(as_csv(parts, read_query(format="csv", provisional="true"), openings)).decode()
    assert [line.rpartition(",")[0] for line in new.splitlines()] == old.splitlines()
    assert [line.rpartition(",")[2] for line in new.splitlines()] == [
        "provisional",
        "",
        "",
        "true",
        "",
        "",
        "",
    ]
