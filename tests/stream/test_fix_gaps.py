"""What a FIX feed misses is a row of `feed_gap`: numbers, a reconnect, a silence; a replay closes them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from acceptor import accepting
from ticks_lab import DAY_ONE, NOW, value

from hypertape.stream.database import DatabaseSink
from hypertape.stream.feeds import FeedConfig, open_feed
from hypertape.stream.gaps import feed_gaps
from hypertape.stream.model import SCALE, Tick
from hypertape.stream.record import json_of
from hypertape.stream.run import Stream

pytestmark = pytest.mark.database

NAME = "fix:ME-THEM"
CONFIG = FeedConfig(first_pause=0.05, longest_pause=0.1, clock=lambda: DAY_ONE)


def streamed(dsn: str, directory: Path, feed: Any, *, resumes: bool = True) -> Stream:
    database = DatabaseSink(dsn, directory / "spool", now=lambda: NOW)
    return Stream([feed], dsn=dsn, database=database, resumes=resumes, clock=lambda: NOW)


async def stored(connection: Any, ticks: int) -> None:
    """Wait for so many ticks in the database."""
    async with asyncio.timeout(20):
        while value(connection, "select count(*) from ticks") < ticks:
            await asyncio.sleep(0.02)


async def play(dsn: str, directory: Path, connection: Any) -> tuple[int, int]:
    """Numbers are lost for good, the connection breaks, heartbeats stop; return the numbers around the lost ones."""
    async with accepting(resends=False) as other:
        feed = open_feed(
            f"fix:127.0.0.1:{other.port}?sender=ME&target=THEM&symbols=EURUSD&resume=no&heartbeat=1", CONFIG
        )
        running = asyncio.create_task(streamed(dsn, directory, feed).run())
        await other.subscribed.wait()
        other.send(other.snapshot("1.00001", "2", 1))
        before = other.number
        for second in (2, 3):
            other.snapshot("1.00002", "2", second)
        other.send(other.snapshot("1.00004", "2", 4))
        after = other.number
        await stored(connection, 2)
        other.subscribed.clear()
        other.cut()
        await other.subscribed.wait()
        other.send(other.snapshot("1.00005", "2", 5))
        await stored(connection, 3)
        other.subscribed.clear()
        other.answers = False
        async with asyncio.timeout(20):
            while value(connection, "select count(*) from feed_gap where reason = 'silent'") == 0:
                await asyncio.sleep(0.02)
        other.answers = True
        await other.subscribed.wait()
        other.send(other.snapshot("1.00006", "2", 6))
        await stored(connection, 4)
        await feed.close()
        await running
    return before, after


def test_each_kind_of_gap_is_a_row_and_a_replay_closes_what_it_fills(
    warehouse: str, connection: Any, tmp_path: Path
) -> None:
    before, after = asyncio.run(play(warehouse, tmp_path, connection))
    found = {gap.reason: gap for gap in feed_gaps(connection)}
    assert set(found) == {"sequence", "reconnect", "silent"}
    assert (found["sequence"].last_sequence, found["sequence"].first_sequence) == (before, after)
    assert {gap.source for gap in found.values()} == {NAME}
    assert all(gap.end_time is not None for gap in found.values()), "each ended with the next tick"
    missed = tmp_path / "missed.jsonl"
    lost = [
        Tick(
            "EURUSD", DAY_ONE + second * 1_000_000, before + second - 1, SCALE, 2 * SCALE, SCALE, SCALE, NAME
        )
        for second in (2, 3)
    ]
    missed.write_bytes(b"\n".join(json_of(tick) for tick in lost))
    replay = open_feed(f"jsonl:{missed}?source={NAME}", CONFIG)
    asyncio.run(streamed(warehouse, tmp_path, replay, resumes=False).run())
    assert value(connection, "select count(*) from ticks") == 6
    closed = [gap for gap in feed_gaps(connection, closed=True) if gap.closed_at is not None]
    assert [(gap.reason, gap.closed_by) for gap in closed] == [("sequence", "replay")]
