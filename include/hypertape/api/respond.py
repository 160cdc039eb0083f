"""Answers that are not bars: small JSON documents, and lists that a cursor leads through."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import dict_row
from starlette.responses import Response

from hypertape.api.bar_query import read_number
from hypertape.api.pool import Connection, Warehouse
from hypertape.errors import BadInput
from hypertape.queries import query

USUAL_ROWS, MOST_ROWS = 100, 5_000
"""Rows of a list: when no limit is given, and at most."""


def json_response(
    content: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON in the app's one way: instants as ISO 8601 in UTC, what is not a number as null."""
    return Response(msgspec.json.encode(content), status, dict(headers or {}), media_type="application/json")


def rows_of(warehouse: Warehouse, name: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
    """The rows of a query of sql/queries."""

    def work(connection: Connection) -> list[dict[str, Any]]:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query(name), dict(parameters)).fetchall()

    return warehouse.run(work)


def listed(
    warehouse: Warehouse,
    name: str,
    parameters: Mapping[str, object],
    *,
    key: Sequence[str],
    limit: str | None,
    after: str | None,
) -> dict[str, Any]:
    """One page of a list: `{"rows": […], "next": cursor or null}`.

    The query takes `after_<column>` for each column of its key (the last row that was read; null at first) and `rows`.
    Raises BadInput for a limit over MOST_ROWS and a cursor that is none of ours.
    """
    most = read_number("limit", limit, MOST_ROWS, "Follow `next` to the following rows.") or USUAL_ROWS
    last = read_cursor(after, key)
    page = {f"after_{column}": value for column, value in zip(key, last or [None] * len(key), strict=True)}
    rows = rows_of(warehouse, name, {**parameters, **page, "rows": most + 1})
    following = cursor_of([rows[most - 1][column] for column in key]) if len(rows) > most else None
    return {"rows": rows[:most], "next": following}


def cursor_of(key: list[Any]) -> str:
    """The cursor that leads to what follows a row with this key."""
    texts = [value.isoformat() if isinstance(value, datetime) else value for value in key]
    return base64.urlsafe_b64encode(msgspec.json.encode(texts)).decode().rstrip("=")


def read_cursor(text: str | None, columns: Sequence[str]) -> list[Any] | None:
    """The key of the row that a cursor was made of; None without one. Raises BadInput for what is no such cursor."""
    if not text:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        key = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=list)
    except (ValueError, binascii.Error, UnicodeError, RecursionError) as error:
        raise _no_cursor(text) from error
    if not isinstance(key, list) or len(key) != len(columns):
        raise _no_cursor(text)
    if not all(_fits(column, value) for column, value in zip(columns, key, strict=True)):
        raise _no_cursor(text)
    return list(key)


def _fits(column: str, value: object) -> bool:
    """Whether a value that came with a request can be compared with a column of the key."""
    if column.endswith("_id") or column == "replaced_by":
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    if not isinstance(value, str) or "\x00" in value:
        return False
    try:
        return column != "time" or datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _no_cursor(text: str) -> BadInput:
    return BadInput(f"after={text!r} is no cursor", next_step="Pass `next` of the answer before.")
