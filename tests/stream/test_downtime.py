"""What came between an earlier run of a feed and this one is a gap, read off the ticks that are stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from ticks_lab import NOON, rows, store, tick, value

from hypertape.frame import instant
from hypertape.model import utc
from hypertape.stream.downtime import Downtime
from hypertape.stream.gaps import add_gaps, feed_gaps
from hypertape.stream.model import FeedGap, Tick

pytestmark = pytest.mark.database


@pytest.fixture
def warehouse(shared_warehouse: str) -> str:
    return shared_warehouse


SECOND = 1_000_000
LATER = utc(2100, 1, 1)
"""A run that starts after everything was stored."""


def begun(
    first: Tick, *, numbering: str = "symbol", calendar: str = "24/7", heard_at: int | None = None
) -> Downtime:
    downtime = Downtime({first.source: numbering}, {first.source: calendar})
    downtime.see(first.source, [first], first.time if heard_at is None else heard_at)
    assert downtime.waiting is (numbering != "none")
    return downtime


@pytest.mark.parametrize(
    ("numbering", "first", "found"),
    [
        ("symbol", {"sequence": 9}, [("sequence", "EURUSD", 2, 9)]),  # 3 to 8 are missing
        ("symbol", {"sequence": 3}, []),  # the count goes on
        ("symbol", {"sequence": 2}, []),  # the same once more
        ("symbol", {"sequence": 1}, []),  # a count that began anew: nobody can know
        ("symbol", {"symbol": "GBPUSD", "sequence": 9}, []),  # a symbol that was never there
        ("symbol", {"sequence": 9, "source": "other"}, []),  # another feed of the same symbol
        ("feed", {"symbol": "GBPUSD", "sequence": 9}, [("sequence", None, 2, 9)]),  # one count over all
        (
            "session",
            {"sequence": 1},
            [("reconnect", None, None, None)],
        ),  # its count says nothing of the time between
        ("none", {"sequence": 9}, []),  # a feed without numbers cannot know
    ],
)
def test_the_first_tick_is_compared_with_the_last_one_stored(
    warehouse: str, connection: Any, numbering: str, first: dict[str, Any], found: list[Any]
) -> None:
    store(warehouse, [tick(time=NOON + n * SECOND, sequence=n) for n in (1, 2)])
    downtime = begun(tick(time=NOON + 60 * SECOND, **first), numbering=numbering)
    gaps = downtime.compare(connection, LATER)
    assert [(g.reason, g.symbol, g.last_sequence, g.first_sequence) for g in gaps] == found
    assert all((g.start, g.end) == (NOON + 2 * SECOND, NOON + 60 * SECOND) for g in gaps)
    assert [gap.reason for gap in feed_gaps(connection)] == [reason for reason, *_ in found]
    assert not downtime.waiting
    assert downtime.compare(connection, LATER) == [], "once"


def test_the_lowest_number_counts_whatever_came_first(warehouse: str, connection: Any) -> None:
    store(warehouse, [tick(sequence=1)])
    downtime = begun(tick(time=NOON + 9 * SECOND, sequence=9))
    downtime.see(
        "lab", [tick(time=NOON + 5 * SECOND, sequence=5), tick(time=NOON + 10 * SECOND, sequence=10)], NOON
    )
    (gap,) = downtime.compare(connection, LATER)
    assert (gap.last_sequence, gap.first_sequence) == (1, 5)


def test_a_session_missed_nothing_while_its_calendar_was_closed(warehouse: str, connection: Any) -> None:
    friday, sunday = utc(2026, 1, 2, 8, 30), utc(2026, 1, 4, 12)  # HOSE closes at 08:00 UTC
    store(warehouse, [tick(time=_micros(friday), sequence=5)], now=_micros(friday))
    first = tick(time=_micros(sunday), sequence=1)
    assert begun(first, numbering="session", calendar="HOSE").compare(connection, LATER) == []
    assert len(begun(first, numbering="session").compare(connection, LATER)) == 1


def test_a_snapshot_of_an_old_quote_ends_the_gap_when_it_came(warehouse: str, connection: Any) -> None:
    store(warehouse, [tick(sequence=1)])
    first = tick(time=NOON, sequence=2)
    (gap,) = begun(first, numbering="session", heard_at=NOON + 60 * SECOND).compare(connection, LATER)
    assert (gap.start, gap.end) == (NOON, NOON + 60 * SECOND)


def test_a_session_is_not_compared_with_its_own_ticks(warehouse: str, connection: Any) -> None:
    started = value(connection, "select clock_timestamp()")
    store(warehouse, [tick(sequence=1)])
    first = tick(time=NOON + SECOND, sequence=2)
    assert begun(first, numbering="session").compare(connection, started) == []


def test_a_gap_that_a_killed_run_left_open_gets_its_end(warehouse: str, connection: Any) -> None:
    silent = FeedGap("lab", None, "silent", NOON, None, None, None)
    add_gaps(connection, [silent, silent._replace(source="other")])
    begun(tick(time=NOON + SECOND)).compare(connection, LATER)
    ends = dict(rows(connection, "select source, end_time from feed_gap"))
    assert ends == {"lab": instant(NOON + SECOND), "other": None}
    add_gaps(connection, [silent._replace(reason="reconnect")])
    earlier = value(connection, "select clock_timestamp()") - timedelta(minutes=1)
    begun(tick(time=NOON + SECOND)).compare(connection, earlier)
    assert value(connection, "select end_time from feed_gap where reason = 'reconnect'") is None, (
        "of this run itself"
    )


def _micros(at: Any) -> int:
    return int(at.timestamp()) * SECOND
