"""What is wrong with the stream is a finding: opened once, with the command that mends it, closed when it is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from ticks_lab import NOON, refresh, store, tick

from hypertape.frame import micros
from hypertape.model import CRITICAL, STREAM_KINDS, WARNING, utc
from hypertape.stream.gaps import add_gaps, close_gaps, feed_gaps
from hypertape.stream.letters import add_letters, dead_letters, mark_replayed, tick_letter
from hypertape.stream.model import FeedGap
from hypertape.stream.workers import beat, remove_worker
from hypertape.warehouse.findings import Finding, Look, look, open_findings

pytestmark = pytest.mark.database


@pytest.fixture
def warehouse(shared_warehouse: str) -> str:
    return shared_warehouse


NOW = utc(2026, 1, 5, 3)
"""A Monday; HOSE trades from 02:00 to 04:30 UTC."""

MINUTE = timedelta(minutes=1)


def seen(connection: Any, now: datetime = NOW) -> dict[str, Finding]:
    """Look, and return the open findings of the stream by kind."""
    look(connection, Look(now, "lab"))
    found = open_findings(connection, now)
    ours = [each for each in found if each.kind in (*STREAM_KINDS, "worker")]
    assert len({each.kind for each in ours}) == len(ours)
    return {each.kind: each for each in ours}


def feed(heard: datetime | None, *, last: datetime | None = None, **others: Any) -> dict[str, Any]:
    figures = {
        "state": "running", "live": True, "calendar": "24/7",
        "heard_at": heard and micros(heard), "last_tick": heard and micros(last or heard),
    }  # fmt: skip
    return {"feeds": {"fix:ME-THEM": {**figures, **others}}}


@pytest.mark.parametrize(
    ("figures", "now", "kind", "title"),
    [
        (feed(NOW - 4 * MINUTE), NOW, None, ""),  # a quiet minute is no silence
        (feed(NOW - 6 * MINUTE), NOW, "feed_stale", "silent since 2026-01-05T02:54:00"),
        (
            feed(None),
            NOW,
            "feed_stale",
            "silent since 2026-01-05T02:00:00",
        ),  # it never spoke since the stream began
        (feed(NOW - 6 * MINUTE, live=False), NOW, None, ""),  # a file that ends
        (
            feed(NOW - 6 * MINUTE, state="failed"),
            NOW,
            None,
            "",
        ),  # not running: the stream's own error says so
        (feed(NOW - 6 * MINUTE, calendar="HOSE"), NOW, "feed_stale", "its calendar (HOSE) is open"),
        (
            feed(utc(2026, 1, 2, 7, 59), calendar="HOSE"),
            utc(2026, 1, 5, 1),
            None,
            "",
        ),  # since Friday, all closed
        (
            feed(utc(2026, 1, 2, 7, 59), calendar="HOSE"),
            utc(2026, 1, 5, 2, 3),
            None,
            "",
        ),  # open for four minutes of it
        (
            feed(utc(2026, 1, 2, 7, 59), calendar="HOSE"),
            utc(2026, 1, 5, 2, 6),
            "feed_stale",
            "2026-01-02T07:59:00",
        ),
        (feed(NOW, last=NOW - 30 * timedelta(seconds=1)), NOW, None, ""),  # half a minute late is not late
        (feed(NOW, last=NOW - 5 * MINUTE), NOW, "feed_lag", "Ticks of fix:ME-THEM come 300 seconds late"),
        ({"rate": 1.0}, NOW, None, ""),  # an older stream says less
    ],
)
def test_a_feed_is_silent_or_late_by_its_calendar(
    connection: Any, figures: dict[str, Any], now: datetime, kind: str | None, title: str
) -> None:
    beat(connection, "one", NOW - 60 * MINUTE, figures)
    found = seen(connection, now)
    assert list(found) == ([kind] if kind else [])
    if kind:
        assert title in found[kind].title
        assert found[kind].severity == WARNING
        assert found[kind].mend.startswith(
            {"feed_stale": "Look at its", "feed_lag": "Compare the clocks"}[kind]
        )
        remove_worker(connection, "one")
        assert seen(connection, now) == {}, "it is over"


def test_of_a_dead_streams_feed_only_its_death_is_told(connection: Any) -> None:
    beat(connection, "one", NOW - 60 * MINUTE, feed(NOW - 60 * MINUTE))
    connection.execute("update stream_worker set beat_at = clock_timestamp() - interval '1 hour'")
    found = seen(connection)
    assert list(found) == ["worker"]
    assert found["worker"].title.startswith("The stream one is silent since")
    assert "what it missed becomes a gap" in found["worker"].mend


def test_open_gaps_of_a_feed_are_one_finding_until_they_are_closed(connection: Any) -> None:
    gap = FeedGap("my feed", "EURUSD", "sequence", NOON, NOON + 1, 2, 9)
    add_gaps(connection, [gap, gap._replace(symbol="GBPUSD", last_sequence=8)])
    first = seen(connection)["feed_gap"]
    assert first.title == (
        "2 gaps of the feed my feed are open, the first since 2026-01-05T12:00:00 (sequence): 6 ticks by number"
    )
    assert first.mend == (
        "hypertape stream gaps --source 'my feed'; then hypertape stream replay FILE --source 'my feed'"
    )
    one, two = (gap.gap_id for gap in feed_gaps(connection))
    close_gaps(connection, [one], "replay")
    add_gaps(connection, [FeedGap("my feed", None, "silent", NOON, None, None, None)])
    again = seen(connection)["feed_gap"]
    assert again.finding_id == first.finding_id, "one cause, one row"
    assert "(sequence, silent)" in again.title
    close_gaps(connection, [two, *(gap.gap_id for gap in feed_gaps(connection))], "by hand")
    assert seen(connection) == {}


def test_dead_letters_are_a_finding_until_they_are_replayed(connection: Any) -> None:
    add_letters(connection, [tick_letter(tick(), "too old")])
    found = seen(connection)["letters"]
    assert found.title == "1 tick of lab could not be stored"
    assert found.mend.startswith("hypertape stream dead-letters --source lab;")
    mark_replayed(connection, [letter.letter_id for letter in dead_letters(connection)])
    assert seen(connection) == {}


def test_a_spool_in_use_is_a_finding_and_says_who_empties_it(connection: Any) -> None:
    figures = {"writer": {"spool_bytes": 4096, "away": "The database is away"}}
    beat(connection, "one", NOW, figures)
    found = seen(connection)["spool"]
    assert "4 096 bytes of ticks wait on the disk of" in found.title
    assert "the stream stores them itself" in found.mend
    connection.execute("update stream_worker set beat_at = clock_timestamp() - interval '1 hour'")
    gone = seen(connection)["spool"]
    assert (gone.finding_id, gone.mend.split(": ")[1]) == (
        found.finding_id,
        "hypertape stream replay --spool",
    )
    beat(connection, "one", NOW, {"writer": {"spool_bytes": 0}})
    assert seen(connection) == {}


def test_candles_that_nobody_refreshes_are_a_finding(connection: Any, warehouse: str) -> None:
    store(warehouse, [tick()])
    assert seen(connection) == {}, "a stream may be about to refresh them"
    connection.execute("update tick_pending set noted_at = noted_at - interval '1 hour'")
    found = seen(connection)["candles_wait"]
    assert (found.severity, found.mend) == (CRITICAL, "hypertape stream refresh")
    refresh(connection)
    assert seen(connection) == {}
