"""Which answers are the same answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hypertape.api.answer_version import Version, version_of
from hypertape.api.bar_query import read_query
from hypertape.api.bar_statements import Stored
from hypertape.model import utc

NOW = utc(2025, 1, 2, 12)
DAY = Stored("vn", "A", utc(2024), utc(2025), 7, NOW - timedelta(hours=1), None)
DAILY, WEEKLY = read_query(symbol=["A"]), read_query(symbol=["A"], interval="1W")


@pytest.mark.parametrize(
    ("question", "stored", "same", "reason"),
    [
        (DAILY, DAY, True, "nothing happened"),
        (DAILY, DAY._replace(load_id=8), False, "a load changed a bar"),
        (DAILY, DAY._replace(pending=7), True, "stored bars do not wait for rollups"),
        (DAILY, DAY._replace(loaded_at=NOW), True, "the load's id tells it from others, not its time"),
        (replace(DAILY, limit=3), DAY, False, "another question"),
        (replace(DAILY, format="csv"), DAY, False, "another format"),
        (replace(DAILY, legacy=True), DAY, False, "another unit"),
        (replace(DAILY, emas=(5,)), DAY, False, "more columns"),
    ],
)
def test_the_tag_follows_the_bars_and_the_question(question, stored, same: bool, reason: str) -> None:
    first, other = version_of(DAILY, [DAY], NOW), version_of(question, [stored], NOW)
    assert (first.etag == other.etag) is same, reason


def test_a_rollup_that_waits_is_another_answer_than_the_refreshed_one() -> None:
    waiting, done = (version_of(WEEKLY, [DAY._replace(pending=p)], NOW) for p in (7, None))
    assert waiting.etag != done.etag
    assert waiting.modified is None, "the refresh changes bars and no load's time"
    assert done.modified is not None


def test_a_young_load_is_not_told_by_seconds() -> None:
    """Another one in the same second would be taken for it."""
    assert version_of(DAILY, [DAY._replace(loaded_at=NOW - timedelta(seconds=1))], NOW).modified is None
    half = DAY._replace(loaded_at=NOW - timedelta(seconds=10, microseconds=500_000))
    assert version_of(DAILY, [half], NOW).modified == NOW - timedelta(seconds=10), (
        "rounded up: never too early"
    )


VERSION = Version('W/"abc"', utc(2025, 1, 2, 11))


@pytest.mark.parametrize(
    ("headers", "known", "reason"),
    [
        ({}, False, "nobody asked"),
        ({"if-none-match": 'W/"abc"'}, True, "the same tag"),
        ({"if-none-match": '"abc"'}, True, "weak comparison"),
        ({"if-none-match": '"x", W/"abc" ,"y"'}, True, "one of several"),
        ({"if-none-match": "*"}, True, "any"),
        ({"if-none-match": '"x"'}, False, "another"),
        (
            {"if-none-match": '"x"', "if-modified-since": "Fri, 03 Jan 2025 00:00:00 GMT"},
            False,
            "the tag wins",
        ),
        ({"if-modified-since": "Thu, 02 Jan 2025 11:00:00 GMT"}, True, "not changed since"),
        ({"if-modified-since": "Thu, 02 Jan 2025 10:59:59 GMT"}, False, "changed since"),
        ({"if-modified-since": "yesterday"}, False, "no date"),
        ({"if-modified-since": "Thu, 02 Jan 2025 11:00:00"}, True, "a date without a zone is UTC"),
    ],
)
def test_what_a_client_has_already(headers: dict[str, str], known: bool, reason: str) -> None:
    assert VERSION.is_known(headers) is known, reason


def test_an_answer_without_a_time_is_never_unchanged_since() -> None:
    since = {"if-modified-since": "Thu, 02 Jan 2025 11:00:00 GMT"}
    assert not Version('W/"abc"', None).is_known(since)


def test_an_answer_with_a_mark_has_a_tag_that_goes_with_the_mark_and_no_date() -> None:
    """The mark goes by the clock, without a load."""
    marked, over = (version_of(DAILY, [DAY], NOW, openings) for openings in ({("vn", "A"): NOW}, {}))
    assert marked.etag != over.etag
    assert (marked.modified, over.modified) == (None, DAY.loaded_at)
