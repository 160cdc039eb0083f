"""What the kill tests' child does: writes ticks as fast as it may, and tells which were accepted."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from ticks_lab import DAY_ONE, NOW, feed

from hypertape.stream.database import DatabaseSink
from hypertape.stream.model import Tick
from hypertape.stream.writer import WriterOptions

AT_ONCE = 200
OPTIONS = WriterOptions(batch_size=500, retry_delay=0.02, slow_after=1.0, lanes=2)


def part(number: int) -> list[Tick]:
    """The ticks of one call, the same whoever asks; they overlap in time with those of the parts around it."""
    own = feed(AT_ONCE, seed=number, start=DAY_ONE + number * 1_000_000, span=60_000_000)
    return [t._replace(sequence=number * AT_ONCE + place) for place, t in enumerate(own)]


def sent(number: int) -> list[Tick]:
    """A part as it is sent: with some of the part before once more."""
    return part(number) + (part(number - 1)[::3] if number else [])


async def work(dsn: str, spool: Path, told: Path, first: int, parts: int) -> None:
    """Send parts from `first` on, four at a time; write the number of each to `told` once it is accepted."""
    with open(told, "ab", buffering=0) as log:

        async def send(number: int) -> None:
            await sink.publish(sent(number))
            os.write(log.fileno(), f"{number}\n".encode())

        async with DatabaseSink(dsn, spool, OPTIONS, now=lambda: NOW) as sink:
            for start in range(first, first + parts, 4):
                await asyncio.gather(*(send(n) for n in range(start, min(start + 4, first + parts))))
            await sink.ticks.drained()


if __name__ == "__main__":
    dsn, spool, told, first, parts = sys.argv[1:]
    asyncio.run(work(dsn, Path(spool), Path(told), int(first), int(parts)))
