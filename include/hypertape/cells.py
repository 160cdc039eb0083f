"""What somebody else wrote, made safe: text that means a number, and text that is shown, stored or put into JSON.

Every room that reads foreign text (sources, stores) reads its numbers with `number` and shows its cells with `shown`.
`float()` is not asked about text: it takes `1_00_50` and the digits of every script for prices.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

LONGEST_VALUE = 200
"""Characters kept of a cell that is shown."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def number(cell: object) -> float | None:
    """The double nearest to what a cell says; None where it says no number.

    A number is an int, a float, or text of ASCII digits with point, sign and exponent as they are usual; blanks around
    it count for nothing. Infinity is one, for the gate to judge; an int beyond every double is none, as are NaN, true
    and false.
    """
    if isinstance(cell, str):
        text = cell.strip(" \t\r\n")
        return float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    try:
        value = float(cell)
    except OverflowError:
        return None
    return None if math.isnan(value) else value


def shown(cell: object, longest: int = LONGEST_VALUE) -> str:
    """A cell for people, Arrow and the database: no NUL, which PostgreSQL refuses, no half of a character, no endless
    line."""
    text = cell if isinstance(cell, str) else _written(cell)
    text = _UNSTORABLE.sub(_stand_in, text)
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def visible(text: str) -> str:
    """A text for a terminal: control characters, which would act on it, as escapes; ends of lines and tabs stay."""
    return _CONTROLS.sub(lambda found: ascii(found.group())[1:-1], text)


def row_text(row: Mapping[str, Any]) -> str:
    """A row as strict JSON: numbers read back exactly, what JSON or a database cannot hold is text made safe."""
    return json.dumps({shown(name): _plain(cell) for name, cell in row.items()}, ensure_ascii=False)


def _written(cell: object) -> str:
    if isinstance(cell, list | dict):  # may be nested deeper than the stack allows to write
        return f"a {'list' if isinstance(cell, list) else 'group'} of {len(cell)}"
    return str(cell)


def _plain(cell: Any) -> Any:
    if cell is None or isinstance(cell, bool):
        return cell
    if isinstance(cell, int) and number(cell) is not None:
        return cell
    if isinstance(cell, float) and math.isfinite(cell):
        return cell
    return shown(cell)


def _stand_in(found: re.Match[str]) -> str:
    return "\N{SYMBOL FOR NULL}" if found[0] == "\0" else "\N{REPLACEMENT CHARACTER}"
