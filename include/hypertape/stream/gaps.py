"""What feeds know that they missed: noted as it is found, closed when a replay fills it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from hypertape.frame import instant
from hypertape.queries import query
from hypertape.stream.model import FeedGap, GapFilled
from hypertape.stream.symbols import MARKET

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class KnownGap:
    """A row of `feed_gap`. `end_time` is None while it lasts, `closed_at` until it is filled."""

    gap_id: int
    source: str
    symbol: str | None
    reason: str
    start_time: datetime
    end_time: datetime | None
    last_sequence: int | None
    first_sequence: int | None
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None


def add_gaps(connection: Connection, gaps: Sequence[FeedGap]) -> None:
    """Note gaps; one that is known gets its end. In the caller's transaction."""
    newest = {(gap.source, gap.symbol, gap.reason, gap.start, gap.last_sequence): gap for gap in gaps}
    for gap in newest.values():
        end = None if gap.end is None else instant(gap.end)
        connection.execute(
            query("stream_add_gap"),
            (
                gap.source,
                gap.symbol,
                gap.reason,
                instant(gap.start),
                end,
                gap.last_sequence,
                gap.first_sequence,
            ),
        )


def fill_gaps(connection: Connection, filled: Sequence[GapFilled]) -> None:
    """Close gaps of which the feed itself says that everything came after all. In the caller's transaction."""
    for gap, by in filled:
        key = gap.source, gap.symbol, gap.reason, instant(gap.start), gap.last_sequence
        connection.execute(query("stream_fill_gap"), (by, *key))


def feed_gaps(
    connection: Connection, *, source: str | None = None, closed: bool = False, limit: int = 1000
) -> list[KnownGap]:
    """Known gaps, newest first; those that are closed too where `closed`."""
    parameters = {"source": source, "closed": closed, "limit": limit}
    rows = connection.execute(query("stream_gaps"), parameters).fetchall()
    return [KnownGap(*row) for row in rows]


def close_filled_gaps(connection: Connection, by: str) -> list[int]:
    """Close the gaps of a symbol's sequence all of whose numbers are stored by now; return their ids."""
    rows = connection.execute(query("stream_close_filled_gaps"), {"by": by, "market": MARKET}).fetchall()
    return [gap_id for (gap_id,) in rows]


def close_gaps(connection: Connection, gap_ids: Sequence[int], by: str) -> None:
    """Close gaps that a replay is known to cover, saying what did it."""
    connection.execute(query("stream_close_gaps"), (by, list(gap_ids)))
