"""A feed that says nothing for too long: a gap that opens when it falls silent and ends when it speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from hypertape.stream.model import Event, FeedGap, GapFilled, Tick


async def watched(
    batches: AsyncGenerator[list[Event]], source: str, seconds: float, clock: Callable[[], int]
) -> AsyncGenerator[list[Event]]:
    """Pass batches on; 0 seconds: as they are.

    When none came for so many seconds, a FeedGap (`silent`, without an end) says so; with the next ticks it gets its
    end, and is filled when no number is missing. Time during which nobody asked for a batch is not the feed's
    silence.
    """
    if not seconds:
        async with aclosing(batches):
            async for batch in batches:
                yield batch
        return
    silent: FeedGap | None = None
    heard = clock()
    waiting = asyncio.ensure_future(anext(batches, None))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=None if silent else seconds)
            if not done:
                silent = FeedGap(source, None, "silent", heard, None, None, None)
                yield [silent]
                continue
            result = waiting.result()
            if result is None:
                return
            batch = result
            ticks = [event for event in batch if isinstance(event, Tick)]
            if ticks:
                if silent:
                    batch = [*_ended(silent, batch, ticks[0].time), *batch]
                    silent = None
                heard = ticks[-1].time
            yield batch
            waiting = asyncio.ensure_future(anext(batches, None))
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await batches.aclose()


def _ended(silent: FeedGap, batch: list[Event], time: int) -> list[Event]:
    gap = silent._replace(end=max(time, silent.start))
    missed = any(isinstance(event, FeedGap) for event in batch)
    return [gap] if missed else [gap, GapFilled(gap, "unbroken")]
