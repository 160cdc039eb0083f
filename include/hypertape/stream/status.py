"""How the streams of a warehouse do: who runs, how late the newest tick is, what is missing and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from hypertape.queries import query
from hypertape.stream.symbols import MARKET
from hypertape.stream.workers import StreamWorker, stream_workers

ALIVE = timedelta(seconds=15)
"""A stream that has not beaten for so long is dead, or cannot reach the warehouse."""

_LOOK_BACK = timedelta(days=7)
_LOOK_AHEAD = timedelta(hours=1)


def stream_status(connection: psycopg.Connection[Any], now: datetime) -> dict[str, Any]:
    """The status as `stream status --json` and `/api/v1/stream` give it; instants in UTC.

    `lag_seconds` is how old the newest tick of the last seven days is, null without one.
    """
    counts = stream_counts(connection, now)
    newest = counts.get("newest_tick")
    return {
        "streams": [_worker(worker, now) for worker in stream_workers(connection)],
        "newest_tick": newest,
        "lag_seconds": round((now - newest).total_seconds(), 3) if newest else None,
        "open_gaps": counts.get("open_gaps", 0),
        "dead_letters": counts.get("dead_letters", 0),
        "pending_ranges": counts.get("pending_ranges", 0),
    }


def stream_counts(connection: psycopg.Connection[Any], now: datetime) -> dict[str, Any]:
    """How many gaps, dead letters and waiting ranges there are, and the newest tick of the last seven days."""
    parameters = {"since": now - _LOOK_BACK, "before": now + _LOOK_AHEAD, "market": MARKET}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("stream_counts"), parameters).fetchone() or {}


def spooled_bytes(directory: Path) -> int:
    """Bytes that wait in this machine's spool."""
    return sum(path.stat().st_size for path in _files(directory))


def _files(directory: Path) -> Sequence[Path]:
    return [path for path in directory.rglob("*") if path.is_file()] if directory.is_dir() else []


def _worker(worker: StreamWorker, now: datetime) -> dict[str, Any]:
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "started_at": worker.started_at,
        "beat_at": worker.beat_at,
        "alive": now - worker.beat_at < ALIVE,
        "figures": dict(worker.figures),
    }
