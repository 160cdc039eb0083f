"""Arrow's stream format in pieces: what the API sends, and what a tape over it reads."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import pyarrow as pa

MEDIA_TYPE = "application/vnd.apache.arrow.stream"

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What the format ends a stream with."""


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
        self._tail = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
            self._tail = (self._tail + piece[-len(_END) :])[-len(_END) :]
        target = memoryview(buffer)  # type: ignore[arg-type]
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def require_end(self) -> None:
        """Raise ArrowInvalid unless the stream came to its end: one that is cut between batches looks whole."""
        for _ in self._pieces:
            raise pa.ArrowInvalid("There is something behind the end of the stream")
        if self._tail != _END:
            raise pa.ArrowInvalid("The stream ends without its end mark")


def as_stream(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """A stream of batches, the schema first, a piece for each batch."""
    sink = _Sink()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def from_stream(pieces: Iterator[bytes]) -> Iterator[pa.RecordBatch]:
    """The batches of a stream that comes in pieces, an empty one first, which tells the columns.

    Raises pyarrow's ArrowInvalid for a stream that is cut, anywhere.
    """
    source = _Source(pieces)
    try:
        with pa.ipc.open_stream(io.BufferedReader(source, 1 << 20)) as reader:
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
            yield from reader
    except OSError as error:
        raise pa.ArrowInvalid(str(error)) from error
    source.require_end()
