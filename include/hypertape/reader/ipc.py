"""Arrow's stream format in pieces: what the API sends, and what a tape over it reads."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import pyarrow as pa

MEDIA_TYPE = "application/vnd.apache.arrow.stream"


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]  # a buffer of Arrow's
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class _Source(io.RawIOBase):
    """Reads from pieces as they come."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer)  # type: ignore[arg-type]
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def as_stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """A stream of batches, the schema first, a piece for each batch."""
    sink = _Sink()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def from_stream(pieces: Iterator[bytes]) -> Iterator[pa.RecordBatch]:
    """The batches of a stream that comes in pieces. Raises pyarrow's ArrowInvalid for one that is cut."""
    with pa.ipc.open_stream(io.BufferedReader(_Source(pieces), 1 << 20)) as reader:
        yield from reader
