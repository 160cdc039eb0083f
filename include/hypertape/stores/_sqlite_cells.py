"""What a cell of a SQLite table means: a number, a time, or a fault.

SQLite keeps any value in any column, so a column's declared type promises nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from hypertape.frame import micros

LONGEST_VALUE = 200
"""Characters kept of a text cell in a reject."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is no bar: the rule it breaks, and the offending cell as `column=value`."""

    rule: str
    value: str


def number(cell: object) -> float | None:
    """A cell as the nearest double; None when it holds none."""
    if isinstance(cell, float):
        return cell
    if isinstance(cell, int):
        return float(cell)
    if isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()):
        return float(cell)
    return None


def from_literal(literal: bytes) -> int | float | str | bytes | None:
    """The cell behind what SQLite's quote() wrote. Text that is no UTF-8 is read with replacement characters."""
    if literal == b"NULL":
        return None
    if literal.startswith(b"X'"):
        return bytes.fromhex(literal[2:-1].decode())
    if literal.startswith(b"'"):
        return literal[1:-1].replace(b"''", b"'").decode("utf-8", "replace")
    digits = literal.lstrip(b"+-")
    return int(literal) if digits.isdigit() else float(literal)


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


def is_date_only(cell: object) -> bool:
    """True for a date without a time of day."""
    return isinstance(cell, str) and len(cell) == len("YYYY-MM-DD")


def shown(cell: object) -> str:
    """A cell for people and databases: short, and without NUL, which PostgreSQL refuses."""
    whole = cell.hex() if isinstance(cell, bytes) else str(cell).replace("\0", "\N{SYMBOL FOR NULL}")
    if len(whole) <= LONGEST_VALUE:
        return whole
    return f"{whole[:LONGEST_VALUE]}… ({len(whole)} characters)"


def row_text(row: Mapping[str, Any]) -> str:
    """A whole row as strict JSON whose numbers read back exactly."""
    return json.dumps({column: _plain(cell) for column, cell in row.items()}, ensure_ascii=False)


def _plain(cell: Any) -> Any:
    if cell is None or isinstance(cell, int):
        return cell
    if isinstance(cell, float) and math.isfinite(cell):
        return cell
    return shown(cell)
