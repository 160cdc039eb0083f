"""How long raw ticks are kept, and how: chunks, compression, dropping. Candles outlive their ticks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg

from hypertape.model import Window, midnight, utc
from hypertape.queries import query
from hypertape.stream.rollups import RefreshedCandles, note_window, refresh_candles

Connection = psycopg.Connection[Any]

_FIRST = utc(1970)


def configure_ticks(connection: Connection, *, chunk_hours: int, compress_days: int) -> None:
    """Say how wide the chunks to come are and when they are compressed; only recorded on plain PostgreSQL."""
    connection.execute(
        query("stream_configure_ticks"), (timedelta(hours=chunk_hours), timedelta(days=compress_days))
    )


def drop_old_ticks(connection: Connection, *, keep_days: int, now: datetime, holder: str) -> datetime | None:
    """Refresh the candles of what is about to go, then drop the ticks older than `keep_days`; return the border (UTC).

    None: no tick was ever dropped. Days whose candles still wait for a refresh (a level failed, somebody else is
    refreshing) stay. Raises what `translate_errors` raises.
    """
    border = midnight((now - timedelta(days=keep_days)).date())
    held = dropped_before(connection) or _FIRST
    if border > held:
        first = _first_tick(connection, Window(held, border))
        if first is not None:
            note_window(connection, Window(first, border))
        refreshed: list[RefreshedCandles] | None = refresh_candles(connection, holder)
        if refreshed is None:
            return dropped_before(connection)
        connection.execute(query("stream_drop_ticks"), (border,))
    return dropped_before(connection)


def dropped_before(connection: Connection) -> datetime | None:
    """The instant (a midnight, UTC) before which raw ticks are gone; None where none were dropped."""
    row = connection.execute(query("stream_border")).fetchone()
    return row[0] if row else None


def _first_tick(connection: Connection, window: Window) -> datetime | None:
    row = connection.execute(query("stream_first_tick"), (window.start, window.end)).fetchone()
    return row[0] if row else None
