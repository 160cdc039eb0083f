"""Compressed chunks that a load changes in bulk: opened before it, closed after it.

Rows of a compressed chunk that are changed in place leave it several times as large. Where a load changes a good part
of a chunk, decompressing it, writing, and compressing it again takes about as long and leaves it as small as it was.
On plain PostgreSQL there are no chunks and nothing happens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
from psycopg.pq import TransactionStatus

from hypertape.errors import HypertapeError
from hypertape.frame import instant, micros
from hypertape.queries import query
from hypertape.warehouse.connect import translate_errors
from hypertape.warehouse.loading.batch import LoadRequest, SeriesLoad

Connection = psycopg.Connection[Any]

CHUNK_SHARE = 0.05
"""From this share of its rows on a chunk is opened: 5 % changed in place make it a fifth larger (measured)."""

FEWEST = 5_000
"""Loads that change fewer stored rows do not ask: whatever they leave behind is small."""

_log = logging.getLogger(__name__)


class ChunksInTheWay(Exception):
    """A load would change these compressed chunks in bulk. Nothing is written yet."""

    def __init__(self, chunks: Sequence[str]) -> None:
        self.chunks = tuple(chunks)
        super().__init__(", ".join(chunks))


def can_open(connection: Connection) -> bool:
    """Chunks are opened and closed in transactions of their own, so not within somebody else's."""
    return connection.info.transaction_status == TransactionStatus.IDLE


def chunks_in_the_way(connection: Connection, request: LoadRequest, batch: Sequence[SeriesLoad]) -> list[str]:
    """The compressed chunks of which this load changes CHUNK_SHARE or more, oldest first."""
    changing = [entry.writes.bars.time[~entry.writes.added] for entry in batch if entry.writes is not None]
    times = np.sort(np.concatenate(changing)) if changing else np.empty(0, np.int64)
    if len(times) < FEWEST:
        return []
    relation = f"bars.{request.market.relation(request.interval)}"
    found = connection.execute(
        query("compressed_chunks"), (relation, instant(int(times[0])), instant(int(times[-1])))
    ).fetchall()
    return [
        chunk
        for chunk, start, end, rows in found
        if np.diff(np.searchsorted(times, [micros(start), micros(end)]))[0] >= CHUNK_SHARE * max(rows, 1)
    ]


@contextmanager
def opened(connection: Connection, chunks: Sequence[str]) -> Iterator[None]:
    """Keep chunks open for the length of the block, each opened and closed in a transaction of its own.

    Killed in between, a chunk stays open: right, but large, until the compression policy closes it. So it does where
    closing fails.
    """
    try:
        for chunk in chunks:
            with connection.transaction():
                connection.execute(query("open_chunk"), (chunk,))
        yield
    finally:
        for chunk in chunks:
            _close(connection, chunk)


def _close(connection: Connection, chunk: str) -> None:
    try:
        with translate_errors(connection), connection.transaction():
            connection.execute(query("close_chunk"), (chunk,))
    except HypertapeError as error:
        _log.warning("%s stays decompressed until the compression policy runs: %s", chunk, error)
