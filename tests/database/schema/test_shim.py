"""The TimescaleDB names mean the same on either tier: the plain tier's shim is held to what TimescaleDB does."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from lab import CRYPTO, new_ticker, put, query, tuples_written, value, walk

from hypertape.model import Interval, utc
from hypertape.warehouse.connect import connect
from hypertape.warehouse.schema import tier

ORIGIN = utc(2000, 1, 3)


@pytest.mark.parametrize(
    ("width", "at", "bucket"),
    [
        ("5 minutes", "2020-02-29 23:59:59.999999", "2020-02-29 23:55"),
        ("15 minutes", "1999-12-31 23:59", "1999-12-31 23:45"),
        ("30 minutes", "1969-12-31 23:31", "1969-12-31 23:30"),
        ("1 hour", "2020-01-01 00:00", "2020-01-01 00:00"),
        ("7 days", "2000-01-03", "2000-01-03"),
        ("7 days", "2000-01-02 23:59", "1999-12-27"),
        ("7 days", "1999-12-27", "1999-12-27"),
        ("14 days", "1999-12-27", "1999-12-20"),
        ("14 days", "1999-12-20", "1999-12-20"),
        ("14 days", "2024-12-31", "2024-12-30"),
        ("14 days", "2024-12-29", "2024-12-16"),
    ],
)
def test_time_bucket_of_fixed_widths(common, width, at, bucket):
    statement = "select time_bucket(%s::interval, %s::timestamptz, %s::timestamptz)"
    assert value(common, statement, width, at, ORIGIN) == datetime.fromisoformat(bucket).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("width", "at", "bucket"),
    [
        ("1 month", "2024-02-29 12:00", "2024-02-01"),
        ("1 month", "2000-01-01", "2000-01-01"),
        ("1 month", "1999-12-31 23:59", "1999-12-01"),
        ("1 month", "1950-06-15", "1950-06-01"),
        ("3 months", "2024-06-30", "2024-04-01"),
        ("3 months", "1999-11-30", "1999-10-01"),
        ("1 year", "2024-06-30", "2024-01-01"),
        ("1 year", "1969-06-30", "1969-01-01"),
    ],
)
def test_time_bucket_of_calendar_widths(common, width, at, bucket):
    statement = "select time_bucket(%s::interval, %s::timestamptz, timestamptz '2000-01-01 00:00:00+00')"
    assert value(common, statement, width, at) == datetime.fromisoformat(bucket).replace(tzinfo=UTC)


def test_time_bucket_without_an_origin_counts_weeks_from_monday_and_months_from_january(common):
    at = utc(2024, 5, 16, 10, 44)
    found = {
        width: value(common, "select time_bucket(%s::interval, %s)", width, at)
        for width in ("5 minutes", "7 days", "1 month")
    }
    assert found == {
        "5 minutes": utc(2024, 5, 16, 10, 40),
        "7 days": utc(2024, 5, 13),
        "1 month": utc(2024, 5),
    }


def test_time_bucket_does_not_depend_on_the_sessions_zone(common):
    late = (
        "time_bucket('1 month', timestamptz '2024-04-30 20:00:00+00', timestamptz '2000-01-01 00:00:00+00')"
    )
    with common.transaction():
        common.execute("set local time zone 'Asia/Ho_Chi_Minh'")  # where it is May already
        found = value(common, f"select {late}")
        text = value(common, "select hypertape.rollup_select('x', '1 month')")
    assert found == utc(2024, 4)
    assert text == value(common, "select hypertape.rollup_select('x', '1 month')")


def test_first_and_last_are_by_time_and_keep_nulls_like_timescaledb(common):
    rows = "(values (3.0::float8, 3), (1.0, 1), (null, 2), (4.0, 4)) as v (x, t)"
    at = "timestamptz '2020-01-01' + t * interval '1 day'"
    assert query(common, f"select first(x, {at}), last(x, {at}) from {rows}") == [(1.0, 4.0)]
    assert query(common, f"select first(x, {at}), last(x, {at}) from {rows} where t = 2") == [(None, None)]
    assert query(common, f"select first(x, {at}), last(x, {at}) from {rows} where t > 9") == [(None, None)]


@pytest.mark.parametrize("width", ["7 days", "1 month"])
def test_a_refresh_takes_first_and_last_by_sorted_arrays(common, width):
    """On the plain tier: by first() and last(), two calls of SQL functions a bar, it takes eight times as long."""
    if tier(common) == "timescaledb":
        assert value(common, "select to_regproc('shim.rollup_select')") is None
        return
    text = value(common, "select shim.rollup_select('x', %s)", width)
    assert text.count("array_agg(") == 2
    assert not re.search(r"\b(first|last)\(", text)


def test_first_and_last_also_hold_for_parallel_plans(common):
    """Partial states are merged in any order."""
    with common.transaction():
        common.execute(
            "create temp table many on commit drop as select g % 7 as k, g::float8 as x, timestamptz '2020-01-01' "
            "+ ((g * 7919) % 50021) * interval '1 second' as at from generate_series(1, 50000) g"
        )
        found = query(common, "select k, first(x, at), last(x, at) from many group by k order by k")
        expected = query(
            common,
            "select k, (array_agg(x order by at))[1], (array_agg(x order by at desc))[1] from many "
            "group by k order by k",
        )
    assert found == expected


@pytest.fixture
def week(common, common_warehouse):
    """A ticker with eight weeks of days, not yet rolled up, in a span of its own; its raw refresh call."""
    common.execute("delete from rollup_pending")
    start = utc(2030, 1, 7) + timedelta(
        weeks=20 * len(query(common, "select 1 from series where first_time > '2030-01-01'"))
    )
    ticker = new_ticker()
    put(common, {ticker: walk(56, start=start)})

    def refresh(level, first, last):
        with connect(common_warehouse, autocommit=True) as caller:
            caller.execute(
                "call refresh_continuous_aggregate(%s::regclass, %s::timestamptz, %s::timestamptz)",
                (f"bars.{CRYPTO.relation(level)}", first, last),
            )

    return ticker, start, refresh


def weeks(connection, ticker):
    return [
        row[0]
        for row in query(connection, "select time from crypto_data_1w where ticker = %s order by 1", ticker)
    ]


def test_only_buckets_wholly_inside_the_window_are_refreshed(common, week):
    ticker, start, refresh = week
    refresh(Interval.W1, start + timedelta(days=3), start + timedelta(days=25))
    assert weeks(common, ticker) == [start + timedelta(weeks=1), start + timedelta(weeks=2)]


def test_an_open_ended_refresh_takes_everything(common, week):
    ticker, start, refresh = week
    refresh(Interval.W1, None, None)
    assert weeks(common, ticker) == [start + timedelta(weeks=number) for number in range(8)]


def test_a_window_under_one_bucket_is_refused(week):
    _, start, refresh = week
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="refresh window too small"):
        refresh(Interval.W1, start + timedelta(days=1), start + timedelta(days=9))


def test_a_level_above_an_empty_one_stays_empty(common, week):
    ticker, start, refresh = week
    refresh(Interval.W2, start - timedelta(weeks=2), start + timedelta(weeks=12))
    assert value(common, "select count(*) from crypto_data_2w where ticker = %s", ticker) == 0


def test_a_refresh_removes_buckets_whose_bars_are_gone(common, week):
    ticker, start, refresh = week
    refresh(Interval.W1, start, start + timedelta(weeks=8))
    common.execute(
        "delete from bars.crypto_data_1d where ticker = %s and time >= %s and time < %s",
        (ticker, start + timedelta(weeks=2), start + timedelta(weeks=3)),
    )
    refresh(Interval.W1, start, start + timedelta(weeks=8))
    assert start + timedelta(weeks=2) not in weeks(common, ticker)
    assert len(weeks(common, ticker)) == 7


def test_a_second_refresh_changes_nothing(common, week):
    """On the plain tier it writes nothing either; TimescaleDB decides for itself which rows it replaces."""
    ticker, start, refresh = week
    window = (start, start + timedelta(weeks=8))
    refresh(Interval.W1, *window)
    everything = "select * from crypto_data_1w where ticker = %s order by time"
    before = query(common, everything, ticker)
    refresh(Interval.W1, *window)
    assert query(common, everything, ticker) == before
    assert len(before) == 8
    if tier(common) == "plain":
        assert written_by_a_refresh(common, window) == {}
        common.execute(
            "update bars.crypto_data_1d set volume = 1 where ticker = %s and time = %s", (ticker, start)
        )
        assert written_by_a_refresh(common, window) == {"bars.crypto_data_1w": 1}


def written_by_a_refresh(connection, window):
    with tuples_written(connection) as written:
        connection.execute(
            "call refresh_continuous_aggregate('bars.crypto_data_1w'::regclass, %s, %s)", window
        )
    return written


def test_compatible_names_exist_on_either_tier(common):
    """Scripts written for TimescaleDB find what they call; the plain tier records policies and runs none."""
    with common.transaction(force_rollback=True):
        common.execute("create table made_here (time timestamptz not null, x float8)")
        common.execute(
            "select create_hypertable('made_here', 'time', chunk_time_interval => interval '1 day')"
        )
        common.execute("select add_retention_policy('made_here', interval '90 days')")
        if tier(common) == "plain":
            config = value(
                common, "select config from shim.policy where relation = 'made_here' and kind = 'retention'"
            )
            assert config == {"drop_after": "90 days"}
        else:
            assert (
                value(
                    common,
                    "select config ->> 'drop_after' from timescaledb_information.jobs "
                    "where hypertable_name = 'made_here'",
                )
                == "90 days"
            )


def test_sums_of_volumes_agree_between_the_tiers_way_of_adding(common, week):
    ticker, start, refresh = week
    refresh(Interval.W1, start, start + timedelta(weeks=8))
    bars = walk(56, start=start)
    sums = [
        row[0]
        for row in query(common, "select volume from crypto_data_1w where ticker = %s order by time", ticker)
    ]
    assert sums == pytest.approx([math.fsum(part) for part in np.split(bars.volume, 8)], rel=1e-12)
