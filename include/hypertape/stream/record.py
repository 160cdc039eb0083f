"""A tick from text, exactly or not at all.

| field | form |
|---|---|
| symbol | 1 to 50 printable characters without blanks |
| time | `2026-01-05T00:00:00.123456Z` or with an offset; at most six decimals that count; 1970 to 2199 |
| sequence | a whole number from 0 to 2^63 - 1 |
| bid, ask | plain decimals above 0, at most eight of them after the point; one of the two may be missing |
| bid_volume, ask_volume | the same from 0; may be missing |

Numbers are read as they are written: no float comes between, so that 1.1 stays 1.1. Everything else raises
BadRecord with a sentence for `dead_letter`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from hypertape.stream.model import SCALE, Tick

LONGEST_LINE: Final = 64 * 1024
"""Bytes of a line that may still be a tick."""

FIELDS = ("symbol", "time", "sequence", "bid", "ask", "bid_volume", "ask_volume")

_LARGEST = 2**63 - 1
_NUMBER = re.compile(rb"(\d{1,20})(?:\.(\d{1,40}))?")
_SEQUENCE = re.compile(rb"\d{1,19}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = _EPOCH, datetime(2200, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class BadRecord(Exception):
    """A record is no tick; the message says why. It never leaves the feeds."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    time: str
    sequence: msgspec.Raw
    bid: msgspec.Raw = msgspec.Raw(b"null")
    ask: msgspec.Raw = msgspec.Raw(b"null")
    bid_volume: msgspec.Raw = msgspec.Raw(b"null")
    ask_volume: msgspec.Raw = msgspec.Raw(b"null")


_decoder = msgspec.json.Decoder(_Line)


def tick_of_json(line: bytes, source: str) -> Tick:
    """Read a line of jsonl. Raises BadRecord."""
    if len(line) > LONGEST_LINE:
        raise BadRecord(f"the line has {len(line)} bytes or more; a tick has at most {LONGEST_LINE}")
    try:
        read = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"not a line of jsonl: {error}") from error
    return tick_of(
        read.symbol, read.time, bytes(read.sequence), _unquoted(read.bid), _unquoted(read.ask),
        _unquoted(read.bid_volume), _unquoted(read.ask_volume), source,
    )  # fmt: skip


def tick_of(
    symbol: str,
    time: str,
    sequence: bytes,
    bid: bytes | None,
    ask: bytes | None,
    bid_volume: bytes | None,
    ask_volume: bytes | None,
    source: str,
) -> Tick:
    """Build a tick from its fields as they are written; None is a field that is missing. Raises BadRecord."""
    if not _SEQUENCE.fullmatch(sequence) or (number := int(sequence)) > _LARGEST:
        raise BadRecord(f"sequence {_shown(sequence)} is no whole number from 0 to {_LARGEST}")
    if bid is None and ask is None:
        raise BadRecord("there is neither bid nor ask")
    return Tick(
        symbol_of(symbol), micros_of(time), number, price_of("bid", bid), price_of("ask", ask),
        units_of("bid_volume", bid_volume), units_of("ask_volume", ask_volume), source,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def symbol_of(text: str) -> str:
    """Return a symbol that can be one. Raises BadRecord."""
    if not 0 < len(text) <= 50 or not text.isprintable() or " " in text:
        raise BadRecord(f"symbol {_shown(text)} is not 1 to 50 printable characters without blanks")
    return text


def micros_of(text: str) -> int:
    """Return microseconds since 1970 UTC of an instant with its zone. Raises BadRecord."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise BadRecord(f"time {_shown(text)} is not like 2026-01-05T00:00:00.123456Z, with Z or an offset")
    seconds, fraction, zone = match.groups()
    fraction = (fraction or "").rstrip("0")
    if len(fraction) > 6:
        raise BadRecord(f"time {_shown(text)} is finer than a microsecond")
    return _second(seconds, zone) + int(fraction.ljust(6, "0"))


@lru_cache(maxsize=4096)  # many ticks share a second
def _second(seconds: str, zone: str) -> int:
    try:
        instant = datetime.fromisoformat(seconds + ("+00:00" if zone == "Z" else zone))
        in_range = _EARLIEST <= instant < _LATEST
    except (ValueError, OverflowError) as error:
        raise BadRecord(f"time {_shown(seconds + zone)} does not exist: {error}") from error
    if not in_range:
        raise BadRecord(f"time {_shown(seconds + zone)} is not between 1970 and 2199")
    return (instant - _EPOCH) // _MICROSECOND


def price_of(name: str, text: bytes | None) -> int | None:
    """Return a price in units of 1e-8, None for None. Raises BadRecord; a price is above 0."""
    units = units_of(name, text)
    if units == 0:
        raise BadRecord(f"{name} {_shown(text or b'')} is not above 0")
    return units


def units_of(name: str, text: bytes | None) -> int | None:
    """Return a number in units of 1e-8, None for None. Raises BadRecord for what is no exact one."""
    return None if text is None else _units(name, text)


@lru_cache(maxsize=16_384)  # prices and volumes come again and again
def _units(name: str, text: bytes) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadRecord(f"{name} {_shown(text)} is no plain decimal number from 0 upward")
    fraction = (match[2] or b"").rstrip(b"0")
    if len(fraction) > 8:
        raise BadRecord(f"{name} {_shown(text)} has more than 8 decimals")
    units = int(match[1]) * SCALE + int(fraction.ljust(8, b"0"))
    if units > _LARGEST:
        raise BadRecord(f"{name} {_shown(text)} is above {_LARGEST // SCALE}")
    return units


def decimal_text(units: int) -> str:
    """Write units of 1e-8 as the shortest decimal: `1.08455`, `2`."""
    whole, rest = divmod(units, SCALE)
    return f"{whole}.{rest:08}".rstrip("0") if rest else str(whole)


def instant_text(micros: int) -> str:
    """Write microseconds since 1970 as `2026-01-05T00:00:00.123456Z`."""
    second, rest = divmod(micros, 1_000_000)
    return f"{_second_text(second)}.{rest:06}Z"


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def tick_fields(tick: Tick) -> dict[str, object]:
    """A tick as a line of jsonl has it; what is missing is left out."""
    values = tick.bid, tick.ask, tick.bid_volume, tick.ask_volume
    numbers = {name: decimal_text(v) for name, v in zip(FIELDS[3:], values, strict=True) if v is not None}
    return {"symbol": tick.symbol, "time": instant_text(tick.time), "sequence": tick.sequence, **numbers}


def json_of(tick: Tick) -> bytes:
    """A tick as a line of jsonl, without the newline."""
    return msgspec.json.encode(tick_fields(tick))


def _unquoted(raw: msgspec.Raw) -> bytes | None:
    text = bytes(raw)
    if text == b"null":
        return None
    return text[1:-1] if text[:1] == b'"' else text


def _shown(text: str | bytes) -> str:
    """The beginning of a value, in characters that every log can show."""
    shown = ascii(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"
