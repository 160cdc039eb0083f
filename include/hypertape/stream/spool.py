"""The disk spool: what was accepted while the database could not take it.

A record is `length, CRC-32, payload` in a segment file; it is on the disk (fdatasync) before `append` returns. Records
are read in the order they were appended and removed, segment by segment, after the reader says that they are stored.
A reader killed in between reads some again, so storing must bear that. A record that a crash cut short was never
acknowledged and is dropped; one damaged in any other way stops nobody: its segment is set aside under `.damaged`.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import threading
import zlib
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypertape.errors import BadInput, SpoolFull

_MAGIC = b"HTSPOOL1"
_FRAME = struct.Struct("<II")  # length, CRC-32 of the payload

SEGMENT_BYTES = 4 << 20
"""A segment is closed beyond this size: so much is read again after a kill at most."""

_sync = getattr(os, "fdatasync", os.fsync)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Segment:
    path: Path
    size: int
    records: int


class Spool:
    """The spool of one directory, for one process. Its methods may be called from any thread."""

    def __init__(self, directory: Path, *, most_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open a spool, keeping what an earlier process left. Raises BadInput where another process has it."""
        self.directory = directory
        self._most_bytes = most_bytes
        self._segment_bytes = segment_bytes
        self._guard = threading.Lock()
        self._writing: int | None = None
        self._at = len(_MAGIC)
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_directory(directory)
        self._segments = deque(_found(directory))
        self._next = 1 + max((int(s.path.stem) for s in self._segments), default=0)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(segment.size for segment in tuple(self._segments))

    @property
    def records(self) -> int:
        """Records that wait."""
        return sum(segment.records for segment in tuple(self._segments))

    def append(self, payload: bytes) -> None:
        """Put one record on the disk. Raises SpoolFull where the bound or the disk leaves no room; nothing is kept
        then."""
        record = _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        with self._guard:
            if self.size + len(record) > self._most_bytes:
                raise SpoolFull(
                    f"The spool {self.directory} holds {self.size:,} of {self._most_bytes:,} bytes"
                )
            try:
                segment = self._segment()
                assert self._writing is not None
                os.pwrite(self._writing, record, segment.size)
                _sync(self._writing)
            except OSError as error:
                self._give_up_segment()
                raise SpoolFull(f"The spool {self.directory} cannot be written: {error}") from error
            segment.size += len(record)
            segment.records += 1

    def head(self) -> bytes | None:
        """The oldest record, or None. It stays until `advance`."""
        with self._guard:
            while self._segments:
                segment = self._segments[0]
                if segment.records:
                    payload = _record_at(segment.path, self._at)
                    if payload is not None:
                        return payload
                    self._set_aside(segment)
                elif len(self._segments) == 1 and self._writing is not None:
                    return None
                else:
                    self._remove(segment)
            return None

    def advance(self) -> None:
        """Forget the oldest record: it is stored."""
        with self._guard:
            segment = self._segments[0]
            payload = _record_at(segment.path, self._at)
            self._at += _FRAME.size + len(payload or b"")
            segment.records -= 1
            if segment.records == 0:
                self._remove(segment)

    def set_aside(self) -> None:
        """Leave the segment of the oldest record under another name: nobody can read it."""
        with self._guard:
            self._set_aside(self._segments[0])

    def close(self) -> None:
        """Let another process have it."""
        with self._guard:
            self._end_writing()
            os.close(self._lock)

    def _segment(self) -> _Segment:
        if self._writing is not None and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1]
        self._end_writing()
        path = self.directory / f"{self._next:012d}.segment"
        self._next += 1
        self._writing = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._segments.append(_Segment(path, len(_MAGIC), 0))
        os.pwrite(self._writing, _MAGIC, 0)
        _sync_directory(self.directory)
        return self._segments[-1]

    def _give_up_segment(self) -> None:
        """After a failed write nothing more goes into that file: what the disk holds of it is not known."""
        if self._writing is not None:
            try:
                os.ftruncate(self._writing, self._segments[-1].size)
            except OSError as error:
                _log.error("%s: %s", self._segments[-1].path, error)
            self._end_writing()

    def _end_writing(self) -> None:
        handle, self._writing = self._writing, None
        if handle is not None:
            with suppress(OSError):
                os.close(handle)

    def _remove(self, segment: _Segment) -> None:
        if segment is self._segments[-1]:
            self._end_writing()
        segment.path.unlink(missing_ok=True)
        self._segments.popleft()
        self._at = len(_MAGIC)

    def _set_aside(self, segment: _Segment) -> None:
        _log.error("%s is damaged at byte %d and is kept as .damaged", segment.path, self._at)
        segment.path.rename(segment.path.with_suffix(".damaged"))
        if segment is self._segments[-1]:
            self._end_writing()
        self._segments.popleft()
        self._at = len(_MAGIC)


def _lock_directory(directory: Path) -> int:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise BadInput(
            f"Another process writes to the spool {directory}",
            next_step="Stop it, or give this one a spool of its own (HYPERTAPE_SPOOL_DIR).",
        ) from None
    return lock


def _found(directory: Path) -> list[_Segment]:
    return [_scan(path) for path in sorted(directory.glob("*.segment"))]


def _scan(path: Path) -> _Segment:
    """Count the whole records of a file and cut off the one that a crash left unfinished."""
    data = path.read_bytes()
    at, records = len(_MAGIC), 0
    while at + _FRAME.size <= len(data):
        length, crc = _FRAME.unpack_from(data, at)
        end = at + _FRAME.size + length
        if length == 0 or end > len(data) or (end == len(data) and not _is_whole(data, at, length, crc)):
            break  # unfinished: it was never acknowledged
        at, records = end, records + 1
    if at < len(data):
        _log.warning("%s: %d unfinished bytes at its end are dropped", path, len(data) - at)
        os.truncate(path, at)
    return _Segment(path, at, records)


def _is_whole(data: bytes, at: int, length: int, crc: int) -> bool:
    payload = memoryview(data)[at + _FRAME.size : at + _FRAME.size + length]
    return zlib.crc32(payload) == crc


def _record_at(path: Path, at: int) -> bytes | None:
    """The payload of the record there, None where it is damaged."""
    with path.open("rb") as file:
        file.seek(at)
        frame = file.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            return None
        length, crc = _FRAME.unpack(frame)
        payload = file.read(length)
    return payload if len(payload) == length and zlib.crc32(payload) == crc else None


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
