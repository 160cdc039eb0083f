"""Answers that are longer than one block of bars: sent in chunks, and not too many of them at once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import chain
from threading import BoundedSemaphore

from anyio import CancelScope
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from hypertape.api.pool import WAIT_SECONDS
from hypertape.errors import DatabaseBusy


class LongAnswer(StreamingResponse):
    """An answer in chunks, which ends its stream when its reader leaves, and not when the memory is cleaned up."""

    def __init__(
        self, first: bytes, rest: Generator[bytes], headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(chain((first,), rest), headers=headers, media_type=media_type)
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):  # who leaves cancels us
                await run_in_threadpool(self._rest.close)


def in_turn(chunks: Iterator[bytes], streams: BoundedSemaphore) -> Generator[bytes]:
    """Chunks of a long answer, while no more than so many are written at once; their end gives the turn on."""
    if not streams.acquire(timeout=WAIT_SECONDS):
        raise DatabaseBusy("as many long answers as may be written at once are on their way")
    try:
        yield from chunks
    finally:
        streams.release()
