"""PostgreSQL's binary arrays, made and read without a server. The bytes are those of its documentation."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hypertape.frame import micros
from hypertape.model import utc
from hypertape.warehouse import pg_binary
from hypertape.warehouse.pg_binary import FloatArray, IntArray, TimeArray, repeat_strings

FLOAT8, INT8, TIMESTAMPTZ = 701, 20, 1184


def dump(parameter):
    kind = {
        FloatArray: pg_binary._FloatDumper,
        IntArray: pg_binary._IntDumper,
        TimeArray: pg_binary._TimeDumper,
    }[type(parameter)]
    return kind(type(parameter)).dump(parameter)


def load_floats(data):
    return pg_binary._FloatLoader(0).load(data)


def load_times(data):
    return pg_binary._TimeLoader(0).load(data)


def by_hand(element, code, values):
    header = struct.pack(">iiIii", 1, 0, element, len(values), 1)
    return header + b"".join(struct.pack(f">i{code}", 8, value) for value in values)


def test_arrays_are_written_as_postgresql_documents_them():
    assert dump(FloatArray(np.array([1.5, -2.25]))) == by_hand(FLOAT8, "d", [1.5, -2.25])
    assert dump(IntArray(np.array([1, -(2**62)]))) == by_hand(INT8, "q", [1, -(2**62)])


@pytest.mark.parametrize(
    ("instant", "since_2000"),
    [
        pytest.param(utc(2000), 0, id="where PostgreSQL counts from"),
        pytest.param(utc(1999, 12, 31, 23, 59), -60_000_000, id="before it"),
        pytest.param(utc(1970), -946_684_800_000_000, id="where we count from"),
        pytest.param(utc(1900), -3_155_673_600_000_000, id="long before both"),
    ],
)
def test_times_count_from_2000(instant, since_2000):
    data = dump(TimeArray(np.array([micros(instant)])))
    assert data == by_hand(TIMESTAMPTZ, "q", [since_2000])
    assert load_times(data).tolist() == [micros(instant)]


any_floats = arrays.arrays(np.float64, st.integers(0, 40), elements=st.floats(width=64))


@settings(deadline=None)
@given(any_floats)
def test_floats_come_back_bit_for_bit(values):
    back = load_floats(dump(FloatArray(values)))
    np.testing.assert_array_equal(back.view(np.int64), values.view(np.int64))
    assert back.dtype == np.float64
    assert back.flags.writeable


@settings(deadline=None)
@given(arrays.arrays(np.int64, st.integers(0, 40), elements=st.integers(-(2**60), 2**60)))
def test_times_come_back(values):
    assert load_times(dump(TimeArray(values))).tolist() == values.tolist()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(struct.pack(">iiI", 0, 0, FLOAT8), id="as the server sends an empty array"),
        pytest.param(struct.pack(">iiIii", 1, 0, FLOAT8, 0, 1), id="as we do"),
    ],
)
def test_empty_arrays(data):
    assert load_floats(data).tolist() == []
    assert load_times(memoryview(data)).tolist() == []


def test_a_null_inside_is_a_defect_of_the_query():
    with pytest.raises(AssertionError, match="must replace null"):
        load_floats(struct.pack(">iiIii", 1, 1, FLOAT8, 1, 1) + struct.pack(">i", -1))


@pytest.mark.parametrize(
    ("values", "counts", "expected"),
    [
        (["A", "B"], [2, 1], ["A", "A", "B"]),
        (["A", "B"], [0, 3], ["B", "B", "B"]),
        (["VIC"], [1], ["VIC"]),
        ([], [], []),
    ],
)
def test_strings_are_repeated(values, counts, expected):
    found = repeat_strings(values, counts)
    assert found.to_pylist() == expected
    assert found.type == pa.string()
