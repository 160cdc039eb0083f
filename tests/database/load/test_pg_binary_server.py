"""Arrays and COPY through a real server: what goes in comes out, bit for bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from lab import query
from psycopg import sql

from hypertape.frame import TIME_TYPE, micros
from hypertape.model import utc
from hypertape.warehouse.pg_binary import FloatArray, IntArray, TimeArray, array_cursor, copy_in

FLOATS = {
    "nothing": [],
    "NaN and both infinities": [np.nan, np.inf, -np.inf],
    "both zeros": [0.0, -0.0],
    "the smallest, the largest, a subnormal": [2.2250738585072014e-308, 1.7976931348623157e308, 5e-324],
    "no short decimal": [0.1, 0.1 + 0.2, 1 / 3, -1e-17],
    "many": np.random.default_rng(1).normal(0, 1e6, 3000).tolist(),
}
TIMES = {
    "nothing": [],
    "before 1970 and before 2000": [
        micros(utc(1900)),
        micros(utc(1969, 12, 31, 23, 59)),
        micros(utc(1999, 12, 31)),
    ],
    "microseconds": [micros(utc(2024)) + 1, micros(utc(2024)) - 1],
    "far ahead": [micros(utc(9999, 12, 31))],
}


@pytest.mark.parametrize("values", FLOATS.values(), ids=FLOATS)
def test_floats(common, values):
    given = np.array(values, np.float64)
    with array_cursor(common) as cursor:
        ((back,),) = cursor.execute("select %s::float8[]", (FloatArray(given),)).fetchall()
    np.testing.assert_array_equal(back.view(np.int64), given.view(np.int64))


@pytest.mark.parametrize("values", TIMES.values(), ids=TIMES)
def test_times(common, values):
    with array_cursor(common) as cursor:
        ((back,),) = cursor.execute(
            "select %s::timestamptz[]", (TimeArray(np.array(values, np.int64)),)
        ).fetchall()
    assert back.tolist() == values


def test_the_server_reads_what_we_mean(common):
    with array_cursor(common) as cursor:
        ((floats, times, numbers),) = cursor.execute(
            "select %s::float8[]::text, %s::timestamptz[]::text, %s::bigint[]::text",
            (
                FloatArray(np.array([1.5, np.nan])),
                TimeArray(np.array([micros(utc(1969, 12, 31, 22))])),
                IntArray(np.array([2**62])),
            ),
        ).fetchall()
    assert (floats, times, numbers) == ("{1.5,NaN}", '{"1969-12-31 22:00:00+00"}', "{4611686018427387904}")


def test_copy_keeps_nulls_and_bits(common):
    times = [utc(1969), utc(2024)]
    floats = [None, 0.1 + 0.2]
    table = pa.table(
        {
            "name": ["A\tB\n\\", "ộ"],
            "time": pa.array(times, TIME_TYPE),
            "x": pa.array(floats, pa.float64()),
            "n": pa.array([1, None], pa.int64()),
        }
    )
    with common.transaction():
        common.execute(
            "create temp table copied (n bigint, x float8, unnamed int, name text, time timestamptz) on commit drop"
        )
        copy_in(common, sql.Identifier("copied"), table)
        rows = query(common, "select name, time, x, n, unnamed from copied order by time")
    assert rows == [("A\tB\n\\", times[0], None, 1, None), ("ộ", times[1], 0.1 + 0.2, None, None)]


def test_copy_of_more_rows_than_one_batch(common):
    table = pa.table({"n": pa.array(np.arange(150_000))})
    with common.transaction():
        common.execute("create temp table copied (n bigint) on commit drop")
        copy_in(common, sql.Identifier("copied"), table)
        rows = query(common, "select count(*), min(n), max(n), count(distinct n) from copied")
    assert rows == [(150_000, 0, 149_999, 150_000)]
