"""Running streams and what they say of themselves, for `stream status` from anywhere."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from hypertape.queries import query

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class StreamWorker:
    """A row of `stream_worker`. `figures` is what the stream reports: queue, spool, rates, lag."""

    name: str
    host: str
    pid: int
    started_at: datetime
    beat_at: datetime
    figures: Mapping[str, Any]


def beat(connection: Connection, name: str, started_at: datetime, figures: Mapping[str, Any]) -> None:
    """Say that a stream lives, and how it does."""
    parameters = (name, socket.gethostname(), os.getpid(), started_at, json.dumps(dict(figures), default=str))
    connection.execute(query("stream_beat"), parameters)


def stream_workers(connection: Connection) -> list[StreamWorker]:
    """Every stream that ever ran and was not removed, newest beat first."""
    rows = connection.execute(query("stream_workers")).fetchall()
    return [StreamWorker(*row) for row in rows]


def sign_off(connection: Connection, name: str, silent_since: datetime) -> None:
    """A stream ended as it should; those that fell silent before that instant are forgotten, too."""
    remove_worker(connection, name)
    for worker in stream_workers(connection):
        if worker.beat_at < silent_since:
            remove_worker(connection, worker.name)


def remove_worker(connection: Connection, name: str) -> None:
    """Forget a stream."""
    connection.execute(query("stream_remove_worker"), (name,))
