"""Candles of ticks brought up to date where ticks came and nobody refreshed them, and old ticks let go.

A running stream refreshes its candles itself, every few seconds. What it left when it ended, what a replay stored, and
what another program wrote is refreshed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypertape.errors import CheckFailed
from hypertape.model import format_instant
from hypertape.settings import Settings
from hypertape.stream.retention import configure_ticks, drop_old_ticks
from hypertape.stream.rollups import RefreshedCandles, check_candles, pending_notes, refresh_candles
from hypertape.warehouse.connect import connect


@dataclass(frozen=True, slots=True)
class RefreshedTicks:
    """What was refreshed; None: somebody else is at it. `buckets` were compared with their ticks."""

    ranges: list[RefreshedCandles] | None
    buckets: int = 0

    def to_json(self) -> dict[str, Any]:
        """Ranges by level, instants as text; `busy` where somebody else refreshes."""
        ranges = [
            {
                "timeframe": each.timeframe,
                "start": format_instant(each.window.start),
                "end": format_instant(each.window.end),
            }
            for each in self.ranges or []
        ]
        return {"busy": self.ranges is None, "ranges": ranges, "buckets": self.buckets}


def refresh_ticks(dsn: str, holder: str, *, prove: bool = True) -> RefreshedTicks:
    """Refresh the candles over every noted range, and prove them equal to their ticks.

    `holder` names the caller. Raises CheckFailed where a bucket is not what its ticks make.
    """
    with connect(dsn, autocommit=True, application_name="hypertape stream") as connection:
        done: list[RefreshedCandles] = []
        while pending_notes(connection)[0]:
            refreshed = refresh_candles(connection, holder)
            if refreshed is None:
                return RefreshedTicks(done or None)
            if not refreshed:
                break
            done += refreshed
        return RefreshedTicks(done, _prove(connection, done) if prove else 0)


def _prove(connection: Any, done: list[RefreshedCandles]) -> int:
    """Compare what was refreshed; return the number of buckets. What differs while ticks come is no proof."""
    compared, wrong = 0, []
    for each in done:
        (check,) = check_candles(connection, each.window, [each.timeframe])
        compared += check.buckets
        if check.differing and not pending_notes(connection)[0]:
            wrong.append(f"{check.differing} buckets of {each.timeframe} in {each.window}")
    if wrong:
        raise CheckFailed(
            f"Candles differ from their ticks: {'; '.join(wrong[:5])}",
            next_step="Somebody wrote candles or ticks by hand. See `hypertape doctor`.",
        )
    return compared


def retain_ticks(dsn: str, holder: str, *, now: datetime, settings: Settings) -> datetime | None:
    """Keep chunks as the settings want them, and drop the ticks that are older than they are kept, their candles
    refreshed; return the border (UTC), None where nothing was ever dropped.
    """
    with connect(dsn, autocommit=True, application_name="hypertape stream") as connection:
        configure_ticks(
            connection, chunk_hours=settings.tick_chunk_hours, compress_days=settings.tick_compress_days
        )
        return drop_old_ticks(connection, keep_days=settings.tick_keep_days, now=now, holder=holder)
