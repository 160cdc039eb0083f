"""Lines from a file, a directory or standard input: what the feeds `jsonl` and `csv` share.

What is there is handed over at once, in batches of at most MOST_LINES; a line is read whole or not at all, and
the last one needs no newline. Reading waits in a thread that looks every fifth of a second whether the feed
was closed, so that a silent pipe holds up no shutdown.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

from hypertape.errors import BadInput, SourceFileMissing
from hypertape.stream.feeds import Address, FeedConfig
from hypertape.stream.feeds._sequence import Sequences
from hypertape.stream.feeds._silence import watched
from hypertape.stream.model import Event, Rejected, Tick
from hypertape.stream.record import BadRecord

MOST_LINES = 1000
KEPT_BYTES = 1024 * 1024
"""What is kept of a line that is too long to be one."""

OPTIONS = ("source", "numbering", "silence")
"""`source`: whose ticks these are (default: the feed and the file's name); `numbering`: `symbol`, `feed` or `none`;
`silence`: seconds without a line after which the feed counts as silent (default: never)."""

_CHUNK = 256 * 1024
_LOOK_SECONDS = 0.2

Parse = Callable[[bytes, str], Tick]


class LineFeed:
    """A feed of lines. `open_parser` gives the function that reads the lines of one file, which it sees from
    its first.
    """

    def __init__(
        self, address: Address, config: FeedConfig, suffix: str, open_parser: Callable[[], Parse]
    ) -> None:
        self.name = address.options.get("source") or f"{address.feed}:{Path(address.rest).name}"
        self._paths = list(_paths(address, suffix))
        self._open_parser, self._clock = open_parser, config.clock
        self.numbering = address.choice("numbering", "symbol", "feed", "none")
        self.live = address.rest == "-"
        self._sequences = Sequences(self.name, self.numbering)
        self._silence = address.number("silence", 0.0)
        self._closed = False

    def run(self) -> AsyncGenerator[list[Event]]:
        """Yield what the lines hold, to the end of the last file. Raises SourceFileMissing for one that is gone."""
        return watched(self._read(), self.name, self._silence, self._clock)

    async def _read(self) -> AsyncGenerator[list[Event]]:
        for path in self._paths:
            parse = self._open_parser()
            async with aclosing(self._batches(path)) as batches:
                async for lines in batches:
                    events = [event for line in lines for event in self._events(parse, line)]
                    if events:
                        yield events
            if self._closed:
                return

    async def close(self) -> None:
        """Stop reading; what was handed over stays handed over."""
        self._closed = True

    def _events(self, parse: Parse, line: bytes) -> list[Event]:
        if not line.strip():
            return []
        try:
            tick = parse(line, self.name)
        except HeaderLine:
            return []
        except BadRecord as error:
            return [Rejected(self.name, line[:KEPT_BYTES], str(error))]
        return [*self._sequences.see(tick), tick]

    async def _batches(self, path: Path | None) -> AsyncGenerator[list[bytes]]:
        descriptor = _open(path)
        try:
            lines = Lines()
            while not self._closed:
                chunk = await asyncio.to_thread(_next_bytes, descriptor, lambda: self._closed)
                if not chunk:
                    break
                for batch in lines.add(chunk):
                    yield batch
            if not self._closed and (rest := lines.end()):
                yield [rest]
        finally:
            if path is not None:
                os.close(descriptor)


class HeaderLine(Exception):
    """A line that is none of the data: a CSV header."""


class Lines:
    """Cuts what is read into lines. Of a line without end only its first KEPT_BYTES and one more are kept."""

    def __init__(self) -> None:
        self._begun = b""

    def add(self, chunk: bytes) -> Iterator[list[bytes]]:
        """Yield batches of the lines that a chunk completes."""
        *whole, rest = chunk.split(b"\n")
        if whole:
            whole[0], self._begun = self._begun + whole[0], b""
        self._begun = (self._begun + rest)[: KEPT_BYTES + 1]
        for start in range(0, len(whole), MOST_LINES):
            yield [line.removesuffix(b"\r")[: KEPT_BYTES + 1] for line in whole[start : start + MOST_LINES]]

    def end(self) -> bytes:
        """Return the last line, where no newline ended it."""
        return self._begun.removesuffix(b"\r")


def _paths(address: Address, suffix: str) -> Iterator[Path | None]:
    if address.rest == "-":
        yield None
        return
    path = Path(address.rest)
    if not address.rest or not path.exists():
        raise SourceFileMissing(
            f"{address}: there is no such file",
            next_step="Name a file, a directory, or - for standard input.",
        )
    if not path.is_dir():
        yield path
        return
    found = sorted(child for child in path.iterdir() if child.name.endswith(suffix))
    if not found:
        raise BadInput(f"{address}: no file in it ends in {suffix}", next_step="Name the file itself.")
    yield from found


def _open(path: Path | None) -> int:
    if path is None:
        return sys.stdin.fileno()
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        raise SourceFileMissing(
            f"{path} cannot be read: {error.strerror}", next_step="Check its name and mode."
        ) from error


def _next_bytes(descriptor: int, closed: Callable[[], bool]) -> bytes:
    """Wait for bytes; nothing at the end of the input, or when the feed was closed."""
    while not closed():
        if select.select([descriptor], [], [], _LOOK_SECONDS)[0]:
            return os.read(descriptor, _CHUNK)
    return b""
