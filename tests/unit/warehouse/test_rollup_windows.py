"""Which buckets a change touches, and how ranges are joined."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypertape.model import Interval, Window, utc
from hypertape.warehouse.rollups import buckets, derived, merge_windows

instants = st.timedeltas(timedelta(days=-36_500), timedelta(days=73_000)).map(lambda since: utc(2000) + since)
levels = st.sampled_from([interval for interval in Interval if not interval.is_stored])


@pytest.mark.parametrize(
    ("interval", "at", "start", "end"),
    [
        pytest.param(
            "5m", utc(2024, 2, 29, 23, 59), utc(2024, 2, 29, 23, 55), utc(2024, 3, 1), id="leap day"
        ),
        pytest.param(
            "1w", utc(2024, 12, 30), utc(2024, 12, 30), utc(2025, 1, 6), id="a Monday is its week's start"
        ),
        pytest.param(
            "1w", utc(2024, 12, 29), utc(2024, 12, 23), utc(2024, 12, 30), id="a Sunday is its week's end"
        ),
        pytest.param("2w", utc(2000, 1, 3), utc(2000, 1, 3), utc(2000, 1, 17), id="the origin"),
        pytest.param(
            "2w", utc(2000, 1, 2), utc(1999, 12, 20), utc(2000, 1, 3), id="the day before the origin"
        ),
        pytest.param("1mo", utc(2023, 12, 31), utc(2023, 12, 1), utc(2024, 1, 1), id="December ends a year"),
        pytest.param("1mo", utc(2024, 2, 1), utc(2024, 2, 1), utc(2024, 3, 1), id="the first of a month"),
        pytest.param("1mo", utc(1969, 12, 31, 23), utc(1969, 12, 1), utc(1970, 1, 1), id="before 1970"),
    ],
)
def test_the_bucket_of_an_instant(interval, at, start, end):
    assert buckets(Interval(interval), at, at) == Window(start, end)


def test_a_span_takes_the_buckets_of_both_ends():
    assert buckets(Interval.MO1, utc(2023, 11, 30), utc(2024, 1, 1)) == Window(utc(2023, 11), utc(2024, 2))


def test_an_instant_in_another_zone_is_the_same_instant():
    east = timezone(timedelta(hours=7))
    assert buckets(Interval.MO1, datetime(2024, 1, 1, 3, tzinfo=east), utc(2023, 12, 31)) == Window(
        utc(2023, 12), utc(2024, 1)
    )


@settings(deadline=None)
@given(levels, instants, instants)
def test_buckets_hold_the_span_in_whole_buckets(level, one, other):
    first, last = sorted((one, other))
    window = buckets(level, first, last)
    assert window.start <= first <= last < window.end
    assert buckets(level, window.start, window.start).start == window.start
    just_before_the_end = window.end - timedelta(microseconds=1)
    assert buckets(level, just_before_the_end, just_before_the_end).end == window.end


windows = st.lists(
    st.tuples(st.integers(0, 500), st.integers(1, 30)).map(
        lambda pair: Window(utc(2020) + timedelta(hours=pair[0]), utc(2020) + timedelta(hours=sum(pair)))
    ),
    max_size=40,
)


@settings(deadline=None)
@given(windows)
def test_joined_windows_cover_the_same_hours(given_windows):
    joined = merge_windows(given_windows)
    assert hours(joined) == hours(given_windows)
    assert all(a.end < b.start for a, b in itertools.pairwise(joined)), "apart and in order"


@settings(deadline=None)
@given(windows, st.integers(1, 5))
def test_no_more_windows_than_asked_for_and_none_lost(given_windows, most):
    joined = merge_windows(given_windows, most)
    assert len(joined) <= most
    assert hours(given_windows) <= hours(joined)


def test_windows_are_joined_over_the_smallest_gaps():
    days = [Window(utc(2020, 1, day), utc(2020, 1, day + 1)) for day in (1, 3, 10, 20)]
    assert merge_windows(days, 3) == [Window(utc(2020, 1, 1), utc(2020, 1, 4)), *days[2:]]


def test_no_windows():
    assert merge_windows([]) == []


def test_rollups_come_after_what_they_stand_on():
    assert [interval.value for interval in derived(Interval.M1)] == ["5m", "15m", "30m"]
    assert [interval.value for interval in derived(Interval.D1)] == ["1w", "2w", "1mo"]
    assert derived(Interval.H1) == ()


def hours(found):
    return {
        window.start + timedelta(hours=hour)
        for window in found
        for hour in range(int((window.end - window.start) / timedelta(hours=1)))
    }
