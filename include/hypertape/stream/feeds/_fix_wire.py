"""FIX 4.4 as bytes: messages with their length and checksum, cut out of a stream of them and believed only
when both fit.

Source: FIX 4.4, volume 1, "Standard header", "Standard trailer", "Checksum calculation". A message is
`8=FIX.4.4|9=LENGTH|35=TYPE|…|10=SUM|` with the byte 0x01 where a bar stands; LENGTH counts what lies between
its own bar and the `1` of `10=`, SUM is the sum of all bytes before that `1` modulo 256.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

BEGIN = b"8=FIX.4.4\x019="
LONGEST = 1024 * 1024
"""Bytes of a body: a security list is the longest that comes."""

_TRAILER = 7  # 10=nnn and the bar
_KEPT = 64 * 1024

Value = str | int | bytes


class Tag:
    """The field numbers that are used here."""

    BEGIN_SEQ_NO, CHECKSUM, END_SEQ_NO, TYPE, SEQUENCE = 7, 10, 16, 35, 34
    NEW_SEQ_NO, POSS_DUP, SENDER, SENDING_TIME, TARGET = 36, 43, 49, 52, 56
    SYMBOL, TEXT, SENDER_SUB, TARGET_SUB, ENCRYPT, HEARTBEAT = 55, 58, 50, 57, 98, 108
    DESCRIPTION, TEST_ID, ORIGINAL_TIME, GAP_FILL, RESET, RELATED = 107, 112, 122, 123, 141, 146
    MULTIPLIER, REQUEST, SUBSCRIPTION, DEPTH, UPDATE_TYPE, TYPES = 231, 262, 263, 264, 265, 267
    ENTRIES, ENTRY_TYPE, PRICE, SIZE, DATE, TIME = 268, 269, 270, 271, 272, 273
    ENTRY_ID, ACTION, SECURITY_REQUEST, USER, PASSWORD = 278, 279, 320, 553, 554
    LIST_TYPE, LAST_FRAGMENT, INCREMENT, NAME, DIGITS = 559, 893, 969, 1007, 1008


@dataclass(frozen=True)
class Message:
    """A message that was whole: its type, its number, its fields in order, and its bytes."""

    kind: bytes
    sequence: int
    fields: list[tuple[int, bytes]]
    raw: bytes
    values: dict[int, bytes] = field(default_factory=dict)
    """The first value of each field."""

    def text(self, tag: int) -> str:
        """A field as text; empty where it is missing."""
        return self.values.get(tag, b"").decode("utf-8", "replace")

    def number(self, tag: int) -> int | None:
        """A field as a whole number from 0; None where it is missing or none."""
        return _whole(self.values.get(tag, b""))

    @property
    def is_repeat(self) -> bool:
        """True when the sender says that it may have sent it before."""
        return self.values.get(Tag.POSS_DUP) == b"Y"


@dataclass(frozen=True)
class Garbled:
    """Bytes that are no message, and why."""

    raw: bytes
    why: str


def encode(kind: str, fields: Iterable[tuple[int, Value]]) -> bytes:
    """Return a message of some type with these fields in their order, its length and its checksum."""
    body = b"35=%s\x01" % kind.encode() + b"".join(
        b"%d=%s\x01" % (tag, _bytes(value)) for tag, value in fields
    )
    message = b"%s%d\x01%s" % (BEGIN, len(body), body)
    return b"%s10=%03d\x01" % (message, sum(message) % 256)


class Framer:
    """Cuts what arrives into messages; what is garbled is handed out as such, and the next message is found
    behind it.
    """

    def __init__(self) -> None:
        self._buffer, self._at = b"", 0

    def feed(self, data: bytes) -> Iterator[Message | Garbled]:
        """Take what arrived and yield what it completes; a message in the making waits for the rest."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        while self._at < len(self._buffer):
            part = self._next()
            if part is None:
                return
            yield part

    def _next(self) -> Message | Garbled | None:
        """What lies at our place; None while too little is there to tell."""
        if not self._buffer.startswith(BEGIN, self._at):
            if len(self._buffer) - self._at < len(BEGIN) and BEGIN.startswith(self._buffer[self._at :]):
                return None
            return self._skip(0, "no message begins here")
        end = self._end()
        if end is None:
            return None
        if end < 0:
            return self._skip(1, "its length is no number")
        found = _message(self._buffer[self._at : end])
        if isinstance(found, Garbled):
            return self._skip(1, found.why)
        self._at = end
        return found

    def _end(self) -> int | None:
        """Where the message at our place ends; None while that is not there, -1 when its length is none."""
        digits = self._at + len(BEGIN)
        bar = self._buffer.find(b"\x01", digits, digits + 9)
        if bar < 0:
            return None if len(self._buffer) < digits + 9 else -1
        length = _whole(self._buffer[digits:bar])
        if length is None or length > LONGEST:
            return -1
        end = bar + 1 + length + _TRAILER
        return end if len(self._buffer) >= end else None

    def _skip(self, start: int, why: str) -> Garbled | None:
        """Leave out what lies before the next beginning of a message; None while too little is there to tell."""
        place = self._buffer.find(BEGIN, self._at + start)
        left = len(self._buffer) - self._at
        if place < 0 and left < _KEPT and start == 0:
            return None
        cut = place if place >= 0 else self._at + max(left - len(BEGIN), 1)
        lost, self._at = self._buffer[self._at : cut], cut
        return Garbled(lost, why)


def _message(raw: bytes) -> Message | Garbled:
    """Read one message from its bytes, or say what is wrong with it."""
    trailer = raw[-_TRAILER:]
    if trailer[:3] != b"10=" or trailer[-1:] != b"\x01" or raw[-_TRAILER - 1 : -_TRAILER] != b"\x01":
        return Garbled(raw, "its body length is wrong")
    if _whole(trailer[3:6]) != sum(raw[:-_TRAILER]) % 256:
        return Garbled(raw, "its checksum is wrong")
    fields: list[tuple[int, bytes]] = []
    for part in raw[:-_TRAILER].split(b"\x01")[2:-1]:
        name, sign, value = part.partition(b"=")
        tag = _whole(name)
        if tag is None or not sign:
            return Garbled(raw, "a field has no number")
        fields.append((tag, value))
    values = dict(reversed(fields))
    number = _whole(values.get(Tag.SEQUENCE, b""))
    if not fields or fields[0][0] != Tag.TYPE or number is None:
        return Garbled(raw, "it has no type or no sequence number")
    return Message(values[Tag.TYPE], number, fields, raw, values)


def _whole(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) <= 18 else None


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
