"""Observers of the stream: feeds that are silent or late by their calendar, gaps, what waits on disks, old candles."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg

from hypertape.calendars.exchange import open_time
from hypertape.model import Window, format_instant
from hypertape.warehouse.claims import LEASE
from hypertape.warehouse.findings.headline import plural
from hypertape.warehouse.findings.ledger import Observation
from hypertape.warehouse.findings.observer import Look, Observer, rows
from hypertape.warehouse.rollups import ABANDONED

Connection = psycopg.Connection[Any]

SILENT_AFTER = timedelta(minutes=5)
"""A feed whose calendar was open for so long since its last tick is silent."""

LATE_AFTER = timedelta(minutes=1)
"""Ticks that are older than this when they come are late."""


def see_feeds(connection: Connection, at: Look) -> Iterator[Observation]:
    """Feeds without an end whose ticks stay away or come late. Of a dead stream `worker` speaks."""
    for row in rows(connection, "finding_feeds", lease=LEASE):
        since = row["heard_at"] or row["started_at"]
        silent = since < at.now and open_time(row["calendar"], Window(since, at.now)) >= SILENT_AFTER
        delay = row["heard_at"] - row["last_tick"] if row["heard_at"] else timedelta()
        if silent:
            yield Observation(
                cause=f"feed_stale/{row['source']}",
                kind="feed_stale",
                title=f"The feed {row['source']} is silent since {format_instant(since)}, while its calendar "
                f"({row['calendar']}) is open",
                mend="Look at its other side; where that sends, start the stream again (hypertape stream run)",
                essence="",
                evidence=row,
            )
        elif delay > LATE_AFTER:
            yield Observation(
                cause=f"feed_lag/{row['source']}",
                kind="feed_lag",
                title=f"Ticks of {row['source']} come {plural(round(delay.total_seconds()), 'second')} late",
                mend="Compare the clocks of both sides; where they agree, the feed itself is behind",
                essence="",
                evidence=row,
            )


def see_feed_gaps(connection: Connection, at: Look) -> Iterator[Observation]:
    """What feeds know that they missed, by feed, until a replay fills it."""
    for row in rows(connection, "finding_feed_gaps"):
        missing = f": {plural(row['ticks'], 'tick')} by number" if row["ticks"] else ""
        source = shlex.quote(row["source"])
        are = "is" if row["gaps"] == 1 else "are"
        yield Observation(
            cause=f"feed_gap/{row['source']}",
            kind="feed_gap",
            title=f"{plural(row['gaps'], 'gap')} of the feed {row['source']} {are} open, the first "
            f"since {format_instant(row['since'])} ({', '.join(row['reasons'])}){missing}",
            mend=f"hypertape stream gaps --source {source}; then hypertape stream replay FILE --source {source}",
            essence=str(row["gaps"]),
            evidence=row,
        )


def see_spools(connection: Connection, at: Look) -> Iterator[Observation]:
    """Ticks that wait on a disk: the database is away or too slow, or their stream is gone."""
    for row in rows(connection, "finding_spools", lease=LEASE):
        by_itself = "Start the database, or find what makes it slow: the stream stores them itself."
        yield Observation(
            cause=f"spool/{row['stream']}",
            kind="spool",
            title=f"{plural(row['bytes'], 'byte')} of ticks wait on the disk of {row['host']}"
            + ("" if row["alive"] else ", and their stream is gone"),
            mend=by_itself if row["alive"] else f"On {row['host']}: hypertape stream replay --spool",
            essence=str(row["alive"]),
            evidence=row,
        )


def see_candles(connection: Connection, at: Look) -> Iterator[Observation]:
    """Candles older than their ticks for longer than a stream or `refresh_ticks` would leave them so."""
    for row in rows(connection, "finding_candles", age=ABANDONED):
        yield Observation(
            cause="candles_wait",
            kind="candles_wait",
            title=f"Candles of ticks wait for their refresh since {format_instant(row['since'])}",
            mend="hypertape stream refresh",
            essence="",
            evidence=row,
        )


STREAM_OBSERVERS = (
    Observer(("feed_stale", "feed_lag"), see_feeds, reach="everywhere"),
    Observer(("feed_gap",), see_feed_gaps, reach="everywhere"),
    Observer(("spool",), see_spools, reach="everywhere"),
    Observer(("candles_wait",), see_candles, reach="everywhere"),
)
