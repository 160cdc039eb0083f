"""What a cell of a SQLite table means: a number, a time, or a fault.

SQLite keeps any value in any column, so a column's declared type promises nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from hypertape import cells
from hypertape.cells import number
from hypertape.frame import micros

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00(?::00(?:\.0{1,6})?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is no bar: the rule it breaks, and the offending cell as `column=value`."""

    rule: str
    value: str


def from_literal(literal: bytes, encoding: str) -> int | float | str | bytes | None:
    """The cell behind what `sqlite_literal` wrote; `encoding` is the file's own."""
    if literal == b"NULL":
        return None
    if literal.startswith(b"T"):
        raw = bytes.fromhex(literal[1:].decode())
        if encoding != "UTF-8":
            return raw.decode(encoding, "replace")
        return from_bytes(raw)
    if literal.startswith(b"X'"):
        return bytes.fromhex(literal[2:-1].decode())
    digits = literal.lstrip(b"+-")
    return int(literal) if digits.isdigit() else float(literal)


def from_bytes(raw: bytes) -> str:
    """Text out of a file; bytes that are no UTF-8 become lone surrogates, which `shown` writes as bytes again."""
    return raw.decode("utf-8", "surrogateescape")


def loses_precision(cell: object) -> bool:
    """True when a double cannot say what the cell says: an integer beyond 2^53, a decimal with too many digits."""
    value = number(cell)
    if value is None or isinstance(cell, float):
        return False
    if isinstance(cell, int):
        return int(value) != cell
    try:
        return not math.isfinite(value) or Decimal(str(cell).strip()) != Decimal(repr(value))
    except InvalidOperation:
        return True


def instant_of(cell: object) -> int | None:
    """The microseconds since 1970 UTC of an ISO date or time; without a zone it is UTC. None when it is neither."""
    if not isinstance(cell, str) or not _TIME.fullmatch(cell):
        return None
    try:
        read = datetime.fromisoformat(cell)
        return micros(read.replace(tzinfo=UTC) if read.tzinfo is None else read)
    except (ValueError, OverflowError):
        return None


def session_of(cell: object) -> int | None:
    """The microseconds since 1970 UTC of the bar of a day: a midnight, in whatever zone, means the date as written."""
    if isinstance(cell, str) and (midnight := _MIDNIGHT.fullmatch(cell)):
        return instant_of(midnight[1])
    return instant_of(cell)


def is_date_only(cell: object) -> bool:
    """True for a date without a time of day."""
    return isinstance(cell, str) and len(cell) == len("YYYY-MM-DD")


def shown(cell: object) -> str:
    """A cell for people and databases (`cells.shown`); bytes that are no UTF-8 are written as `\\xff`, blobs in hex."""
    if isinstance(cell, bytes):
        return cells.shown(cell.hex())
    if isinstance(cell, str):
        return cells.shown(cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return cells.shown(cell)


def row_text(row: Mapping[str, Any]) -> str:
    """A whole row as strict JSON whose numbers read back exactly."""
    return cells.row_text(
        {column: shown(cell) if isinstance(cell, bytes | str) else cell for column, cell in row.items()}
    )
