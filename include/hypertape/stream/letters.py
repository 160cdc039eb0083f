"""Dead letters: what nobody could store, kept whole with its reason, and replayed after the mend.

A letter is one record: a tick (as a line of the `jsonl:` feed), a bar (a line too), or the bytes a feed could not
read. The same record is kept once, with how often and when it came and the latest reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import psycopg

from hypertape.queries import query
from hypertape.stream.model import SCALE, Bar1m, Rejected, Tick

Connection = psycopg.Connection[Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal["tick", "bar", "record"]


@dataclass(frozen=True, slots=True)
class Letter:
    """What goes into `dead_letter`."""

    kind: Kind
    source: str
    record: bytes
    error: str

    @property
    def digest(self) -> bytes:
        """What tells records apart: the same one is one letter."""
        return hashlib.sha256(
            b"\0".join((self.kind.encode(), self.source.encode("utf-8", "replace"), self.record))
        ).digest()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A stored letter. `replayed_at` is when it was stored after all, or None."""

    letter_id: int
    kind: Kind
    source: str
    record: bytes
    error: str
    times: int
    first_at: datetime
    last_at: datetime
    replayed_at: datetime | None


def tick_letter(tick: Tick, error: str) -> Letter:
    """A tick as a letter, whatever its values are."""
    record = {
        "symbol": tick.symbol, "time": _time(tick.time), "sequence": tick.sequence,
        **{name: decimal(getattr(tick, name)) for name in ("bid", "ask", "bid_volume", "ask_volume")},
    }  # fmt: skip
    return Letter("tick", str(tick.source), _line(record), error)


def bar_letter(bar: Bar1m, error: str) -> Letter:
    """A bar as a letter, whatever its values are."""
    names = ("open", "high", "low", "close", "volume", "vwap")
    record = {
        "symbol": bar.symbol,
        "time": _time(bar.time),
        **{name: decimal(getattr(bar, name)) for name in names},
    }
    return Letter("bar", "bars", _line(record), error)


def rejected_letter(rejected: Rejected) -> Letter:
    """A record that a feed could not read, as a letter."""
    return Letter("record", rejected.source, rejected.record, rejected.error)


def add_letters(connection: Connection, letters: Iterable[Letter]) -> None:
    """Keep letters; one that is there already counts once more and is no longer replayed. In the caller's
    transaction."""
    kept = list({letter.digest: letter for letter in letters}.items())
    if not kept:
        return
    columns = (
        [digest for digest, _ in kept],
        [letter.kind for _, letter in kept],
        [_text(letter.source) for _, letter in kept],
        [letter.record for _, letter in kept],
        [_text(letter.error) for _, letter in kept],
    )
    connection.execute(query("stream_add_letters"), columns)


def dead_letters(
    connection: Connection,
    *,
    source: str | None = None,
    replayed: bool = False,
    after: int = 0,
    limit: int = 1000,
) -> list[DeadLetter]:
    """Stored letters in the order they came, `limit` of those with a greater id than `after`; open ones unless
    `replayed`."""
    parameters = {"source": source, "replayed": replayed, "after": after, "limit": limit}
    rows = connection.execute(query("stream_letters"), parameters).fetchall()
    return [DeadLetter(*row) for row in rows]


def letters_since(connection: Connection, since: datetime) -> int:
    """How many letters came, or came again, since an instant and are open."""
    row = connection.execute(query("stream_letters_since"), (since,)).fetchone()
    return int(row[0]) if row else 0


def mark_replayed(connection: Connection, letter_ids: Sequence[int]) -> None:
    """Note that letters were stored after all."""
    connection.execute(query("stream_letters_replayed"), (list(letter_ids),))


def decimal(value: Any) -> Any:
    """A price or volume of 1e-8 as decimal text without needless zeros; what is no whole number stays as it is."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    return format((Decimal(value) / SCALE).normalize(), "f")


def _time(micros: Any) -> Any:
    """An instant as `jsonl:` writes it; what is none stays as it is."""
    try:
        return f"{_EPOCH + timedelta(microseconds=micros):%Y-%m-%dT%H:%M:%S.%fZ}"
    except (TypeError, ValueError, OverflowError):
        return micros


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, default=str, separators=(",", ":")).encode()


def _text(text: str) -> str:
    """What PostgreSQL takes as text: no NUL, no lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
